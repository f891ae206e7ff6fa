"""Quality of a trained net: its accuracy, and layers in which no unit is active."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ffensembles.models.network import embed, hidden, predict
from ffensembles.models.plain import Task

_SAMPLE = 4096  # training images read to find dead layers


@dataclass(frozen=True)
class TestImages:
    """Images to measure accuracy on: standardised, label pixels as in training, with classes.

    Attributes
    ----------
    x
        (images, pixels).
    labels, label_value
        Class, and value of a lit label pixel, (images,).
    """

    __test__: ClassVar[bool] = False  # not a test class of pytest

    x: Tensor
    labels: Tensor
    label_value: Tensor


def accuracy(
    weights: dict[str, Tensor],
    task: Task,
    test: TestImages,
    layers: int | None,
    block: int = 2000,
) -> dict[str, Any]:
    """Measure the accuracy of the whole net and of each layer alone on test images.

    Parameters
    ----------
    weights, task
        The net.
    test
        The images.
    layers
        Use only so many layers, as while FF is trained; None: all.
    block
        Images computed at once.

    Returns
    -------
    dict
        `network` and `layers`, shares of correct images; `lost_classes`, the classes of which no
        image is classified correctly.
    """
    nets, alone = [], []
    with torch.inference_mode():
        for start in range(0, len(test.x), block):
            rows = slice(start, start + block)
            net, each = predict(
                weights, task.recipe, test.x[rows], test.label_value[rows], task.positions, layers
            )
            nets.append(net == test.labels[rows])
            alone.append(each == test.labels[rows])
    right = torch.cat(nets)
    per_layer = torch.cat(alone, dim=1).float().mean(1).tolist()
    present = test.labels.unique().tolist()
    lost = [c for c in present if c != task.held_out and not right[test.labels == c].any()]
    return {
        "network": round(right.float().mean().item(), 6),
        "layers": [round(value, 6) for value in per_layer],
        "lost_classes": lost,
    }


def dead_layers(
    weights: dict[str, Tensor], task: Task, floor: float
) -> tuple[list[int], list[str]]:
    """Return layers in which no unit exceeds `floor` on a sample of images, and a text for each."""
    x = task.x[:_SAMPLE]
    if task.recipe.spec.reads_labels:
        x = embed(x, task.labels[:_SAMPLE], task.label_value[:_SAMPLE], task.positions)
    with torch.inference_mode():
        largest = [float(h.max()) for h in hidden(weights, task.recipe, x)]
    dead = [layer for layer, value in enumerate(largest, 1) if not value > floor]  # nor does NaN
    words = [
        f"layer {layer} is dead: no unit exceeds {floor} (largest: {largest[layer - 1]:.2g})"
        for layer in dead
    ]
    return dead, words
