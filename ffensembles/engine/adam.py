"""Adam as `torch.optim.Adam` computes it, on tensors that carry their own gradient sums."""

import torch
from torch import Tensor

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8  # PyTorch's defaults; the study names no others


class Adam:
    """One optimiser's memory of some parameters, changed in place (Kingma and Ba 2014).

    The order of operations is that of PyTorch's own, so that the same gradients give the same
    weights to the last bit.
    """

    def __init__(self, parameters: dict[str, Tensor], learning_rate: float) -> None:
        self.parameters, self.learning_rate, self.steps = parameters, learning_rate, 0
        self.mean = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self.square = {name: torch.zeros_like(p) for name, p in parameters.items()}

    def step(self, gradients: dict[str, Tensor]) -> None:
        """Move every parameter by its gradient, given by name."""
        self.steps += 1
        scale = self.learning_rate / (1 - _BETA_1**self.steps)
        root = (1 - _BETA_2**self.steps) ** 0.5
        for name, parameter in self.parameters.items():
            mean, square, gradient = self.mean[name], self.square[name], gradients[name]
            mean.lerp_(gradient, 1 - _BETA_1)
            square.mul_(_BETA_2).addcmul_(gradient, gradient, value=1 - _BETA_2)
            parameter.addcdiv_(mean, (square.sqrt() / root).add_(_EPSILON), value=-scale)

    def state(self) -> dict[str, Tensor]:
        """Return the memory by name; `restore` takes it up again."""
        memory = {"steps": torch.tensor(self.steps)}
        for name in self.parameters:
            memory[f"{name}.mean"], memory[f"{name}.square"] = self.mean[name], self.square[name]
        return memory

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Take up the memory that `state` returned."""
        self.steps = int(memory["steps"])
        for name in self.parameters:
            self.mean[name].copy_(memory[f"{name}.mean"])
            self.square[name].copy_(memory[f"{name}.square"])
