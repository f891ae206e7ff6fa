"""What a trained net owes its user: how often it is right, and whether a layer has died."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ffensembles.models.network import embed, hidden, predict
from ffensembles.models.plain import Task

_LOOKED_AT = 4096  # training images looked at for dead layers


@dataclass(frozen=True)
class Held:
    """Images to measure accuracy on: standardised, label pixels as in training, with classes."""

    x: Tensor
    labels: Tensor
    on: Tensor


def accuracy(
    weights: dict[str, Tensor], task: Task, held: Held, layers: int | None, block: int = 2000
) -> dict[str, Any]:
    """Measure how many held images each layer alone and all together classify correctly."""
    nets, alone = [], []
    with torch.inference_mode():
        for start in range(0, len(held.x), block):
            rows = slice(start, start + block)
            net, each = predict(
                weights, task.recipe, held.x[rows], held.on[rows], task.positions, layers
            )
            nets.append(net == held.labels[rows])
            alone.append(each == held.labels[rows])
    right = torch.cat(nets)
    per_layer = torch.cat(alone, dim=1).float().mean(1).tolist()
    present = held.labels.unique().tolist()
    lost = [c for c in present if c != task.held_out and not right[held.labels == c].any()]
    return {
        "network": round(right.float().mean().item(), 6),
        "layers": [round(value, 6) for value in per_layer],
        "lost_classes": lost,
    }


def dead_layers(
    weights: dict[str, Tensor], task: Task, floor: float
) -> tuple[list[int], list[str]]:
    """Return layers in which no unit exceeds `floor` on any image looked at, and the words."""
    x = task.x[:_LOOKED_AT]
    if task.recipe.spec.reads_labels:
        x = embed(x, task.labels[:_LOOKED_AT], task.on[:_LOOKED_AT], task.positions)
    with torch.inference_mode():
        largest = [float(h.max()) for h in hidden(weights, task.recipe, x)]
    dead = [layer for layer, value in enumerate(largest, 1) if value < floor]
    words = [
        f"layer {layer} is dead: no unit exceeds {floor} (largest: {largest[layer - 1]:.2g})"
        for layer in dead
    ]
    return dead, words
