"""Reading labelled layers: their order, and one class's matrix of activations at a time."""

from collections.abc import Iterable, Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray


def layer_names(tree: xr.DataTree) -> list[str]:
    """Return the names of a tree's layers in order of depth (layer2 before layer10)."""
    return sorted(tree.children, key=lambda name: (len(name), name))


def matrices(
    layer: xr.Dataset, categories: Iterable[int] | None = None, unseen: int | None = None
) -> Iterator[tuple[int, NDArray[np.floating]]]:
    """Yield each category with its matrix X (presentations, units), one at a time.

    X holds the correctly classified presentations; all of them for the `unseen` category, which
    the net could not learn to name, and where `layer` has no coordinate `correct`.

    Parameters
    ----------
    layer
        `activation` (presentation, neuroid), coordinate `label` and, if known, `correct`.
    categories
        Labels of the classes; None for those that `layer` has, ascending.
    unseen
        Label of the class that the net was not trained on.
    """
    labels = layer["label"].values
    correct = layer["correct"].values if "correct" in layer.coords else np.ones(len(labels), bool)
    activation = layer["activation"].transpose("presentation", "neuroid")
    for category in np.unique(labels) if categories is None else categories:
        counts = (labels == category) & (correct | (category == unseen))
        yield int(category), activation.isel(presentation=np.flatnonzero(counts)).values
