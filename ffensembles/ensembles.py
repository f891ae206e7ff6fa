"""Finding a category's ensemble: the units of a layer that it makes prominently active.

Every method is one function. It takes a layer, an xarray Dataset with `activation`
(presentation, neuroid) and the coordinates `label` and, where it is known, `correct` on
presentation, and returns a Dataset over (category, neuroid) with at least

* `active` (bool): whether the unit belongs to the category's ensemble;
* `mean`: the unit's mean activation over the category's presentations, ``<x>``;
* `n_presentations` (category): how many presentations that rests on.

Only correctly classified presentations count (Tosato et al. 2023, sec. 3.4). A category without
one is *lost*: it has 0 presentations, NaN in place of every number, no active unit, and a missing
size (`ensemble_sizes`), which is something else than an empty ensemble.

To add a method, write such a function and name it in `METHODS`.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ffensembles.errors import ConfigError

Found = dict[str, NDArray[Any]]


def method1(
    layer: xr.Dataset,
    quantiles: Sequence[float] = (0.95,),
    saturated: bool = True,
    *,
    categories: Iterable[int] | None = None,
    unseen: int | None = None,
) -> xr.Dataset:
    """Find units whose median over presentations exceeds a quantile of all values (Method 1).

    The threshold is the quantile of all values of the category's (presentations, units) matrix X
    (Tosato et al. 2023, sec. 3.4). Two things follow from that definition alone:

    * *A floor.* Where activations barely depend on the presentation, the ``(1 - q) * n`` units
      with the highest medians pass, whatever the layer does. It is returned as `floor`.
    * *A ceiling.* An active unit holds at least half of its values above the threshold, so at
      most ``2 * (1 - q) * n`` units pass. Where more than ``1 - q`` of the values have run into
      a sigmoid's 1, the threshold is 1 and no median exceeds it.

    The study reports ensembles of BP beyond that ceiling (287.7 of 784 units at 0.95, where it
    is 78.4), so units in saturation were counted there. Hence `saturated`: a median that equals
    the largest value of X counts as exceeding any threshold.

    Parameters
    ----------
    layer
        Activations of one layer, see the module's description.
    quantiles
        Quantiles q in (0, 1).
    saturated
        Whether units whose median is the largest value of X are active; False is the definition
        to the letter. It matters only where values are tied at the top.
    categories
        Labels to look for; None takes those that occur.
    unseen
        Label of a class the net was not trained on: all its presentations count.

    Returns
    -------
    xarray.Dataset
        `active` (quantile, category, neuroid); `threshold` (quantile, category); `floor`
        (quantile), in units; `mean`, `median` (category, neuroid); `n_presentations` (category).

    Examples
    --------
    >>> layer = xr.Dataset(
    ...     {"activation": (("presentation", "neuroid"), [[0.9, 0.1, 0.0], [0.7, 0.0, 0.1]])},
    ...     coords={"label": ("presentation", [4, 4]), "correct": ("presentation", [True, True])},
    ... )
    >>> found = method1(layer, quantiles=[0.5, 0.75])
    >>> found.threshold.sel(category=4).values.round(3).tolist()
    [0.1, 0.55]
    >>> found.active.sel(category=4, quantile=0.75).values.tolist()
    [True, False, False]
    """
    _check_between("quantiles", quantiles, 0, 1)

    def find(x: NDArray[np.floating]) -> Found:
        threshold = np.quantile(x, quantiles)
        median = np.median(x, axis=0)
        active = median > threshold[:, np.newaxis]
        if saturated and x.min() < x.max():
            active |= median == x.max()
        return {"threshold": threshold, "median": median, "active": active}

    q = np.asarray(quantiles, dtype=float)
    found = _by_category(
        layer,
        find,
        {
            "active": ("quantile", "neuroid"),
            "threshold": ("quantile",),
            "median": ("neuroid",),
        },
        (categories, unseen),
        {"quantile": q},
    )
    found["floor"] = ("quantile", (1 - q) * found.sizes["neuroid"])
    return found.assign_attrs(method="method1", saturated=int(saturated))


def method2(
    layer: xr.Dataset,
    epsilon: float = 0.2,
    max_rho: float = 0.8,
    max_n_h: float = 0.25,
    *,
    upper_bound: float | None = 1.0,
    categories: Iterable[int] | None = None,
    unseen: int | None = None,
) -> xr.Dataset:
    """Find units in the low corner of the diagram of density and rank (Method 2).

    For each unit's mean activation ``<x>``, `n_h` counts the units with a higher mean and `rho`
    is the density of means around it: the number of units, itself included, within `epsilon` of
    its mean, divided by the width of that window, ``2 * epsilon``, or, where the window reaches
    beyond `upper_bound`, ``epsilon + min(epsilon, upper_bound - <x>)`` (Tosato et al. 2023,
    sec. 3.4). A prominent unit has few units near it and few above it.

    The study's cut is not published. Here it is a box whose two sides are shares of the layer,
    so that it means the same for every width and epsilon: `rho` at most `max_rho` times
    ``n / (2 * epsilon)``, the density if the whole layer lay within epsilon, and `n_h` at most
    `max_n_h` times n. The first says that the unit stands more than epsilon away from the quiet
    bulk of the layer, whatever the bulk's level; the second, that it stands on its upper side.

    The defaults are those that relate sizes by the two methods as published
    (results/README.md). What they do shows in a layer of two levels, a share a of it at 1 and
    the rest quiet. The window at 1 is half as wide, so the density there is ``2 * a`` of the
    whole: units at 1 are prominent where at most 0.4 of the layer is, as in layer 1 of BP, and
    then the strongest quarter of the layer at most. The quiet ones' density is ``1 - a`` and a of
    the layer is above them: both sides let them in only if a is between 0.2 and 0.25.

    Parameters
    ----------
    layer
        Activations of one layer, see the module's description.
    epsilon
        Half width of the window, in units of activation, above 0.
    max_rho, max_n_h
        Sides of the box in [0, 1], as shares of the layer.
    upper_bound
        Largest value an activation can have: 1 for a sigmoid. None, or activations beyond it
        (ReLU): the window is ``2 * epsilon`` wide everywhere.
    categories
        Labels to look for; None takes those that occur.
    unseen
        Label of a class the net was not trained on: all its presentations count.

    Returns
    -------
    xarray.Dataset
        `active`, `mean`, `rho` (units per unit of activation), `n_h` (units), all (category,
        neuroid); `n_presentations` (category); attributes `rho_cut` and `n_h_cut` hold the sides
        of the box in the units of `rho` and `n_h`.

    Examples
    --------
    One unit at 0.5 above three quiet ones: nobody is near it and nobody above it.

    >>> layer = xr.Dataset(
    ...     {"activation": (("presentation", "neuroid"), [[0.5, 0.0, 0.1, 0.1]])},
    ...     coords={"label": ("presentation", [2])},
    ... )
    >>> found = method2(layer, epsilon=0.25, max_rho=0.5, max_n_h=0.5).sel(category=2)
    >>> found.rho.values.tolist(), found.n_h.values.tolist()
    ([2.0, 6.0, 6.0, 6.0], [0.0, 3.0, 1.0, 1.0])
    >>> found.active.values.tolist()
    [True, False, False, False]
    """
    if not epsilon > 0:
        raise ConfigError(f"epsilon: found {epsilon}, allowed is a number above 0.")
    _check_between("max_rho, max_n_h", (max_rho, max_n_h), 0, 1, ends=True)
    cut = _box(layer.sizes["neuroid"], epsilon, max_rho, max_n_h)
    if upper_bound is not None and float(layer["activation"].max()) > upper_bound:
        upper_bound = None

    def find(x: NDArray[np.floating]) -> Found:
        rho, n_h = density_and_rank(x.mean(axis=0, dtype=np.float64), epsilon, upper_bound)
        return {"rho": rho, "n_h": n_h, "active": _in_box(rho, n_h, cut)}

    dims = {name: ("neuroid",) for name in ("active", "rho", "n_h")}
    found = _by_category(layer, find, dims, (categories, unseen))
    return found.assign_attrs(method="method2", epsilon=float(epsilon), **cut)


def recut(found: xr.DataTree, **sides: float) -> xr.DataTree:
    """Draw Method 2's box anew around what it found before; densities and ranks stay.

    Parameters
    ----------
    found
        Ensembles of a run by Method 2.
    sides
        `max_rho` or `max_n_h`, or both, as for `method2`; a side not named stays.
    """
    layers = {}
    for name in layer_names(found):
        layer = found[name].to_dataset()
        known = {side: layer.attrs[side] for side in ("max_rho", "max_n_h")} | sides
        cut = _box(layer.sizes["neuroid"], layer.attrs["epsilon"], **known)
        active = _in_box(layer["rho"], layer["n_h"], cut)
        layers[name] = layer.assign(active=active).assign_attrs(cut)
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=found.attrs), **layers})


def _box(n: int, epsilon: float, max_rho: float, max_n_h: float) -> dict[str, float]:
    """Return the sides of Method 2's box, as shares and in the units of density and rank."""
    return {
        "max_rho": float(max_rho),
        "max_n_h": float(max_n_h),
        "rho_cut": float(max_rho * n / (2 * epsilon)),
        "n_h_cut": float(max_n_h * n),
    }


