"""Statistical tests that claims rest on and scipy has not."""

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
PERMUTATIONS = 10_000


def mantel(
    one: NDArray[np.floating],
    other: NDArray[np.floating],
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> tuple[float, float]:
    """Correlate two matrices over pairs of classes by rank, and test it by permuting the classes.

    Pairs that share a class are not independent; permuting classes, not pairs, respects that.

    Parameters
    ----------
    one, other
        Symmetric (classes, classes); the diagonal does not count.
    permutations
        Number of permutations of the second matrix's classes.
    seed
        Of the permutations.

    Returns
    -------
    tuple[float, float]
        Spearman's correlation and the one-sided p: how often a permutation correlates as much or
        more. Both are missing where either matrix is constant.

    Examples
    --------
    >>> matrix = np.abs(np.subtract.outer(np.arange(6.0) ** 2, np.arange(6.0) ** 2))
    >>> r, p = mantel(matrix, 2 * matrix)
    >>> round(r, 6), p < 0.05
    (1.0, True)
    """
    from scipy import stats

    i, j = np.triu_indices(len(one), 1)
    x = _standard(stats.rankdata(one[i, j]))
    ranks = np.zeros(np.shape(other))
    ranks[i, j] = ranks[j, i] = _standard(stats.rankdata(other[i, j]))
    r = float(x @ ranks[i, j])
    if np.isnan(r):
        return np.nan, np.nan
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(len(one)), (permutations, 1)), axis=1)
    by_chance = ranks[orders[:, i], orders[:, j]] @ x
    # the order found counts as one of them; equal correlations differ by rounding
    return r, float((1 + np.sum(by_chance >= r - 1e-9)) / (1 + permutations))


def welch(one: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return Welch's interval of the difference of two means, and the p of their equality.

    By hand, since scipy warns of runs that are all alike; without any spread all are missing.
    """
    from scipy import stats

    parts = np.array([values.var(ddof=1) / len(values) for values in (one, other)])
    if not parts.any():
        return np.nan, np.nan, np.nan
    difference, se = one.mean() - other.mean(), np.sqrt(parts.sum())
    freedom = parts.sum() ** 2 / (parts**2 / [len(one) - 1, len(other) - 1]).sum()
    half = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * se
    p = 2 * stats.t.sf(abs(difference) / se, freedom)
    return float(difference - half), float(difference + half), float(p)


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre and scale so that a product of two is their correlation; missing if constant."""
    centred = values - values.mean() if len(values) else values
    norm = np.sqrt((centred**2).sum())
    return centred / norm if norm > 0 else np.full_like(centred, np.nan)
