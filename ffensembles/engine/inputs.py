"""Inputs of a layer, computed once: those of a layer of FF do not change while it trains."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ffensembles.engine.matmul import half
from ffensembles.models.network import activate, embed, layer_input
from ffensembles.models.plain import Task


def blocks(n: int, size: int) -> Iterator[slice]:
    """Cut `n` presentations into blocks."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def images(task: Task, block_size: int) -> tuple[Tensor, Tensor]:
    """Return the images with blank label pixels as the first layer reads them, and a lit pixel.

    Every label lights as many pixels with the same value, so that an image's norm does not depend
    on the label that it carries.

    Returns
    -------
    tuple of Tensor
        Images (presentations, pixels); value of a lit label pixel (presentations,).
    """
    if not task.recipe.spec.normalises or not task.recipe.normalise_input:
        return task.x, task.label_value
    x, label_value = torch.empty_like(task.x), torch.empty_like(task.label_value)
    pixel = task.positions[0, 0]
    for rows in blocks(len(x), block_size):
        zeros = torch.zeros_like(task.labels[rows])
        lit = embed(task.x[rows], zeros, task.label_value[rows], task.positions)
        lit = layer_input(lit, task.recipe, 1)
        label_value[rows] = lit[:, pixel]
        lit[:, task.positions.flatten()] = 0
        x[rows] = lit
    return x, label_value


def activations_below(
    task: Task,
    weights: Mapping[str, Tensor],
    layer: int,
    labels: Tensor,
    block_size: int,
    image: Tensor | None = None,
) -> Tensor:
    """Return what `layer` (from 2) reads of all images, or of those in `image`, with `labels`.

    These are the normalised activations of the layer below, (presentations, units).
    """
    recipe = task.recipe
    out = task.x.new_empty(len(task.x), recipe.widths[layer - 2])
    for rows in blocks(len(out), block_size):
        shown = rows if image is None else image[rows]
        h = embed(task.x[shown], labels[rows], task.label_value[shown], task.positions)
        for below in range(1, layer):
            h = layer_input(h, recipe, below)
            weight, bias = (weights[f"layer{below}.{k}"] for k in ("weight", "bias"))
            h = activate(torch.nn.functional.linear(half(h), half(weight), half(bias)), recipe)
        out[rows] = half(layer_input(h, recipe, layer))
    return out
