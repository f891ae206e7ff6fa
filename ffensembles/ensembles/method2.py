"""Method 2: a unit in the low corner of the diagram of density and rank."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ffensembles.ensembles.common import Found, by_category, check_between
from ffensembles.ensembles.registry import register
from ffensembles.errors import ConfigError
from ffensembles.representations.layers import layer_names
from ffensembles.runtime.keys import Field, Group, Positive, Share


class Method2(Group):
    """Method 2: a unit in the low corner of density and rank."""

    epsilon: Positive = Field(0.2, description="half width of the window, in units of activation")
    cut: Literal["box", "gap"] = Field(
        "box",
        description="box: the units within the two sides below; gap: those before the widest gap",
    )
    max_rho: Share = Field(0.8, description="the cut in density, as a share of the layer's units")
    max_n_h: Share = Field(0.25, description="the cut in rank, as a share of the layer's units")


_DEFAULT = Method2()
_CUT = _DEFAULT.model_dump(exclude={"epsilon"})


@register("Method 2", Method2)
def method2(
    layer: xr.Dataset,
    epsilon: float = _DEFAULT.epsilon,
    cut: str = _DEFAULT.cut,
    max_rho: float = _DEFAULT.max_rho,
    max_n_h: float = _DEFAULT.max_n_h,
    *,
    upper_bound: float | None = None,
    categories: Iterable[int] | None = None,
    unseen: int | None = None,
) -> xr.Dataset:
    """Find units in the low corner of the diagram of density and rank (Method 2).

    For each unit's mean activation ``<x>``, `n_h` counts the units with a higher mean and `rho`
    is the density of means around it: the number of units, itself included, within `epsilon` of
    its mean, divided by the width of that window, ``2 * epsilon``, or, where the window reaches
    beyond `upper_bound`, ``epsilon + min(epsilon, upper_bound - <x>)`` (Tosato et al. 2023,
    sec. 3.4). A prominent unit has few units near it and few above it.

    The study's cut is not published: prominent units "cluster in the bottom left part" of the
    diagram. With `cut` "gap" they are those before the widest gap, without any number to choose:
    units are ordered by their distance from the diagram's corner, the root of the squares of `rho`
    and `n_h` as shares of the layer (below); between two that follow each other is the widest gap,
    and the nearer ones with fewer than half of the layer above them are active. No unit is active
    if all means lie within epsilon: around each unit lies the whole layer then. With `cut` "box"
    they lie in a box whose two sides are shares of the layer, so that it means the same for every
    width and epsilon: `rho` at most `max_rho` times ``n / (2 * epsilon)``, the density if the
    whole layer lay within epsilon, and `n_h` at most `max_n_h` times n. The first says that the
    unit stands more than epsilon away from the quiet bulk of the layer, whatever the bulk's level;
    the second, that it stands on its upper side.

    The default sides are those that relate sizes by the two methods as published, on runs that were
    looked at, if ensembles that end at the cut count too (docs/log/settings.md). What they do shows
    in a layer of two levels, a share a of it at 1 and the rest quiet. The window at 1 is half as
    wide, so the density there is ``2 * a`` of the whole: units at 1 are prominent where at most 0.4
    of the layer is, as in layer 1 of BP, and then the strongest quarter of the layer at most. The
    quiet ones' density is ``1 - a`` and a of the layer is above them: both sides let them in only
    if a is between 0.2 and 0.25.

    Parameters
    ----------
    layer
        Dataset with `activation` (presentation, neuroid), of any float type and in units of
        activation, and on presentation the coordinate `label` (int) and, where it is known,
        `correct` (bool). Without `correct` all presentations count.
    epsilon
        Half width of the window, in units of activation, above 0.
    cut
        `box` or `gap`.
    max_rho, max_n_h
        Sides of the box in [0, 1], as shares of the layer; `gap` does not use them.
    upper_bound
        Largest value an activation can have, infinity if there is none; the window is then
        ``2 * epsilon`` wide everywhere. None: see `largest_possible`.
    categories
        Labels to look for; None takes those of the layer's attributes, or those that occur.
    unseen
        Label of a class the net was not trained on: all its presentations count. None takes that
        of the layer's attributes, if they name one.

    Returns
    -------
    xarray.Dataset
        `active`, `mean`, `rho` (units per unit of activation), `n_h` (units), all (category,
        neuroid); `n_presentations` (category); the parameters as attributes. Of a box, attributes
        `rho_cut` and `n_h_cut` hold the sides in the units of `rho` and `n_h`; of a gap, `gap`
        (category) holds the distance of its middle from the corner, in shares of the layer, NaN
        where there is none.

    Raises
    ------
    ConfigError
        If a parameter is not allowed.

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
    parameters = _checked(cut, max_rho, max_n_h)
    bound = largest_possible(layer["activation"]) if upper_bound is None else upper_bound

    def find(x: NDArray[np.floating]) -> Found:
        mean = x.mean(axis=0, dtype=np.float64)
        rho, n_h = density_and_rank(mean, epsilon, bound)
        active, gap = _cut_off(mean, rho, n_h, epsilon, **parameters)
        return {"rho": rho, "n_h": n_h, "active": active} | ({"gap": gap} if cut == "gap" else {})

    dims: dict[str, tuple[str, ...]] = {name: ("neuroid",) for name in ("active", "rho", "n_h")}
    if cut == "gap":
        dims["gap"] = ()
    found = by_category(layer, find, dims, (categories, unseen))
    sides = _sides(layer.sizes["neuroid"], epsilon, **parameters)
    return found.assign_attrs(method="method2", epsilon=float(epsilon), **parameters, **sides)


