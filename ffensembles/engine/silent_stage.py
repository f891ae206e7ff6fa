"""Training of ReLU nets in mini-batches on a CPU: silent units are left out of products.

The result is exact, see `silence`. It gains the more, the fewer units respond to a class; a step
whose units are all active costs what it costs in `batched`.
"""

from torch import Tensor

from ffensembles.engine import silence
from ffensembles.engine.batched import BatchedStage
from ffensembles.models.plain import Task


class SilentStage(BatchedStage):
    """A layer of FF, or the whole of another net, in training; one run."""

    # mean squares of gradients that have been 0 for long are denormal numbers, whose square roots
    # take long; the fused loop does not mind
    fused_adam = True

    @staticmethod
    def serves(task: Task) -> bool:
        """Whether silent units can be left out."""
        on_cpu = task.x.device.type == "cpu"
        return task.recipe.activation == "relu" and not task.whole and on_cpu

    def by_label(self, positive: bool, rows: slice | Tensor) -> slice | Tensor:
        """Sort a batch by the label that is carried: such presentations activate the same units."""
        if isinstance(rows, slice):
            return rows
        return rows.gather(1, self.labels(positive, rows).argsort(dim=1, stable=True))

    def linear(self, layer: int, x: Tensor) -> Tensor:
        """Return a layer's pre-activations (1, presentations, units) on its inputs `x`."""
        weight, bias = self.parameters(layer)
        return silence.product(x if x.dim() == 2 else x[0], weight[0].t(), bias[0])[None]

    def backward(self, layer: int, dz: Tensor) -> Tensor:
        """Return dLoss/dx (1, presentations, inputs) of a layer from its dLoss/dz."""
        return silence.product(dz[0], self.parameters(layer)[0][0])[None]

    def add_outer(self, total: Tensor, dz: Tensor, x: Tensor) -> None:
        """Add dz^T x to a gradient."""
        silence.add_outer(total, dz, x)
