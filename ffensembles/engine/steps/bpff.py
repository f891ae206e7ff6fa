"""The gradients of BP/FF, through all layers."""

import torch
from torch import Tensor

from ffensembles.engine.algebra import rows_of, take
from ffensembles.engine.batched import BatchedStage
from ffensembles.engine.pooled import Pooled, join
from ffensembles.engine.slopes import activation_slope, add_norm_slope, norm_given_peak
from ffensembles.models.network import SMALLEST, activate


def add_gradients(stage: BatchedStage, rows: slice | Tensor, n: int) -> None:
    """Add a block's part to the gradients of BP/FF."""
    if stage.unpaired(rows):
        for positive in (True, False):
            x = stage.side(positive, stage.by_label(positive, rows))
            dz = _through(stage, stage.linear(1, x), positive, n)
            stage.add(1, x, dz, None)
        return
    rows = stage.by_label(True, rows)
    x, label_value = take(stage.x, rows), take(stage.label_value, rows)
    shared = stage.linear(1, x)
    first = None
    for positive in (True, False):
        pooled = None if positive else stage.pooled_negatives(rows)
        z, label_pixels = stage.add_labels(shared, label_value, positive, rows, pooled)
        dz = _through(stage, z, positive, n, pooled)
        stage.add_label_pixels(label_pixels, dz, None)
        first = dz if first is None else join(first, dz, pooled)
    assert first is not None
    stage.add(1, x, first, None)


def _through(
    stage: BatchedStage, z: Tensor, positive: bool, n: int, pooled: Pooled | None = None
) -> Tensor:
    """Go forwards and backwards from the first layer's pre-activation; return dLoss/dz of it.

    Adds to the gradients of all layers but the first.
    """
    recipe, top = stage.recipe, len(stage.recipe.widths)
    h, read = [activate(z, recipe)], [z]
    goodness, sizes, winners = [], [], []
    for layer in range(1, top + 1):
        peak = h[-1].max(-1)
        goodness.append(norm_given_peak(h[-1], peak.values, recipe.goodness))
        sizes.append(norm_given_peak(h[-1], peak.values, recipe.normalisation))
        winners.append(peak.indices)
        if layer < top:
            read.append(h[-1] / sizes[-1].clamp_min(SMALLEST)[..., None])
            h.append(activate(stage.linear(layer + 1, read[-1]), recipe))
    stage.mark(winners[-1], pooled)
    slopes = _slopes(stage, torch.stack(goodness), positive, n, pooled)
    local = recipe.objective == "local"  # no gradient goes from a layer to the one below

    dn = z.new_empty(0)  # dLoss/dn, where n is what the layer above reads
    for layer in range(top, 0, -1):
        own, below = h[layer - 1], read[layer - 1]
        g, m, winner = goodness[layer - 1], sizes[layer - 1], winners[layer - 1]
        dloss_dgoodness = slopes[layer - 1]
        alone = local or layer == top
        if alone and layer > 1 and recipe.goodness == "linf":  # one unit per presentation
            dz = dloss_dgoodness * activation_slope(g, recipe)
            stage.add(layer, below, dz, winner)
            if not local:
                dn = rows_of(stage.parameters(top)[0], winner).mul_(dz[..., None])
            continue
        if alone:
            dh = torch.zeros_like(own)
        else:
            inward = (dn * read[layer]).sum(-1) / m.clamp_min(SMALLEST)
            inward *= m > SMALLEST  # a smaller norm does not divide
            dh = dn.div_(m.clamp_min(SMALLEST)[..., None])
            add_norm_slope(dh, own, m, winner, recipe.normalisation, -inward)
        add_norm_slope(dh, own, g, winner, recipe.goodness, dloss_dgoodness)
        dz = dh.mul_(activation_slope(own, recipe))
        if layer > 1:
            stage.add(layer, below, dz, None)
            if not local:
                dn = stage.backward(layer, dz)
    return dz


def _slopes(
    stage: BatchedStage, goodness: Tensor, positive: bool, n: int, pooled: Pooled | None
) -> list[Tensor] | Tensor:
    """Return dLoss/dgoodness of each layer, from that of all, (layers, runs, presentations).

    Slopes of one loss are the loss's own slope times the derivative of what is taken over layers.
    """
    objective = stage.recipe.objective
    if objective in ("layers", "local"):
        return [stage.dloss_dgoodness(g, positive, n, pooled) for g in goodness]
    if objective == "max":
        largest = goodness.max(0)
        slope = stage.dloss_dgoodness(largest.values, positive, n, pooled)
        return torch.zeros_like(goodness).scatter_(0, largest.indices[None], slope[None])
    share = 1 / len(goodness) if objective == "mean" else 1.0
    slope = stage.dloss_dgoodness(goodness.sum(0) * share, positive, n, pooled) * share
    return [slope] * len(goodness)
