"""Tests and effect sizes over runs: runs are the sample, not images.

Tests are scipy's and statsmodels' where they have them; both are imported where they are used,
since the workflow imports this package while it reads its rules.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ffensembles.analyses.tidy import RUN_KEYS

CONFIDENCE = 0.95
PERMUTATIONS = 10_000

_ROUNDING = 1e-12
"""Values that differ by no more than this share of their size differ by rounding: no spread."""


@dataclass(frozen=True)
class Effect:
    """An effect size with its 95 % interval; missing (NaN) where runs are too few or all alike."""

    value: float = np.nan
    low: float = np.nan
    high: float = np.nan


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
    i, j = np.triu_indices(len(one), 1)
    x = standardised_ranks(one[i, j])
    ranks = np.zeros(np.shape(other))
    ranks[i, j] = ranks[j, i] = standardised_ranks(other[i, j])
    r = float(x @ ranks[i, j])
    if np.isnan(r):
        return np.nan, np.nan
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(len(one)), (permutations, 1)), axis=1)
    by_chance = ranks[orders[:, i], orders[:, j]] @ x
    # the order found counts as one of them; equal correlations differ by rounding
    return r, float((1 + np.sum(by_chance >= r - 1e-9)) / (1 + permutations))


def student(
    values: ArrayLike, null: float = 0.0, *, size: float = 0.0
) -> tuple[float, float, float, float]:
    """Return the mean of values, Student's interval of it, and the p of its equality with `null`.

    Parameters
    ----------
    values
        One for each run, (runs,).
    null
        What the mean is compared with.
    size
        How large the numbers are that values are differences of: rounding is a share of it.

    Returns
    -------
    tuple[float, float, float, float]
        Mean, ends of the 95 % interval and two-sided p. Interval and p are missing for fewer than
        two values or without any spread; without a value all are.

    Examples
    --------
    >>> [round(x, 3) for x in student([1, 2, 3])]
    [2.0, -0.484, 4.484, 0.074]
    >>> student([0.1, 0.1, 0.1])[1:]
    (nan, nan, nan)
    """
    from scipy import stats

    x = np.asarray(values, dtype=float)
    if not len(x):
        return (np.nan,) * 4
    mean, error = float(x.mean()), np.sqrt(_variance(x, size) / len(x))
    if error == 0:
        return mean, np.nan, np.nan, np.nan
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 1) * error)
    p = float(2 * stats.t.sf(abs(mean - null) / error, len(x) - 1))
    return mean, mean - half, mean + half, p


def _variance(values: NDArray[np.float64], size: float = 0.0) -> float:
    """Return the unbiased variance: 0 for one value, and where values differ by rounding alone."""
    size = max(size, float(np.abs(values).max()))
    if len(values) < 2 or np.ptp(values) <= _ROUNDING * size:
        return 0.0
    return float(values.var(ddof=1))


def welch(one: ArrayLike, other: ArrayLike) -> tuple[float, float, float]:
    """Return Welch's interval of the difference of two means, and the p of their equality.

    Parameters
    ----------
    one, other
        Values of independent runs, (runs,), at least two each.

    Returns
    -------
    tuple[float, float, float]
        Ends of the 95 % interval of mean(one) - mean(other), and the two-sided p. All are missing
        for fewer than two runs, or without any spread, of which scipy would warn.

    Examples
    --------
    >>> [round(x, 3) for x in welch([1, 2, 3], [2, 4, 6])]
    [-6.155, 2.155, 0.221]
    """
    from scipy import stats

    one, other = np.asarray(one, float), np.asarray(other, float)
    if min(len(one), len(other)) < 2:
        return np.nan, np.nan, np.nan
    parts = np.array([_variance(values) / len(values) for values in (one, other)])
    if not parts.any():
        return np.nan, np.nan, np.nan
    difference, se = one.mean() - other.mean(), np.sqrt(parts.sum())
    half = stats.t.ppf((1 + CONFIDENCE) / 2, _freedom(parts, one, other)) * se
    p = 2 * stats.t.sf(abs(difference) / se, _freedom(parts, one, other))
    return float(difference - half), float(difference + half), float(p)


def mann_whitney(one: ArrayLike, other: ArrayLike) -> tuple[float, float]:
    """Return how often a run of one sample is above a run of the other, by ranks.

    Parameters
    ----------
    one, other
        A value of each run, (runs,) and (other runs,).

    Returns
    -------
    tuple[float, float]
        The share of pairs in which `one` is above `other`, ties by half (1/2: no difference), and
        the two-sided p of the Mann-Whitney test, exact where there are no ties. Missing if either
        sample is empty.

    Examples
    --------
    >>> share, p = mann_whitney([4, 5, 6], [1, 2, 3])
    >>> share, round(p, 3)
    (1.0, 0.1)
    """
    from scipy import stats

    one, other = np.asarray(one, float), np.asarray(other, float)
    if not len(one) or not len(other):
        return np.nan, np.nan
    values = np.concatenate([one, other])
    if len(np.unique(values)) == 1:
        return 0.5, 1.0
    ties = len(np.unique(values)) < len(values)
    test = stats.mannwhitneyu(one, other, method="asymptotic" if ties else "exact")
    return float(test.statistic / (len(one) * len(other))), float(test.pvalue)


def hedges_g(one: ArrayLike, other: ArrayLike) -> Effect:
    """Return Hedges' g of mean(one) - mean(other): the difference in pooled deviations.

    The interval is the normal one with the variance of Hedges & Olkin (1985, ch. 5):
    (n + m) / (n m) + g^2 / (2 (n + m)). Missing with fewer than two values on a side.

    Parameters
    ----------
    one, other
        A value of each run, (runs,) and (other runs,).

    Examples
    --------
    >>> round(hedges_g([2, 4, 6], [1, 2, 3]).value, 3)
    1.012
    """
    from scipy import stats

    one, other = np.asarray(one, float), np.asarray(other, float)
    n, m = len(one), len(other)
    if min(n, m) < 2:
        return Effect()
    pooled = ((n - 1) * _variance(one) + (m - 1) * _variance(other)) / (n + m - 2)
    if pooled == 0:
        return Effect()
    g = (one.mean() - other.mean()) / np.sqrt(pooled) * (1 - 3 / (4 * (n + m) - 9))
    half = stats.norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt((n + m) / (n * m) + g**2 / (2 * (n + m)))
    return Effect(float(g), float(g - half), float(g + half))


def ratio_of_means(one: ArrayLike, other: ArrayLike) -> Effect:
    """Return mean(one) / mean(other) with an interval on its logarithm.

    The variance of the log ratio is s^2 / (n mean^2), summed over both samples (delta method;
    Hedges, Gurevitch & Curtis 1999), with Welch's degrees of freedom. Missing unless both means
    are positive.

    Parameters
    ----------
    one, other
        A value of each run, (runs,) and (other runs,).

    Examples
    --------
    >>> round(ratio_of_means([2, 4, 6], [1, 2, 3]).value, 3)
    2.0
    """
    from scipy import stats

    one, other = np.asarray(one, float), np.asarray(other, float)
    if not len(one) or not len(other) or min(one.mean(), other.mean()) <= 0:
        return Effect()
    ratio = one.mean() / other.mean()
    if min(len(one), len(other)) < 2:
        return Effect(float(ratio))
    parts = np.array([_variance(x) / (len(x) * x.mean() ** 2) for x in (one, other)])
    if not parts.any():
        return Effect(float(ratio))
    t = stats.t.ppf((1 + CONFIDENCE) / 2, _freedom(parts, one, other))
    half = t * np.sqrt(parts.sum())
    return Effect(float(ratio), float(ratio * np.exp(-half)), float(ratio * np.exp(half)))


def holm(p: Iterable[float]) -> NDArray[np.float64]:
    """Correct p values (tests,) for their number by Holm's method (1979).

    Missing ones stay and do not count.

    Examples
    --------
    >>> holm([0.01, float("nan"), 0.04, 0.03]).round(2).tolist()
    [0.03, nan, 0.06, 0.06]
    """
    values = np.array(list(p), dtype=float)
    known = ~np.isnan(values)
    if known.any():
        from statsmodels.stats.multitest import multipletests

        values[known] = multipletests(values[known], method="holm")[1]
    return values


def contrasts(
    frame: pd.DataFrame,
    value: str,
    pairs: Sequence[tuple[str, str]],
    by: Sequence[str] = ("protocol", "dataset", "layer"),
) -> pd.DataFrame:
    """Compare pairs of models in a column of a tidy frame, with runs as the sample.

    A run's rows (over classes, say) are averaged first; a run without a value does not count.

    Parameters
    ----------
    frame
        Tidy rows with the run's keys and the columns `by`.
    value
        Column to compare.
    pairs
        Names of two models each.
    by
        Columns to compare within.

    Returns
    -------
    pandas.DataFrame
        One row per group and pair of models that were both run: columns `by`, `one`, `other`,
        `mean_one`, `mean_other`, `n_one`, `n_other` (runs), `difference` with `low`, `high` and
        `p` (Welch), `p_mann_whitney`, `g`, `g_low`, `g_high` (Hedges), `ratio`, `ratio_low`,
        `ratio_high` (of means), and `p_holm`, the p of Welch corrected for all rows.

    Examples
    --------
    >>> keys = {"protocol": "p", "dataset": "d", "held_out": None}
    >>> rows = [{**keys, "model": m, "seed": s, "layer": 1, "x": x + s}
    ...         for m, x in (("FF", 5.0), ("BP", 1.0)) for s in (0, 1, 2)]
    >>> table = contrasts(pd.DataFrame(rows), "x", [("FF", "BP")])
    >>> table[["one", "other", "difference", "n_one", "p"]].round(3).values.tolist()
    [['FF', 'BP', 4.0, 3, 0.008]]
    """
    by = list(by)
    runs = list(dict.fromkeys([*by, *RUN_KEYS]))
    means = frame.groupby(runs, dropna=False, sort=False)[value].mean().dropna().reset_index()
    rows = []
    for key, group in means.groupby(by, dropna=False, sort=False):
        of = {name: rest[value].to_numpy(dtype=float) for name, rest in group.groupby("model")}
        for one, other in pairs:
            if one not in of or other not in of:
                continue
            x, y = of[one], of[other]
            low, high, p = welch(x, y)
            g, ratio = hedges_g(x, y), ratio_of_means(x, y)
            rows.append(
                {
                    **dict(zip(by, key, strict=True)),
                    **{"one": one, "other": other},
                    **{"mean_one": x.mean(), "mean_other": y.mean()},
                    **{"n_one": len(x), "n_other": len(y)},
                    **{"difference": x.mean() - y.mean(), "low": low, "high": high, "p": p},
                    "p_mann_whitney": mann_whitney(x, y)[1],
                    **{"g": g.value, "g_low": g.low, "g_high": g.high},
                    **{"ratio": ratio.value, "ratio_low": ratio.low, "ratio_high": ratio.high},
                }
            )
    table = pd.DataFrame(rows)
    return table if table.empty else table.assign(p_holm=holm(table["p"]))


def _freedom(
    parts: NDArray[np.float64], one: NDArray[np.float64], other: NDArray[np.float64]
) -> float:
    """Return Welch's and Satterthwaite's degrees of freedom of a sum of two variances."""
    return float(parts.sum() ** 2 / (parts**2 / [len(one) - 1, len(other) - 1]).sum())


def standardised_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Rank values, centred and scaled so that a product of two is Spearman's correlation.

    Parameters
    ----------
    values
        Shape (n,); ties share their mean rank.

    Returns
    -------
    numpy.ndarray
        Shape (n,), of length 1; missing if all values are equal.

    Examples
    --------
    >>> one, other = standardised_ranks([1, 2, 30, 4]), standardised_ranks([3, 5, 9, 7])
    >>> round(float(one @ other), 6)
    1.0
    """
    from scipy import stats

    ranks = stats.rankdata(values)
    centred = ranks - ranks.mean() if len(ranks) else ranks
    norm = np.sqrt((centred**2).sum())
    return centred / norm if norm > 0 else np.full_like(centred, np.nan)


