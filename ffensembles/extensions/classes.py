"""The matrix of each class in each layer of a run, the images themselves being layer 0."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ffensembles.ensembles import layer_names, matrices
from ffensembles.extensions.runs import ExtensionRun

IMAGES = 0
"""The layer of the baseline: the images as the net reads them, without a lit label pixel."""


@dataclass(frozen=True)
class ClassMatrix:
    """What a layer does on the images of one class that analyses count.

    Attributes
    ----------
    layer, category
        The layer, 0 for the images themselves; the label of the class.
    x
        Activations or pixels, (images, units).
    stimulus_id
        The images' indices in the official split, (images,).
    mantissa_bits
        Bits that the store kept of each value; None: all of them.
    """

    layer: int
    category: int
    x: NDArray[np.floating]
    stimulus_id: NDArray[np.int64]
    mantissa_bits: int | None


def class_matrices(run: ExtensionRun) -> Iterator[ClassMatrix]:
    """Yield the matrix of every class in every layer, images first, one at a time.

    Only correctly classified images count. A class without one gives an empty matrix.
    """
    tree = run.activations
    layers = {name: tree[name].to_dataset() for name in layer_names(tree)}
    layers = {f"layer{IMAGES}": images_as_layer(run, next(iter(layers.values()))), **layers}
    for name, layer in layers.items():
        bits = layer["activation"].attrs.get("mantissa_bits")
        labels, correct = layer["label"].values, layer["correct"].values
        for category, x in matrices(layer, range(len(run.categories))):
            yield ClassMatrix(
                int(name.removeprefix("layer")),
                category,
                x,
                layer["stimulus_id"].values[(labels == category) & correct],
                None if bits is None else int(bits),
            )


def images_as_layer(run: ExtensionRun, like: xr.Dataset) -> xr.Dataset:
    """Return the pixels of a layer's images, with the layer's coordinates of presentations."""
    images = run.test_images
    order = np.argsort(images.stimulus_id)
    wanted = like["stimulus_id"].values
    rows = order[np.searchsorted(images.stimulus_id, wanted, sorter=order)]
    coords = {name: c for name, c in like.coords.items() if c.dims == ("presentation",)}
    return xr.Dataset({"activation": (("presentation", "neuroid"), images.x[rows])}, coords=coords)
