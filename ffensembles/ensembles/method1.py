"""Method 1: a unit's median over presentations exceeds a quantile of all values."""

from collections.abc import Iterable, Sequence
from typing import Annotated

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ffensembles.ensembles.common import Found, by_category, check_between
from ffensembles.ensembles.registry import register
from ffensembles.runtime.keys import Field, Group, Quantile, Some, Unique


class Method1(Group):
    """Method 1: a unit's median over presentations exceeds a quantile of all values."""

    quantiles: Annotated[list[Quantile], Some, Unique] = Field(
        [0.9, 0.95, 0.99], description="quantiles"
    )
    saturated: bool = Field(
        True, description="whether a median equal to the largest value is active"
    )


_DEFAULT = Method1()


@register("Method 1", Method1)
def method1(
    layer: xr.Dataset,
    quantiles: Sequence[float] = tuple(_DEFAULT.quantiles),
    saturated: bool = _DEFAULT.saturated,
    *,
    categories: Iterable[int] | None = None,
    unseen: int | None = None,
) -> xr.Dataset:
    """Find units whose median over presentations exceeds a quantile of all values (Method 1).

    The threshold is the quantile of all values of the category's (presentations, units) matrix X
    (Tosato et al. 2023, sec. 3.4). Two things follow from that definition alone:

    * *A floor.* Where activations barely depend on the presentation, the ``(1 - q) * n`` units
      with the highest medians pass, whatever the layer does. It is returned as `floor`. Where
      activations are stored in fewer digits than they differ by, medians tie with the threshold,
      and fewer pass.
    * *A ceiling.* An active unit holds at least half of its values above the threshold, so at
      most ``2 * (1 - q) * n`` units pass. Where more than ``1 - q`` of the values have run into
      a sigmoid's 1, the threshold is 1 and no median exceeds it.

    The study reports ensembles of BP beyond that ceiling (287.7 of 784 units at 0.95, where it
    is 78.4), so units in saturation were counted there. Hence `saturated`: a median that equals
    the largest value of X counts as exceeding any threshold.

    Parameters
    ----------
    layer
        Dataset with `activation` (presentation, neuroid), of any float type and in units of
        activation, and on presentation the coordinate `label` (int) and, where it is known,
        `correct` (bool). Without `correct` all presentations count.
    quantiles
        Quantiles q in (0, 1).
    saturated
        Whether units whose median is the largest value of X are active; False is the definition
        to the letter. It matters only where values are tied at the top.
    categories
        Labels to look for; None takes those of the layer's attributes, or those that occur.
    unseen
        Label of a class the net was not trained on: all its presentations count. None takes that
        of the layer's attributes, if they name one.

    Returns
    -------
    xarray.Dataset
        `active` (quantile, category, neuroid); `threshold` (quantile, category); `floor`
        (quantile), in units; `mean`, `median` (category, neuroid); `n_presentations` (category).

    Raises
    ------
    ConfigError
        If a quantile is not between 0 and 1.
    KeyError
        If the layer has no `label`.

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
    check_between("quantiles", quantiles, 0, 1)

    def find(x: NDArray[np.floating]) -> Found:
        threshold = np.quantile(x, quantiles)
        median = np.median(x, axis=0)
        active = median > threshold[:, np.newaxis]
        if saturated and x.min() < x.max():
            active |= median == x.max()
        return {"threshold": threshold, "median": median, "active": active}

    q = np.asarray(quantiles, dtype=float)
    found = by_category(
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
