"""Intrinsic dimension of a set of points, at several scales, with error bars.

The estimator is Gride (Denti, Doimo, Laio & Mira 2022, "The generalized ratios intrinsic dimension
estimator", Scientific Reports 12:20005), the successor of TwoNN (Facco et al. 2017) by the same
group. It uses the ratio of a point's distances to its neighbours of order n1 and n2 = 2 n1. With
n1 = 1 it is TwoNN; larger orders look at larger distances, where noise that is small beside the
data no longer counts. scikit-dimension computes it (extra `extensions`).
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ffensembles.errors import ConfigError
from ffensembles.representations.store import rounding_bound

RESOLVED = 10.0
"""Times by which a neighbour's distance exceeds what rounding adds to it, at least.

On linear subspaces of 2 to 10 dimensions that were rounded as stores are, the dimension is then
right within 5 %; at 3 times the rounding, two dimensions already look like 2.8.
"""

_FEWEST = 8  # points of which a dimension is estimated at all


@dataclass(frozen=True)
class Points:
    """The distinct points of a class, and how many were left out.

    Attributes
    ----------
    x
        Points, (points, units), float64, all different, none of them 0.
    silent
        Points that were 0 in every unit.
    duplicates
        Points that were equal to another one, not counting the first of each.
    """

    x: NDArray[np.float64]
    silent: int
    duplicates: int


@dataclass(frozen=True)
class Scaling:
    """Dimension by scale.

    Attributes
    ----------
    orders
        Order n1 of the nearer neighbour, (scales,): 1, 2, 4, ...; that of the farther is 2 n1.
    dimension
        Estimate at each scale, (scales,).
    se
        Its standard error, from half samples.
    radius
        Mean distance to the farther neighbour.
    """

    orders: NDArray[np.int64]
    dimension: NDArray[np.float64]
    se: NDArray[np.float64]
    radius: NDArray[np.float64]


def distinct(x: NDArray[np.floating]) -> Points:
    """Keep one of each set of equal points, and none that is silent in every unit.

    A neighbour at distance 0 has no ratio of distances. Points coincide where few units respond,
    or where rounding in the store made them equal.

    Examples
    --------
    >>> found = distinct(np.array([[0.0, 0], [1, 2], [1, 2], [3, 0]]))
    >>> found.x.tolist(), found.silent, found.duplicates
    ([[1.0, 2.0], [3.0, 0.0]], 1, 1)
    """
    values = np.asarray(x, dtype=np.float64)
    loud = values[values.any(axis=1)]
    # in the order in which they come, so that a draw from them does not depend on their values
    first = np.sort(np.unique(loud, axis=0, return_index=True)[1])
    return Points(loud[first], len(values) - len(loud), len(loud) - len(first))


def dimension_by_scale(
    x: NDArray[np.floating], largest: int, subsamples: int, rng: np.random.Generator
) -> Scaling:
    """Estimate the dimension of points at several scales by Gride.

    The standard error is the deviation of the estimates of half samples, drawn without
    replacement: the jackknife that deletes half (Shao & Wu 1989). A bootstrap would draw points
    twice, and equal points have no neighbours of their own. Half samples are sparser, so that at
    the same order their scale is a little larger.

    Parameters
    ----------
    x
        Distinct points, (points, units); see `distinct`.
    largest
        Largest order of a neighbour, at least 2. Beyond a third of the points there is no local
        scale left, and nothing is estimated.
    subsamples
        Half samples for the standard error; with fewer than two it is missing.
    rng
        Draws them.

    Returns
    -------
    Scaling
        No scale at all for fewer than 8 points; a dimension is missing where all points have
        their neighbours at equal distances.

    Raises
    ------
    ConfigError
        If scikit-dimension is not installed.
    """
    most = min(largest, len(x) // 3) if len(x) >= _FEWEST else 0
    orders = 2 ** np.arange(int(np.log2(most)) if most >= 2 else 0)
    dimension, radius = _estimates(x, orders)
    se = np.full(len(orders), np.nan)
    half = len(x) // 2
    halves = [
        _estimates(x[np.sort(rng.choice(len(x), half, replace=False))], orders)[0]
        for _ in range(subsamples)
    ]
    if len(orders) and subsamples > 1:
        se = np.std(halves, axis=0, ddof=1)
    return Scaling(orders, dimension, se, radius)


def _estimates(
    x: NDArray[np.floating], orders: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the dimension, and the mean distance to the farther neighbour, at each scale."""
    missing = np.full(len(orders), np.nan)
    most = 2 * int(orders.max(initial=0))
    if not len(orders) or len(x) <= most:
        return missing, missing
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # ties, which it leaves out
            found = _library().GRIDE(multiscale=True, range_max=most).fit(x)
    except (ValueError, IndexError):  # fewer than two points without ties
        return missing, missing
    return np.asarray(found.dimension_scales_), np.asarray(found.radius_scales_)


def _library() -> Any:
    """Return the estimators of scikit-dimension, which takes seconds to import."""
    try:
        import skdim.id
    except ModuleNotFoundError as error:
        raise ConfigError(
            "dimension: needs scikit-dimension, which is not installed; "
            "pip install -c constraints.txt scikit-dimension (the extra `extensions`)."
        ) from error
    return skdim.id


def rounding_of_distances(x: NDArray[np.floating], mantissa_bits: int | None) -> float:
    """Return the distance that rounding in a store puts between equal points, on average.

    The errors of two points are independent and uniform within their bounds
    (`representations.store.rounding_bound`); 0 where nothing was rounded.

    Parameters
    ----------
    x
        Points as they are stored, (points, units).
    mantissa_bits
        Bits that the store kept; None: all of them.
    """
    if mantissa_bits is None or not len(x):
        return 0.0
    squares = (rounding_bound(x, mantissa_bits) ** 2).sum(axis=1).mean()
    return float(np.sqrt(2 * squares / 3))