def _in_box(rho: Any, n_h: Any, cut: Mapping[str, float]) -> Any:
    return (rho <= cut["rho_cut"]) & (n_h <= cut["n_h_cut"])


def density_and_rank(
    mean: NDArray[np.floating], epsilon: float, upper_bound: float | None = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `rho` and `n_h` of `method2` for each of the means (n,), in n log n steps."""
    mean = np.asarray(mean, dtype=np.float64)
    ordered = np.sort(mean)
    near = np.searchsorted(ordered, mean + epsilon, side="right")
    near -= np.searchsorted(ordered, mean - epsilon, side="left")
    above = epsilon if upper_bound is None else np.minimum(epsilon, upper_bound - mean)
    n_h = mean.size - np.searchsorted(ordered, mean, side="right")
    return near / (epsilon + above), n_h.astype(np.float64)


def loo(
    layer: xr.Dataset,
    k: float = 1.0,
    *,
    categories: Iterable[int] | None = None,
    unseen: int | None = None,
) -> xr.Dataset:
    """Find units whose mean exceeds (k + 1) times the mean of the others' (leave one out).

    With s the sum of the n means that is ``mean > (k + 1) * s / (n + k)``, which needs no loop.
    It is the definition of the study's later version (Tosato et al. 2025).

    Parameters
    ----------
    layer
        Activations of one layer, see the module's description.
    k
        How far beyond the others a unit must stand, at least 0.
    categories
        Labels to look for; None takes those that occur.
    unseen
        Label of a class the net was not trained on: all its presentations count.

    Returns
    -------
    xarray.Dataset
        `active`, `mean` (category, neuroid); `threshold`, `n_presentations` (category).

    Examples
    --------
    >>> layer = xr.Dataset(
    ...     {"activation": (("presentation", "neuroid"), [[0.5, 0.1, 0.1, 0.3]])},
    ...     coords={"label": ("presentation", [2])},
    ... )
    >>> loo(layer, k=1).active.sel(category=2).values.tolist()
    [True, False, False, False]
    """
    if not k >= 0:
        raise ConfigError(f"k: found {k}, allowed is a number from 0.")

    def find(x: NDArray[np.floating]) -> Found:
        mean = x.mean(axis=0, dtype=np.float64)
        threshold = (k + 1) * mean.sum() / (mean.size + k)
        return {"threshold": np.asarray(threshold), "active": mean > threshold}

    dims = {"active": ("neuroid",), "threshold": ()}
    found = _by_category(layer, find, dims, (categories, unseen))
    return found.assign_attrs(method="loo", k=float(k))


METHODS: dict[str, Callable[..., xr.Dataset]] = {
    "method1": method1,
    "method2": method2,
    "loo": loo,
}
"""Every way to find ensembles, by its name in configuration, paths and tables."""


def find_ensembles(tree: xr.DataTree, method: str, **parameters: Any) -> xr.DataTree:
    """Find the ensembles of every layer of a run by one of the `METHODS`.

    Parameters
    ----------
    tree
        A run's activations: one group per layer. Its attributes `categories` (names of the
        classes) and `held_out` (label of the class it was trained without, or None) say which
        categories are looked for and which of them was unseen.
    method
        Name of a method.
    parameters
        That method's own.

    Returns
    -------
    xarray.DataTree
        The method's Dataset for each layer; the run's attributes, the method and its parameters.

    Raises
    ------
    ConfigError
        If there is no such method, or it cannot take these parameters.
    """
    if method not in METHODS:
        near = difflib.get_close_matches(method, METHODS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ConfigError(f"method: found {method!r}, allowed are {', '.join(METHODS)}.{hint}")
    names = tree.attrs.get("categories")
    options = {
        "categories": None if names is None else range(len(names)),
        "unseen": tree.attrs.get("held_out"),
        **parameters,
    }
    layers = {
        name: METHODS[method](tree[name].to_dataset(), **options) for name in layer_names(tree)
    }
    attrs = {**tree.attrs, "method": method, "parameters": dict(parameters)}
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=attrs), **layers})


def shuffled(tree: xr.DataTree, seed: int) -> xr.DataTree:
    """Permute the labels of a run's correctly classified presentations; activations stay.

    What ensembles are found then is the null of every statement on them: what they would be if
    activations did not depend on the category.

    Parameters
    ----------
    tree
        A run's activations: one group per layer, with coordinates `label` and, where it is
        known, `correct`.
    seed
        Draws the permutation, the same for every layer.
    """
    layers = {}
    for name in layer_names(tree):
        layer = tree[name].to_dataset()
        label = layer["label"].values.copy()
        there = layer["correct"].values if "correct" in layer.coords else np.ones(len(label), bool)
        label[there] = np.random.default_rng(seed).permutation(label[there])
        layers[name] = layer.assign_coords(label=("presentation", label))
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=tree.attrs), **layers})


def layer_names(tree: xr.DataTree) -> list[str]:
    """Return the names of a tree's layers in order of depth (layer2 before layer10)."""
    return sorted(tree.children, key=lambda name: (len(name), name))