def valley_depth(values: ArrayLike, least: float = 0.1, points: int = 512) -> float:
    """Measure how deep the density of a sample falls between two of its modes.

    The density is a Gaussian kernel estimate with Scott's bandwidth, which smooths two groups more
    than it should, so that the depth is rather too small than too large.

    Parameters
    ----------
    values
        Shape (n,).
    least
        Share of the sample that lies on either side of the valley, at least: a few outliers make
        no mode.
    points
        Points at which the density is estimated, from the least to the largest value.

    Returns
    -------
    float
        1 - valley / lower mode of the deepest valley: 0 for one mode, near 1 for two groups apart.

    Examples
    --------
    >>> groups = np.concatenate([np.linspace(0, 0.2, 50), np.linspace(0.8, 1, 50)])
    >>> round(valley_depth(groups), 1), round(valley_depth(np.linspace(0, 1, 100)), 1)
    (0.9, 0.0)
    """
    from scipy import stats

    sample = np.sort(np.asarray(values, dtype=float))
    if len(sample) < 3 or np.ptp(sample) == 0:
        return 0.0
    grid = np.linspace(sample[0], sample[-1], points)
    density = stats.gaussian_kde(sample)(grid)
    lower_mode = np.minimum(
        np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1]
    )
    below = np.searchsorted(sample, grid, side="right") / len(sample)
    inside = (below >= least) & (below <= 1 - least)
    return float((1 - density / lower_mode)[inside].max(initial=0.0))
