"""The gradients of one layer of FF."""

import torch
from torch import Tensor

from ffensembles.engine.algebra import take
from ffensembles.engine.batched import BatchedStage
from ffensembles.engine.pooled import Pooled, join
from ffensembles.engine.slopes import activation_slope, add_norm_slope
from ffensembles.models.network import activate, norm


def add_gradients(stage: BatchedStage, rows: slice | Tensor, n: int) -> None:
    """Add a block's part to the gradients of one layer of FF."""
    if stage.layer > 1 or stage.unpaired(rows):
        for positive in (True, False):
            x = stage.side(positive, stage.by_label(positive, rows))
            z = stage.linear(stage.layer, x)
            stage.add(stage.layer, x, *goodness_gradient(stage, z, positive, n))
        return
    rows = stage.by_label(True, rows)
    x, label_value = take(stage.x, rows), take(stage.label_value, rows)
    shared = stage.linear(1, x)
    parts = []
    for positive in (True, False):
        pooled = None if positive else stage.pooled_negatives(rows)
        z, label_pixels = stage.add_labels(shared, label_value, positive, rows, pooled)
        dz, winner = goodness_gradient(stage, z, positive, n, pooled)
        parts.append((dz, winner))
        stage.add_label_pixels(label_pixels, dz, winner)
    if stage.recipe.goodness == "linf":
        for (dz, winner), shown in zip(parts, (None, pooled), strict=True):
            stage.add(1, x if shown is None else x[shown.image], dz, winner)
    else:
        stage.add(1, x, join(parts[0][0], parts[1][0], pooled), None)


def goodness_gradient(
    stage: BatchedStage, z: Tensor, positive: bool, n: int, pooled: Pooled | None = None
) -> tuple[Tensor, Tensor | None]:
    """Return dLoss/dz of one layer's goodness: of all units, or of the winners alone.

    With l-inf goodness the gradient of all other units is zero. It is then (runs, presentations),
    returned with the winning units; otherwise (runs, presentations, units).
    """
    recipe = stage.recipe
    if recipe.goodness == "linf" and recipe.activation == "sigmoid":
        largest = z.max(-1)  # the sigmoid rises: the largest activation is at the same unit
        g, winner = activate(largest.values, recipe), largest.indices
        dloss_dgoodness = stage.dloss_dgoodness(g, positive, n, pooled)
        stage.mark(winner, pooled)
        return dloss_dgoodness * activation_slope(g, recipe), winner
    h = activate(z, recipe)
    peak = h.max(-1)
    stage.mark(peak.indices, pooled)
    if recipe.goodness == "linf":
        dloss_dgoodness = stage.dloss_dgoodness(peak.values, positive, n, pooled)
        return dloss_dgoodness * activation_slope(peak.values, recipe), peak.indices
    g = norm(h, recipe.goodness)
    dloss_dgoodness, dh = stage.dloss_dgoodness(g, positive, n, pooled), torch.zeros_like(h)
    add_norm_slope(dh, h, g, peak.indices, recipe.goodness, dloss_dgoodness)
    if recipe.activation == "relu":  # the norm's derivative is 0 where the unit's is
        return dh, None
    return dh.mul_(activation_slope(h, recipe)), None
