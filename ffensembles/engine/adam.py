"""PyTorch's Adam for gradients that were computed in closed form."""

import torch
from torch import Tensor

_MEMORY = ("step", "exp_avg", "exp_avg_sq")


class Adam:
    """Adam's state for some parameters, which it changes in place.

    All but the learning rate are PyTorch's defaults, as the study names no others. On a GPU the
    count of steps is kept there, so that a step can be recorded in a graph. `fused` takes
    PyTorch's single loop over all values, which rounds in another order.
    """

    def __init__(
        self, parameters: dict[str, Tensor], learning_rate: float, fused: bool = False
    ) -> None:
        self.parameters = parameters
        on_gpu = any(parameter.is_cuda for parameter in parameters.values())
        self.adam = torch.optim.Adam(
            parameters.values(), lr=learning_rate, capturable=on_gpu, fused=fused
        )

    def step(self, gradients: dict[str, Tensor]) -> None:
        """Move every parameter by its gradient, given by name."""
        for name, parameter in self.parameters.items():
            parameter.grad = gradients[name]
        self.adam.step()

    def state(self) -> dict[str, Tensor]:
        """Return the state by name; `restore` loads it."""
        return {
            f"{name}.{key}": self.adam.state[parameter][key]
            for name, parameter in self.parameters.items()
            for key in _MEMORY
        }

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Load what `state` returned."""
        for name, parameter in self.parameters.items():
            self.adam.state[parameter] = {key: memory[f"{name}.{key}"].clone() for key in _MEMORY}
