"""Interventions on a trained net: units silenced, units stimulated, units removed.

Activations are read once for every label that an image can carry; an intervention in a layer
computes the layers above it again, by the model's own forward pass (`models.network`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ffensembles.datasets.prepare import Presentations
from ffensembles.models.network import embed, hidden, norm, predict, readout, vote
from ffensembles.models.recipe import Recipe

Units = NDArray[np.int64]


@dataclass(frozen=True)
class Net:
    """A net with what it needs to read images.

    Attributes
    ----------
    weights
        As `models.network` has them.
    recipe
        Its mathematics.
    positions
        Pixel of each label in every channel, (channels, labels).
    """

    weights: Mapping[str, Tensor]
    recipe: Recipe
    positions: Tensor

    @classmethod
    def of(
        cls, weights: Mapping[str, NDArray[np.float32]], recipe: Recipe, images: Presentations
    ) -> Net:
        """Return the net of some weights that reads images such as these."""
        tensors = {name: torch.from_numpy(values) for name, values in weights.items()}
        return cls(tensors, recipe, torch.from_numpy(images.positions))

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return sum(values.numel() for values in self.weights.values())

    @property
    def multiply_adds(self) -> int:
        """Multiplications of a weight that it takes to predict the class of one image.

        A net that reads labels reads every image once with each of them.
        """
        once = sum(w.numel() for name, w in self.weights.items() if name.endswith(".weight"))
        return once * (self.positions.shape[1] if self.recipe.spec.reads_labels else 1)


@dataclass(frozen=True)
class Images:
    """Images as a net reads them: (images, pixels); label, value of a lit pixel: (images,)."""

    x: Tensor
    labels: Tensor
    on: Tensor

    @classmethod
    def of(cls, images: Presentations, rows: NDArray[np.int64]) -> Images:
        """Return some of the images of a split."""
        parts = (images.x, images.labels, images.on)
        return cls(*(torch.from_numpy(np.ascontiguousarray(one[rows])) for one in parts))

    def labelled(self, net: Net) -> Tensor:
        """Return the images with their own label, as the net reads them."""
        if not net.recipe.spec.reads_labels:
            return self.x
        return embed(self.x, self.labels, self.on, net.positions)


Reading = list[list[Tensor]]
"""For each label that the images carry in turn, the activations of every hidden layer.

A net that reads no labels has one entry.
"""


def read(net: Net, images: Images) -> Reading:
    """Read every hidden layer on images that carry each label in turn."""
    with torch.inference_mode():
        if not net.recipe.spec.reads_labels:
            return [hidden(net.weights, net.recipe, images.x)]
        readings = []
        for label in range(net.positions.shape[1]):
            carried = torch.full((len(images.x),), label)
            x = embed(images.x, carried, images.on, net.positions)
            readings.append(hidden(net.weights, net.recipe, x))
        return readings


def predict_silenced(net: Net, reading: Reading, layer: int, units: Units) -> NDArray[np.int64]:
    """Predict classes with some units of a layer clamped to 0.

    Parameters
    ----------
    net
        The net.
    reading
        What it does on the images, see `read`.
    layer
        The layer, from 1.
    units
        The units that are silenced.

    Returns
    -------
    numpy.ndarray
        The predicted class of each image, by the model's own rule.
    """
    which = torch.from_numpy(np.asarray(units, np.int64))
    with torch.inference_mode():
        changed = []
        for layers in reading:
            clamped = layers[layer - 1].index_fill(1, which, 0.0)
            above = hidden(net.weights, net.recipe, clamped, below=layer)
            changed.append([*layers[: layer - 1], clamped, *above])
        return decide(net, changed)


def decide(net: Net, reading: Reading) -> NDArray[np.int64]:
    """Predict classes from what a net does on images, by the model's own rule."""
    if net.recipe.spec.readout:
        found = readout(net.weights, reading[0][-1]).argmax(1)
    else:
        per_label = [
            torch.stack([norm(h, net.recipe.goodness) for h in layers]) for layers in reading
        ]
        found = vote(torch.stack(per_label, dim=2), net.recipe)
    return found.numpy()


def stimulated(net: Net, first: Tensor, units: Units, values: NDArray[np.floating]) -> list[Tensor]:
    """Return the layers above the first one, with units of that clamped to values.

    Parameters
    ----------
    net
        The net.
    first
        Activations of layer 1, (images, units).
    units, values
        The units that are stimulated, and the activation of each.
    """
    with torch.inference_mode():
        clamped = first.clone()
        clamped[:, torch.from_numpy(np.asarray(units, np.int64))] = torch.from_numpy(
            np.asarray(values, np.float32)
        )
        return hidden(net.weights, net.recipe, clamped, below=1)


def pruned(net: Net, kept: Sequence[Units]) -> Net:
    """Return a smaller net: of each hidden layer only some units, with smaller matrices.

    Parameters
    ----------
    net
        The net.
    kept
        The units of each hidden layer that stay, ascending.
    """
    weights: dict[str, Tensor] = {}
    below: Tensor | None = None
    for layer, units in enumerate(kept, 1):
        which = torch.from_numpy(np.asarray(units, np.int64))
        weight = net.weights[f"layer{layer}.weight"][which]
        weights[f"layer{layer}.weight"] = (
            weight if below is None else weight[:, below]
        ).contiguous()
        weights[f"layer{layer}.bias"] = net.weights[f"layer{layer}.bias"][which]
        below = which
    if net.recipe.spec.readout:
        weights["readout.weight"] = net.weights["readout.weight"][:, below].contiguous()
        weights["readout.bias"] = net.weights["readout.bias"]
    widths = tuple(len(units) for units in kept)
    return Net(weights, net.recipe.but(widths=widths), net.positions)


def predicted(net: Net, images: Images) -> NDArray[np.int64]:
    """Predict the class of images by the model's own rule."""
    with torch.inference_mode():
        found, _ = predict(net.weights, net.recipe, images.x, images.on, net.positions)
    return found.numpy()
