"""What all methods share: applying a method to each class, and how results are labelled."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ffensembles.errors import ConfigError
from ffensembles.representations.layers import matrices

Found = dict[str, NDArray[Any]]


def ensemble_sizes(found: xr.Dataset) -> xr.DataArray:
    """Count the active units of each category; a lost category's size is missing (NaN).

    Parameters
    ----------
    found
        What a method returned: `active` (category, neuroid), with more dimensions or none, and
        `n_presentations` (category).

    Returns
    -------
    xarray.DataArray
        `size`, in units, over the dimensions of `active` but `neuroid`.

    Examples
    --------
    >>> found = xr.Dataset(
    ...     {
    ...         "active": (("category", "neuroid"), [[True, True, False], [False] * 3]),
    ...         "n_presentations": ("category", [12, 0]),
    ...     }
    ... )
    >>> ensemble_sizes(found).values.tolist()
    [2.0, nan]
    """
    return found["active"].sum("neuroid").where(found["n_presentations"] > 0).rename("size")


def by_category(
    layer: xr.Dataset,
    find: Callable[[NDArray[np.floating]], Found],
    dims: Mapping[str, tuple[str, ...]],
    which: tuple[Iterable[int] | None, int | None],
    coords: dict[str, NDArray[Any]] | None = None,
) -> xr.Dataset:
    """Apply `find` to each category's matrix and label what it returns.

    Parameters
    ----------
    layer
        As methods take it: `activation` (presentation, neuroid) with labels.
    find
        Takes a category's matrix (presentations, units), which has a row at least, and returns
        arrays by name, `active` among them.
    dims
        Their dimensions; `mean` (neuroid) is added.
    which
        Labels to look for, and the label of a class that the net was not trained on. For None the
        layer's attributes `categories` and `held_out` say it, as an opened store has them;
        without these it is the labels that occur, and no class.
    coords
        Coordinates of dimensions other than category and neuroid.

    Returns
    -------
    xarray.Dataset
        Each variable with `category` as a dimension, and `n_presentations` (category). A category
        without presentations has no active unit, and is missing (NaN) in all else.
    """
    categories, unseen = which
    if categories is None and "categories" in layer.attrs:
        categories = range(len(layer.attrs["categories"]))
    unseen = layer.attrs.get("held_out") if unseen is None else unseen
    sizes = {"neuroid": layer.sizes["neuroid"], **{k: len(v) for k, v in (coords or {}).items()}}
    dims = {**dims, "mean": ("neuroid",)}
    found: list[Found] = []
    labels: list[int] = []
    counts: list[int] = []
    for category, x in matrices(layer, categories, unseen):
        labels.append(category)
        counts.append(len(x))
        if len(x):
            found.append({**find(x), "mean": x.mean(axis=0, dtype=np.float64)})
        else:  # a lost category
            shapes = {name: tuple(sizes[dim] for dim in dims[name]) for name in dims}
            found.append({name: np.full(shape, np.nan) for name, shape in shapes.items()})
            found[-1]["active"] = np.zeros(shapes["active"], dtype=bool)
    variables = {
        name: xr.DataArray(np.stack([one[name] for one in found]), dims=("category", *dims[name]))
        for name in dims
    }
    neuroid = {name: c for name, c in layer.coords.items() if c.dims == ("neuroid",)}
    return xr.Dataset(
        {**variables, "n_presentations": ("category", np.asarray(counts, dtype=np.int64))},
        coords={**neuroid, **(coords or {}), "category": np.asarray(labels, dtype=np.int64)},
    ).transpose("quantile", "category", "neuroid", missing_dims="ignore")


def check_between(
    name: str, values: Iterable[float], low: float, high: float, ends: bool = False
) -> None:
    """Raise ConfigError unless every value lies between two numbers, or at their `ends`."""
    for value in values:
        if not (low <= value <= high if ends else low < value < high):
            brackets = "[]" if ends else "()"
            raise ConfigError(
                f"{name}: found {value}, allowed is {brackets[0]}{low}, {high}{brackets[1]}."
            )
