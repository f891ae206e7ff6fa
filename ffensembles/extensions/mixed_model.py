"""Linear mixed models of a tidy frame, with runs as groups."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ffensembles.analyses.statistics import CONFIDENCE

FEW_RUNS = 5
"""With fewer groups than this the variance between them is hardly known."""

_NO_VARIANCE = 1e-6
"""A variance between runs below this share of that within them is 0, as far as a search finds."""


@dataclass(frozen=True)
class Slope:
    """The slope of one variable.

    Attributes
    ----------
    value, low, high, p
        Estimate of the mixed model with its 95 % interval and p (normal approximation); missing
        where the model cannot be fitted.
    by_run
        Slopes of single runs by least squares, (runs,): what the estimate rests on.
    """

    value: float
    low: float
    high: float
    p: float
    by_run: tuple[float, ...]


def mixed_slopes(
    frame: pd.DataFrame, outcome: str, variables: Sequence[str], *, run: str = "seed"
) -> dict[str, Slope]:
    """Fit a mixed model of an outcome measured for every class and layer of several runs.

    Fixed are the slopes and a level for each layer; random is a level for each run. The slopes are
    thus those over the classes of a layer. A level for each class would take away the differences
    between classes, which are what is asked about; without it the layers of a class, and the same
    class in two runs, count as independent, so that the interval is rather too narrow. The slopes
    of single runs beside it are not concerned: their spread is that between runs. Rows with a
    missing value do not count.

    Parameters
    ----------
    frame
        One row for each run, layer and class: columns `layer`, `run`, `outcome` and
        `variables`.
    outcome
        Column to explain.
    variables
        Columns whose slopes are asked for, all in one model.
    run
        Column that names the run; the frame's rows are of one protocol, data set and model.

    Returns
    -------
    dict
        A slope for each variable. With a single run there is no mixed model.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame(
    ...     [(s, k, c) for s in range(4) for k in (1, 2) for c in range(8)],
    ...     columns=["seed", "layer", "category"],
    ... )
    >>> frame["x"] = rng.normal(size=len(frame))
    >>> frame["y"] = 2 * frame.x + frame.seed + 0.1 * rng.normal(size=len(frame))
    >>> slope = mixed_slopes(frame, "y", ["x"])["x"]
    >>> round(slope.value, 1), slope.low < 2 < slope.high, len(slope.by_run)
    (2.0, True, 4)
    """
    rows = frame[[run, "layer", outcome, *variables]].dropna().astype(float)
    varied = len(rows) > len(variables) and all(rows[name].nunique() > 1 for name in variables)
    single = [_least_squares(group, outcome, variables) for _, group in rows.groupby(run)]
    by_run = [one for one in single if np.isfinite(one).all()]
    fitted = _fit(rows, outcome, variables, run) if varied and len(by_run) > 1 else None
    slopes = {}
    for place, name in enumerate(variables):
        of_runs = tuple(float(one[place]) for one in by_run)
        numbers = dict.fromkeys(("value", "low", "high", "p"), np.nan)
        if fitted is not None:
            numbers = dict(zip(numbers, map(float, fitted.loc[name, list(numbers)]), strict=True))
        slopes[name] = Slope(**numbers, by_run=of_runs)
    return slopes


def _fit(
    rows: pd.DataFrame, outcome: str, variables: Sequence[str], run: str
) -> pd.DataFrame | None:
    """Return value, low, high and p of each variable; None where the model cannot be fitted.

    The one parameter that is searched for, the variance between runs, has a bound at 0, on which it
    often lies with few runs. Methods that follow gradients may stop anywhere there, and which do
    hangs on how a processor rounds; Powell's needs none. With a variance of 0 the model is one of
    least squares, and is fitted as such: intervals from the curvature at a bound are no intervals.
    """
    from statsmodels.formula.api import mixedlm, ols

    formula = f"Q('{outcome}') ~ {' + '.join([*variables, 'C(layer)'])}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the variance is at its bound
        try:
            found = mixedlm(formula, rows, groups=run).fit(reml=True, method="powell")
        except (np.linalg.LinAlgError, ValueError):
            return None
    if not found.converged:
        return None
    if found.cov_re.iloc[0, 0] < _NO_VARIANCE * found.scale:
        found = ols(formula, rows).fit(use_t=False)
    ends = found.conf_int(1 - CONFIDENCE)
    names = list(variables)
    columns = {"value": found.params, "low": ends[0], "high": ends[1], "p": found.pvalues}
    return pd.DataFrame(columns).loc[names]


def _least_squares(rows: pd.DataFrame, outcome: str, variables: Sequence[str]) -> np.ndarray:
    """Return the slopes of one run, layers centred; missing where they are not determined."""
    columns = [outcome, *variables]
    centred = (rows[columns] - rows.groupby("layer")[columns].transform("mean")).to_numpy()
    y, x = centred[:, 0], centred[:, 1:]
    if np.linalg.matrix_rank(x) < x.shape[1]:
        return np.full(x.shape[1], np.nan)
    return np.asarray(np.linalg.lstsq(x, y, rcond=None)[0])