def ensemble_sizes(found: xr.Dataset) -> xr.DataArray:
    """Count the active units of each category; a lost category's size is missing (NaN).

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


def matrices(
    layer: xr.Dataset, categories: Iterable[int] | None = None, unseen: int | None = None
) -> Iterator[tuple[int, NDArray[np.floating]]]:
    """Yield each category with its matrix X (presentations, units), one at a time.

    X holds the correctly classified presentations; all of them for the `unseen` category, which
    the net could not learn to name, and where `layer` has no coordinate `correct`.
    """
    labels = layer["label"].values
    correct = layer["correct"].values if "correct" in layer.coords else np.ones(len(labels), bool)
    activation = layer["activation"].transpose("presentation", "neuroid")
    for category in np.unique(labels) if categories is None else categories:
        counts = (labels == category) & (correct | (category == unseen))
        yield int(category), activation.isel(presentation=np.flatnonzero(counts)).values


def _by_category(
    layer: xr.Dataset,
    find: Callable[[NDArray[np.floating]], Found],
    dims: Mapping[str, tuple[str, ...]],
    which: tuple[Iterable[int] | None, int | None],
    coords: dict[str, NDArray[Any]] | None = None,
) -> xr.Dataset:
    """Apply `find` to each category's matrix and label what it returns."""
    sizes = {"neuroid": layer.sizes["neuroid"], **{k: len(v) for k, v in (coords or {}).items()}}
    dims = {**dims, "mean": ("neuroid",)}
    found: list[Found] = []
    labels: list[int] = []
    counts: list[int] = []
    for category, x in matrices(layer, *which):
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


def _check_between(
    name: str, values: Iterable[float], low: float, high: float, ends: bool = False
) -> None:
    for value in values:
        if not (low <= value <= high if ends else low < value < high):
            brackets = "[]" if ends else "()"
            raise ConfigError(
                f"{name}: found {value}, allowed is {brackets[0]}{low}, {high}{brackets[1]}."
            )
