"""Our value of each published number: what the edition's runs have for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ffensembles.analyses.regression import paired_sizes, regress
from ffensembles.analyses.sharing import pair
from ffensembles.analyses.tidy import RUN_KEYS, over_seeds
from ffensembles.analyses.weights import weights_histogram
from ffensembles.publication.claims import Frames, floor_of, select
from ffensembles.publication.numbers import DATASETS, FRACTIONS, SIZE_QUANTILE, UNSEEN_LAYER
from ffensembles.publication.published import Published
from ffensembles.publication.tables import NOTHING

_WEIGHTS_DATASET = "mnist"  # figure 7 does not name its data set

_UNITS = {"ensemble_size", "all_negative_units", "unseen_size"}


@dataclass(frozen=True)
class Ours:
    """Our value of a published number; `reference` is where its direction turns."""

    mean: float
    se: float = np.nan
    n_runs: int | None = None
    reference: float = np.nan


def our_value(frames: Frames, number: Published) -> Ours | None:
    """Return our value of a published number, measured as that one was; None if it was not run."""
    return _MEASURES[number.quantity](frames, number)


def text(quantity: str, value: float, se: float = np.nan) -> str:
    """Write a quantity's value, and its standard error, with as many decimals as it deserves."""
    digits = 1 if quantity in _UNITS else 3 if quantity in FRACTIONS else 2
    if pd.isna(value):
        return NOTHING
    mean = f"{value:.{digits}f}"
    return mean if pd.isna(se) else f"{mean} ± {se:.{digits + 1}f}"


def at_other_quantile(number: Published, frames: Frames) -> str:
    """Name Method 1's quantile at which the same runs come nearest, if it is another one."""
    if number.quantity != "ensemble_size":
        return ""
    rows = _rows(frames, "sizes", number, layer=number.layer, method=number.method)
    sizes = {
        float(at["quantile"].iloc[0]): over_seeds(at, "size", ["model"])["mean"].iloc[0]
        for _, at in ([] if rows.empty else rows.groupby("quantile"))
    }
    apart = {q: abs(size - number.value) for q, size in sizes.items() if not np.isnan(size)}
    nearest = min(apart, key=apart.__getitem__, default=number.quantile)
    if number.quantile is None or nearest is None or np.isclose(nearest, number.quantile):
        return ""
    return f"Method 1 at {nearest:g} gives {text(number.quantity, sizes[nearest])}"


def in_other_layer(number: Published, frames: Frames) -> str:
    """Name the layer where an unseen class's number comes nearer than in the one taken."""
    if _MEASURES[number.quantity] is not _unseen:
        return ""
    values = {layer: _unseen(frames, number, layer) for layer in (1, 2, 3)}
    means = {layer: ours.mean for layer, ours in values.items() if ours and not np.isnan(ours.mean)}
    nearest = min(means, key=lambda layer: abs(means[layer] - number.value), default=UNSEEN_LAYER)
    if nearest == UNSEEN_LAYER:
        return ""
    return f"layer {nearest} gives {text(number.quantity, means[nearest])}"


def _rows(frames: Frames, name: str, number: Published, **keys: Any) -> pd.DataFrame:
    """Select the rows of a frame that a number is measured on."""
    if "--" in number.protocol:  # a variation of the edition's protocol
        name = f"control_{name}"
    of = {key: getattr(number, key) for key in ("dataset", "model")}
    wanted = {**{key: value for key, value in of.items() if value is not None}, **keys}
    return select(frames, name, number.protocol, **wanted)


def _accuracy(frames: Frames, number: Published) -> Ours | None:
    return _average(_rows(frames, "accuracy", number, layer=0), "accuracy")


def _size(frames: Frames, number: Published) -> Ours | None:
    rows = _rows(frames, "sizes", number, layer=number.layer, **number.ensembles)
    return _average(rows, "size", np.nan if rows.empty else float(rows["floor"].iloc[0]))


def _positive_weights(frames: Frames, number: Published) -> Ours | None:
    return _average(_rows(frames, "positive_weights", number, layer=number.layer), "positive", 0.5)


