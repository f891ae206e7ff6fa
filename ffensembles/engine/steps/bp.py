"""The gradients of BP: cross-entropy of the readout, and the l1 norm of activations."""

from torch import Tensor

from ffensembles.engine.algebra import take
from ffensembles.engine.batched import BatchedStage
from ffensembles.engine.slopes import activation_slope
from ffensembles.models.network import activate


def add_gradients(stage: BatchedStage, rows: slice | Tensor, n: int) -> None:
    """Add a block's part to the gradients of BP."""
    recipe, rows = stage.recipe, stage.by_label(True, rows)
    names = [*range(1, len(recipe.widths) + 1), 0]
    h = [take(stage.x, rows)]
    for layer in names[:-1]:
        h.append(activate(stage.linear(layer, h[-1]), recipe))
    logits = stage.linear(0, h[-1])
    log_probabilities = logits.log_softmax(-1)
    labels = stage.labels(True, rows)[..., None]
    penalty = recipe.l1_penalty
    if penalty:
        stage.seen[0] += penalty * sum(a.abs().sum((-2, -1)) for a in h[1:])
    stage.seen[0] -= log_probabilities.gather(-1, labels)[..., 0].sum(1) / n
    dz = log_probabilities.exp_()
    dz.scatter_(-1, labels, dz.gather(-1, labels) - 1).div_(n)
    for place in range(len(names) - 1, -1, -1):
        stage.add(names[place], h[place], dz, None)
        if place:
            dh = stage.backward(names[place], dz)
            if penalty:
                dh.add_(h[place].sign(), alpha=penalty)
            dz = dh.mul_(activation_slope(h[place], recipe))
