"""PyTorch's Adam for gradients that were computed in closed form."""

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Adam's state for some parameters, which it changes in place.

    It is PyTorch's function for a step: the class `torch.optim.Adam` around it imports PyTorch's
    compiler, which takes longer than training a small net. All but the learning rate are
    PyTorch's defaults, as the study names no others. `fused` takes PyTorch's single loop over all
    values, which rounds in another order.

    Attributes
    ----------
    memory
        For each parameter the count of steps, and the means of gradients and of their squares.
    capturable
        Whether the count of steps is kept and read on the GPU, so that a step can be recorded in a
        graph.
    """

    def __init__(
        self, parameters: dict[str, Tensor], learning_rate: float, fused: bool = False
    ) -> None:
        self.parameters, self.learning_rate, self.fused = parameters, learning_rate, fused
        self.capturable = any(parameter.is_cuda for parameter in parameters.values())
        self.memory = {
            name: {
                "step": torch.zeros((), device=p.device if self.capturable else None),
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": torch.zeros_like(p),
            }
            for name, p in parameters.items()
        }

    @torch.no_grad()
    def step(self, gradients: dict[str, Tensor]) -> None:
        """Move every parameter by its gradient, given by name."""
        memory = self.memory.values()
        adam(
            list(self.parameters.values()),
            [gradients[name] for name in self.parameters],
            [own["exp_avg"] for own in memory],
            [own["exp_avg_sq"] for own in memory],
            [],
            [own["step"] for own in memory],
            capturable=self.capturable,
            fused=True if self.fused else None,
            lr=self.learning_rate,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            weight_decay=0,
            amsgrad=False,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """Return the state by name; `restore` loads it."""
        return {
            f"{name}.{key}": value
            for name, own in self.memory.items()
            for key, value in own.items()
        }

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Load what `state` returned."""
        for name, own in self.memory.items():
            for key in own:
                own[key] = memory[f"{name}.{key}"].clone()
