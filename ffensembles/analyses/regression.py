"""How sizes by Method 1 go with sizes by Method 2 (Tosato et al. 2023, A.3, figure 8B)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ffensembles.analyses.tidy import RUN_KEYS
from ffensembles.ensembles.method2 import Method2, largest_size

_WHERE = [*RUN_KEYS, "layer", "category"]


def mark_ended(sizes: pd.DataFrame, method2: Mapping[str, Any]) -> pd.DataFrame:
    """Say of each size whether Method 2's cut in rank ended the ensemble, in a column `ended`.

    Such a size is the cut's, not the net's, so that no regression learns from it.

    Parameters
    ----------
    sizes
        Rows of `sizes.sizes_frame`.
    method2
        Parameters of Method 2 with which they were found; one not named has its default.
    """
    found = Method2(**method2)
    ends = sizes["units"].map(lambda n: largest_size(n, found.cut, found.max_n_h))
    return sizes.assign(ended=(sizes["method"] == "method2") & (sizes["size"] >= ends))


def paired_sizes(sizes: pd.DataFrame, quantile: float) -> pd.DataFrame:
    """Put the sizes by the two methods of every run, layer and category side by side.

    Parameters
    ----------
    sizes
        Rows of `sizes.sizes_frame` of many runs and both methods, with their keys.
    quantile
        Method 1's quantile to take.

    Returns
    -------
    pandas.DataFrame
        The run's keys, `layer`, `category`, `size1` and `size2`, in units; lost categories have
        missing sizes. `ended`, if `mark_ended` has told it of the sizes.
    """
    of = {
        "size1": sizes[(sizes.method == "method1") & np.isclose(sizes["quantile"], quantile)],
        "size2": sizes[sizes.method == "method2"],
    }
    one, two = (rows.rename(columns={"size": name}) for name, rows in of.items())
    told = sizes.columns.intersection(["ended"])
    return one[[*_WHERE, "size1"]].merge(
        two[[*_WHERE, "size2", *told]], on=_WHERE, how="inner", validate="one_to_one"
    )


def regress(pairs: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Fit sizes by Method 1 as a straight line in sizes by Method 2, by least squares.

    Parameters
    ----------
    pairs
        Rows of `paired_sizes`; rows with a missing size are left out and counted, and so are those
        of ensembles that Method 2's cut in rank ended.
    confidence
        Level of the confidence intervals.

    Returns
    -------
    pandas.DataFrame
        One row: `slope`, `slope_low`, `slope_high`, `intercept`, `intercept_low`,
        `intercept_high` (units), `r` (Pearson), `n` pairs, `n_missing`, `n_ended` and `confidence`.
        The estimates are missing where fewer than three pairs or a single size leave no line.

    Examples
    --------
    >>> pairs = pd.DataFrame({"size1": [1.0, 3.1, 4.9, 7.0, None], "size2": [0.0, 1, 2, 3, 4]})
    >>> fit = regress(pairs).iloc[0]
    >>> fit[["slope", "intercept", "n", "n_missing"]].round(2).tolist()
    [1.98, 1.03, 4.0, 1.0]
    """
    names = ("slope", "intercept")
    known = pairs.dropna(subset=["size1", "size2"])
    complete = free(known)
    row = {name: np.nan for name in (*names, "r")}
    row |= {f"{name}_{end}": np.nan for name in names for end in ("low", "high")}
    fit = _fit(complete)
    if fit is not None:
        # the constant comes first in statsmodels' design
        low, high = fit.conf_int(alpha=1 - confidence).T
        for name, i in (("intercept", 0), ("slope", 1)):
            row |= {name: fit.params[i], f"{name}_low": low[i], f"{name}_high": high[i]}
        if complete["size1"].nunique() > 1:
            row["r"] = np.corrcoef(complete["size1"], complete["size2"])[0, 1]
    row |= {"n": len(complete), "n_missing": len(pairs) - len(known)}
    row |= {"n_ended": len(known) - len(complete), "confidence": confidence}
    columns = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    return pd.DataFrame([row])[[*columns, "r", "n", "n_missing", "n_ended", "confidence"]]


def free(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of ensembles that Method 2's cut in rank did not end."""
    return pairs[~pairs["ended"].astype(bool)] if "ended" in pairs else pairs


def regress_protocols(pairs: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Fit sizes as `regress` does, for the runs of each protocol alone.

    Returns
    -------
    pandas.DataFrame
        One row per protocol: `protocol` and the columns of `regress`.
    """
    fits = [
        regress(rows, confidence).assign(protocol=name) for name, rows in pairs.groupby("protocol")
    ]
    found = pd.concat(fits or [regress(pairs, confidence).assign(protocol=None)[:0]])
    return found[["protocol", *found.columns.drop("protocol")]].reset_index(drop=True)


def regression_band(pairs: pd.DataFrame, at: ArrayLike, confidence: float = 0.95) -> pd.DataFrame:
    """Return the fitted line and the confidence band of its mean at sizes `at` by Method 2.

    Returns
    -------
    pandas.DataFrame
        Columns `size2`, `line`, `low` and `high`, in units; missing where no line can be fitted.
    """
    at = np.asarray(at, dtype=float)
    band = pd.DataFrame({"size2": at, "line": np.nan, "low": np.nan, "high": np.nan})
    fit = _fit(free(pairs.dropna(subset=["size1", "size2"])))
    if fit is not None:
        predicted = fit.get_prediction(np.column_stack([np.ones_like(at), at]))
        low, high = predicted.conf_int(alpha=1 - confidence).T
        band = band.assign(line=predicted.predicted, low=low, high=high)
    return band


def _fit(complete: pd.DataFrame) -> Any:
    """Fit by statsmodels' OLS; None where there is no line to fit."""
    if len(complete) < 3 or complete["size2"].nunique() < 2:
        return None
    from statsmodels.regression.linear_model import OLS  # slow to import, and seldom needed

    x = complete["size2"].to_numpy(dtype=float)
    return OLS(complete["size1"].to_numpy(dtype=float), np.column_stack([np.ones_like(x), x])).fit()
