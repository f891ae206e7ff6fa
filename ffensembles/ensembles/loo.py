"""Leave one out (LOO): a unit's mean exceeds (k + 1) times the mean of the others'."""

from collections.abc import Iterable
from typing import Annotated

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ffensembles.ensembles.common import Found, by_category
from ffensembles.ensembles.registry import register
from ffensembles.errors import ConfigError
from ffensembles.runtime.keys import Field, Ge, Group, Number


class Loo(Group):
    """Leave one out: a unit's mean exceeds (k + 1) times the mean of the others'."""

    k: Annotated[Number, Ge(0)] = Field(
        1.0, description="a unit's mean exceeds k + 1 times the mean of the other units' means"
    )


_DEFAULT = Loo()


@register("LOO", Loo)
def loo(
    layer: xr.Dataset,
    k: float = _DEFAULT.k,
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
        Dataset with `activation` (presentation, neuroid), of any float type and in units of
        activation, and on presentation the coordinate `label` (int) and, where it is known,
        `correct` (bool). Without `correct` all presentations count.
    k
        A unit is active if its mean exceeds k + 1 times the mean of the others; at least 0.
    categories
        Labels to look for; None takes those of the layer's attributes, or those that occur.
    unseen
        Label of a class the net was not trained on: all its presentations count. None takes that
        of the layer's attributes, if they name one.

    Returns
    -------
    xarray.Dataset
        `active`, `mean` (category, neuroid); `threshold`, in units of activation, and
        `n_presentations` (category).

    Raises
    ------
    ConfigError
        If k is below 0.
    KeyError
        If the layer has no `label`.

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
        # equal means are not above themselves, whatever rounding makes of their sum
        active = mean > threshold * (1 + 1e-12)
        return {"threshold": np.asarray(threshold), "active": active}

    dims = {"active": ("neuroid",), "threshold": ()}
    found = by_category(layer, find, dims, (categories, unseen))
    return found.assign_attrs(method="loo", k=float(k))
