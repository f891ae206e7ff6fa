"""Hoyer sparsity of representations, by image, class and layer.

Its null are untrained nets (the same frame of a protocol with 0 epochs). For many ReLU units with
normal inputs of mean 0 the expected value is 1 - 1/sqrt(pi) = .44. Shuffled labels are no null,
since the sparsity of an image does not depend on its label.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ffensembles.analyses.registry import RunResults, run_frame
from ffensembles.analyses.tidy import whole_numbers
from ffensembles.representations.layers import layer_names

_BLOCK = 1024  # presentations read at once: 4 chunks of a store


def hoyer(activations: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute Hoyer's sparsity of each row: (sqrt(n) - l1/l2) / (sqrt(n) - 1).

    It is 0 where all values are equal in size and 1 where one alone is not 0 (Hoyer 2004, "Non-
    negative matrix factorization with sparseness constraints", sec. 3.1; Tosato et al. 2025).

    Parameters
    ----------
    activations
        Shape (..., units), at least two units.

    Returns
    -------
    numpy.ndarray
        Shape (...), in [0, 1]; missing (NaN) for a row of zeros, which has no sparsity.

    Raises
    ------
    ValueError
        If there are fewer than two units.

    Examples
    --------
    >>> hoyer(np.array([[3.0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [3, 4, 0, 0]])).round(3)
    array([1. , 0. , nan, 0.6])
    """
    values = np.abs(np.asarray(activations, dtype=np.float64))
    n = values.shape[-1]
    if n < 2:
        raise ValueError(f"activations: sparsity needs at least 2 units, found {n}.")
    largest = values.max(axis=-1, keepdims=True)
    values /= np.where(largest > 0, largest, np.nan)  # squares can neither over- nor underflow
    ratio = values.sum(axis=-1) / np.sqrt((values**2).sum(axis=-1))
    return np.clip((np.sqrt(n) - ratio) / (np.sqrt(n) - 1), 0, 1)


def sparsity_by_image(layer: xr.Dataset) -> xr.DataArray:
    """Compute the sparsity of every presentation of a layer, reading a block at a time.

    Parameters
    ----------
    layer
        Activations of one layer, `activation` (presentation, neuroid), lazily opened or in memory.

    Returns
    -------
    xarray.DataArray
        `sparsity` (presentation) with the coordinates of the presentations; missing for a silent
        one. All presentations are there, correctly classified or not.
    """
    activation = layer["activation"].transpose("presentation", "neuroid")
    count = activation.sizes["presentation"]
    values = np.full(count, np.nan)
    for start in range(0, count, _BLOCK):
        rows = slice(start, start + _BLOCK)
        values[rows] = hoyer(activation.isel(presentation=rows).values)
    coords = {name: c for name, c in layer.coords.items() if c.dims == ("presentation",)}
    return xr.DataArray(values, dims="presentation", coords=coords, name="sparsity")


def sparsity_frame(tree: xr.DataTree) -> pd.DataFrame:
    """Return the mean sparsity of a run's representations by layer and class.

    Counted are the correctly classified presentations, and all of a class that the net was not
    trained on, as when ensembles are found. A presentation to which no unit responds has no
    sparsity: it is left out of the mean and counted in `silent`.

    Parameters
    ----------
    tree
        A run's activations, one group per layer. Of its attributes, `categories` names the classes
        (without it those that occur are taken) and `held_out` is the label of the unseen one.

    Returns
    -------
    pandas.DataFrame
        One row per layer and class and one per layer over all its presentations, whose `category`
        is missing. Columns `layer`, `category`, `sparsity` (mean over presentations that are not
        silent, in [0, 1]; missing if there is none), `silent` (how many are) and
        `n_presentations` (counted ones, silent ones among them; 0 for a lost class).

    Examples
    --------
    >>> layer = xr.Dataset(
    ...     {"activation": (("presentation", "neuroid"), [[2.0, 0], [0, 0], [1, 1], [1, 1]])},
    ...     coords={
    ...         "label": ("presentation", [0, 0, 1, 1]),
    ...         "correct": ("presentation", [True, True, True, False]),
    ...     },
    ... )
    >>> sparsity_frame(xr.DataTree.from_dict({"layer1": layer})).round(3)
       layer  category  sparsity  silent  n_presentations
    0      1         0       1.0       1                2
    1      1         1       0.0       0                1
    2      1      <NA>       0.5       1                3
    """
    names, held_out = tree.attrs.get("categories"), tree.attrs.get("held_out")
    categories = None if names is None else range(len(names))
    rows = [
        {"layer": int(name.removeprefix("layer")), **row}
        for name in layer_names(tree)
        for row in _by_category(sparsity_by_image(tree[name].to_dataset()), categories, held_out)
    ]
    return whole_numbers(pd.DataFrame(rows))


def _by_category(
    sparsity: xr.DataArray, categories: Iterable[int] | None, held_out: int | None
) -> list[dict[str, Any]]:
    labels, values = sparsity["label"].values, sparsity.values
    counts = labels == held_out
    counts |= sparsity["correct"].values if "correct" in sparsity.coords else True
    wanted = np.unique(labels) if categories is None else categories
    selections = [(int(category), counts & (labels == category)) for category in wanted]
    return [_mean(category, values[where]) for category, where in [*selections, (None, counts)]]


def _mean(category: int | None, values: NDArray[np.float64]) -> dict[str, Any]:
    known = values[~np.isnan(values)]
    return {
        "category": category,
        "sparsity": known.mean() if len(known) else np.nan,
        "silent": len(values) - len(known),
        "n_presentations": len(values),
    }


@run_frame("sparsity")
def _sparsity(results: RunResults) -> pd.DataFrame:
    return sparsity_frame(results.activations)