def largest_possible(activation: xr.DataArray) -> float:
    """Return the largest value that activations can have: 1 of a sigmoid, infinity of ReLU.

    Activations that were read from a net have it as their attribute `valid_max`, or `valid_min`
    alone (CF conventions). Of others it is 1 as long as none exceeds 1.
    """
    known = activation.attrs
    if "valid_min" in known:
        return float(known.get("valid_max", np.inf))
    return np.inf if float(activation.max()) > 1 else 1.0


def recut(found: xr.DataTree, **parameters: Any) -> xr.DataTree:
    """Cut off the low corner of Method 2's diagram in another way; densities and ranks stay.

    Parameters
    ----------
    found
        Ensembles of a run by Method 2.
    parameters
        `cut`, `max_rho`, `max_n_h` or several of them, as for `method2`; one not named stays.

    Raises
    ------
    ConfigError
        If one of them is not allowed.
    """
    layers = {}
    for name in layer_names(found):
        layer = found[name].to_dataset().drop_vars("gap", errors="ignore")
        n, epsilon = layer.sizes["neuroid"], layer.attrs["epsilon"]
        # what an earlier version did not write, it did not have
        known = {key: layer.attrs.get(key, default) for key, default in _CUT.items()}
        changed = _checked(**(known | parameters))
        active, gap = xr.apply_ufunc(
            partial(_cut_off, epsilon=epsilon, **changed),
            *(layer[name] for name in ("mean", "rho", "n_h")),
            input_core_dims=[["neuroid"]] * 3,
            output_core_dims=[["neuroid"], []],
            vectorize=True,
        )
        layer = layer.assign({"active": active} | ({"gap": gap} if changed["cut"] == "gap" else {}))
        for side in ("rho_cut", "n_h_cut"):
            layer.attrs.pop(side, None)
        layers[name] = layer.assign_attrs(**changed, **_sides(n, epsilon, **changed))
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=found.attrs), **layers})


def largest_size(n: int, cut: str, max_n_h: float) -> float:
    """Return the size at which the cut in rank ends an ensemble of a layer of n units.

    Units that tie may make it larger. A gap ends none: its size is inf.

    >>> largest_size(784, "box", 0.25), largest_size(784, "gap", 0.25)
    (197, inf)
    """
    return int(max_n_h * n) + 1 if cut == "box" else np.inf


def _checked(cut: str, max_rho: float, max_n_h: float) -> dict[str, Any]:
    """Return the parameters of a cut; raises ConfigError if one is not allowed."""
    check_between("max_rho, max_n_h", (max_rho, max_n_h), 0, 1, ends=True)
    if cut not in ("box", "gap"):
        raise ConfigError(f"cut: found {cut!r}, allowed are 'box', 'gap'.")
    return {"cut": cut, "max_rho": float(max_rho), "max_n_h": float(max_n_h)}


def _sides(n: int, epsilon: float, cut: str, max_rho: float, max_n_h: float) -> dict[str, float]:
    """Return the sides of Method 2's box in the units of density and rank; a gap has none."""
    if cut == "gap":
        return {}
    return {"rho_cut": float(max_rho * n / (2 * epsilon)), "n_h_cut": float(max_n_h * n)}


def _cut_off(
    mean: NDArray[np.float64],
    rho: NDArray[np.float64],
    n_h: NDArray[np.float64],
    epsilon: float,
    cut: str,
    max_rho: float,
    max_n_h: float,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the units (n,) in the low corner, and the middle of the gap behind them, if any."""
    if cut == "box":
        sides = _sides(rho.size, epsilon, cut, max_rho, max_n_h)
        return (rho <= sides["rho_cut"]) & (n_h <= sides["n_h_cut"]), np.asarray(np.nan)
    if not np.ptp(mean) > epsilon:
        return np.zeros(mean.shape, dtype=bool), np.asarray(np.nan)
    distance = np.hypot(2 * epsilon * rho / rho.size, n_h / rho.size)
    ordered = np.sort(distance)
    at = int(np.diff(ordered).argmax())
    near = (distance <= ordered[at]) & (n_h < rho.size / 2)
    return near, np.asarray(ordered[at : at + 2].mean())


def density_and_rank(
    mean: NDArray[np.floating], epsilon: float, upper_bound: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `rho` and `n_h` of `method2` for each unit, both (units,), in n log n steps.

    Parameters
    ----------
    mean
        Mean activation of each unit, (units,).
    epsilon
        Half the width in which units count as near, in units of activation.
    upper_bound
        Largest value that activations can have; no unit can lie beyond it.
    """
    mean = np.asarray(mean, dtype=np.float64)
    ordered = np.sort(mean)
    near = np.searchsorted(ordered, mean + epsilon, side="right")
    near -= np.searchsorted(ordered, mean - epsilon, side="left")
    above = np.minimum(epsilon, upper_bound - mean)
    n_h = mean.size - np.searchsorted(ordered, mean, side="right")
    return near / (epsilon + above), n_h.astype(np.float64)