def _sparsity(frames: Frames, number: Published) -> Ours | None:
    rows = _rows(frames, "sparsity", number, layer=number.layer)
    return _average(rows if rows.empty else rows[rows["category"].isna()], "sparsity")


def _average(rows: pd.DataFrame, value: str, reference: float = np.nan) -> Ours | None:
    if rows.empty:
        return None
    cell = over_seeds(rows, value, ["model"]).iloc[0]
    return Ours(cell["mean"], cell["se"], int(cell["n_runs"]), reference)


def _shared(frames: Frames, number: Published) -> Ours | None:
    rows = _rows(frames, "sharing", number, **number.ensembles)
    one, other = number.categories
    rows = rows if rows.empty else pair(rows, (one, other))
    reference = floor_of(frames, str(number.dataset), number.quantile or SIZE_QUANTILE)
    return _average(rows, "count", reference)


def _unseen(frames: Frames, number: Published, layer: int = UNSEEN_LAYER) -> Ours | None:
    who, _, what = number.quantity.partition("_")
    rows = _rows(frames, "unseen", number, held_out=True, layer=layer, **number.ensembles)
    if rows.empty:
        return None
    rows = rows[(rows["held_out"] == number.held_out) & (rows["unseen"] == (who == "unseen"))]
    return _average(rows, what, floor_of(frames, str(number.dataset)))


def _all_negative(frames: Frames, number: Published) -> Ours | None:
    rows = _rows(frames, "positive_weights", number, dataset=_WEIGHTS_DATASET, layer=number.layer)
    half = np.nan if rows.empty else float(rows["units"].iloc[0]) / 2
    return _average(rows, "all_negative", half)


def _units(frames: Frames, number: Published) -> pd.DataFrame:
    keys: dict[str, Any] = {"dataset": _WEIGHTS_DATASET, "layer": number.layer}
    return _rows(frames, "positive_weights_by_unit", number, **keys)


def _peak(frames: Frames, number: Published) -> Ours | None:
    """Return the middle of the fullest of 50 bins, over the units of all runs."""
    rows = _units(frames, number)
    if rows.empty or number.layer is None:
        return None
    bins = weights_histogram(rows, number.layer, bins=50)
    fullest = bins.iloc[int(bins["units"].argmax())]
    # one number of all runs together has no error over runs
    return Ours((fullest.left + fullest.right) / 2, np.nan, int(fullest.n_runs), 0.5)


def _peak_share(frames: Frames, number: Published) -> Ours | None:
    """Return the share of units within .05 of that bin's middle."""
    peak, rows = _peak(frames, number), _units(frames, number)
    if peak is None:
        return None
    near = (rows["negative"] - peak.mean).abs() <= 0.05 + 1e-9
    return _average(rows.assign(near=near.astype(float)), "near", 0.5)


def _regression(frames: Frames, number: Published) -> Ours | None:
    name = number.quantity.removeprefix("regression_")
    rows = select(frames, "sizes", number.protocol)
    if not rows.empty:
        rows = rows[rows["dataset"].isin(DATASETS)]
    pairs = rows if rows.empty or number.quantile is None else paired_sizes(rows, number.quantile)
    if pairs.empty:
        return None
    fit = regress(pairs).iloc[0]
    # half of a 95 % interval is 1.96 standard errors
    se = (fit[f"{name}_high"] - fit[f"{name}_low"]) / 2 / 1.96
    return Ours(fit[name], se, len(pairs[list(RUN_KEYS)].drop_duplicates()), 0.0)


_MEASURES: Mapping[str, Callable[[Frames, Published], Ours | None]] = {
    "accuracy": _accuracy,
    "ensemble_size": _size,
    "positive_weights": _positive_weights,
    "sparsity": _sparsity,
    "shared_units": _shared,
    "unseen_size": _unseen,
    "unseen_activity": _unseen,
    "seen_activity": _unseen,
    "all_negative_units": _all_negative,
    "negative_peak": _peak,
    "negative_peak_share": _peak_share,
    "regression_slope": _regression,
    "regression_intercept": _regression,
}
