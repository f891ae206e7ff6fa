"""Every published number beside ours: what is said of it, and what could explain a difference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ffensembles.analyses.regression import paired_sizes, regress
from ffensembles.analyses.sharing import pair
from ffensembles.analyses.tidy import RUN_KEYS, over_seeds
from ffensembles.analyses.weights import weights_histogram
from ffensembles.publication.claims import NOT_RUN, Frames, floor_of, select
from ffensembles.publication.numbers import (
    DATASETS,
    FRACTIONS,
    HELD_OUT,
    PUBLISHED,
    SHARING_CLASSES,
    SHARING_METHOD,
    SHARING_QUANTILE,
    UNITS,
    UNSEEN_LAYER,
    UNSEEN_METHOD,
    Published,
    floor,
    tolerance,
)
from ffensembles.publication.tables import (
    FLOOR_TOLERANCE,
    NOTHING,
    Sizes,
    accuracy_table,
    positive_weights_table,
    sizes_table,
)
from ffensembles.runtime.text import plural

REPRODUCED, DIRECTION, DIFFERENT = "reproduced", "same direction", "not reproduced"
"""What is said of a published number, beside `claims.NOT_RUN`."""

_UNITS = {"ensemble_size", "all_negative_units", "unseen_size"}

NOT_SWEPT = "not swept"
NO_NEARER = "no setting of the sweep brings it nearer"

_FLOORED = {"ensemble_size", "unseen_size", "shared_units"}

# where the publication's own values part ways: Method 1's floor for counts of active units, half
# of the units or weights, 0 for the regression
_THEIR_REFERENCE = {
    "ensemble_size": floor(0.95),
    "unseen_size": floor(0.95),
    "shared_units": floor(0.9),
    "all_negative_units": UNITS / 2,
    "positive_weights": 0.5,
    "negative_peak": 0.5,
    "negative_peak_share": 0.5,
    "regression_slope": 0.0,
    "regression_intercept": 0.0,
}


@dataclass(frozen=True)
class _Ours:
    """Our value of a published number; `reference` is where its direction turns."""

    mean: float
    se: float = np.nan
    n_runs: int | None = None
    reference: float = np.nan


@dataclass(frozen=True)
class _Asked:
    """What single numbers are measured on."""

    frames: Frames
    categories: tuple[int, int]
    held_out: int


def compare(
    frames: Frames,
    sweep: pd.DataFrame | None = None,
    *,
    categories: tuple[int, int] = SHARING_CLASSES,
    held_out: int = HELD_OUT,
) -> pd.DataFrame:
    """Lay our value beside every published one, and say how they agree.

    Parameters
    ----------
    frames
        Tidy frames by name: `accuracy`, `sizes`, `positive_weights`, `positive_weights_by_unit`,
        `sharing` (Method 1 at 0.9) and `unseen` (Method 2). Any may be missing. Only runs of the
        published protocol count, and for the regression those on its data sets, on whose sizes
        it is fitted anew.
    sweep
        Runs with one open setting changed: `setting` (a dotted key; empty or missing for the
        base), `value`, `dataset`, `model`, `seed`, `quantity`, `layer`, `ours`.
    categories
        Labels of the two example classes whose shared units the study counts.
    held_out
        Label of the class that the study leaves out.

    Returns
    -------
    pandas.DataFrame
        One row for each of `PUBLISHED`: `quantity`, `source`, `dataset`, `model`, `layer`,
        `published`, `published_se`, `ours`, `se`, `n_runs`, `difference_in_se` (of the
        difference's own error; missing unless both have one), `on_floor`, `published_on_floor`
        (sizes only), `within` (of the tolerance), `verdict` and `cause`: the sweep's nearest
        setting; for sizes the quantile of Method 1, and for an unseen class the layer, at which the
        same runs come nearer.
    """
    asked = _Asked(frames, categories, held_out)
    cells = _cells(frames)
    found: dict[Published, _Ours | None] = {
        number: _SINGLE[number.quantity](asked, number)
        if number.quantity in _SINGLE
        else cells.get((number.quantity, number.dataset, number.model, number.layer))
        for number in PUBLISHED
    }
    frame = pd.DataFrame([_row(number, found, asked, sweep) for number in PUBLISHED])
    flags = dict.fromkeys(("on_floor", "published_on_floor", "within"), "boolean")
    return frame.astype({"layer": "Int64", "n_runs": "Int64", **flags})


# ---- our values


def _cells(frames: Frames) -> dict[tuple[str, Any, Any, int | None], _Ours]:
    """Return what Tables 1 to 3 hold, by quantity, data set, model and layer."""
    parts = (
        ("accuracy", accuracy_table, select(frames, "accuracy", layer=0)),
        ("ensemble_size", sizes_table, select(frames, "sizes", method="method1", quantile=0.95)),
        ("positive_weights", positive_weights_table, select(frames, "positive_weights")),
    )
    found = {}
    for quantity, make, rows in parts:
        for cell in [] if rows.empty else make(rows).cells.to_dict("records"):
            layer = None if pd.isna(cell["layer"]) else int(cell["layer"])
            found[quantity, cell["dataset"], cell["model"], layer] = _Ours(
                cell["mean"], cell["se"], int(cell["n_runs"]), cell.get("floor", 0.5)
            )
    return found


def _average(rows: pd.DataFrame, value: str, reference: float = np.nan) -> _Ours | None:
    if rows.empty:
        return None
    cell = over_seeds(rows, value, ["model"]).iloc[0]
    return _Ours(cell["mean"], cell["se"], int(cell["n_runs"]), reference)


def _shared(asked: _Asked, number: Published) -> _Ours | None:
    rows = select(
        asked.frames, "sharing", dataset=number.dataset, model=number.model,
        method=SHARING_METHOD, quantile=SHARING_QUANTILE,
    )  # fmt: skip
    rows = rows if rows.empty else pair(rows, asked.categories)
    return _average(rows, "count", floor_of(asked.frames, str(number.dataset), 0.9))


def _unseen(asked: _Asked, number: Published, layer: int = UNSEEN_LAYER) -> _Ours | None:
    who, _, what = number.quantity.partition("_")
    rows = select(
        asked.frames, "unseen", held_out=True, dataset=number.dataset, model=number.model,
        method=UNSEEN_METHOD,
        layer=layer,
    )  # fmt: skip
    if rows.empty:
        return None
    rows = rows[(rows["held_out"] == asked.held_out) & (rows["unseen"] == (who == "unseen"))]
    return _average(rows, what, floor_of(asked.frames, str(number.dataset)))


def _all_negative(asked: _Asked, number: Published) -> _Ours | None:
    rows = select(
        asked.frames, "positive_weights", dataset="mnist", model=number.model, layer=number.layer
    )
    half = np.nan if rows.empty else float(rows["units"].iloc[0]) / 2
    return _average(rows, "all_negative", half)


def _units(asked: _Asked, number: Published) -> pd.DataFrame:
    return select(
        asked.frames, "positive_weights_by_unit", dataset="mnist", model=number.model,
        layer=number.layer,
    )  # fmt: skip


def _peak(asked: _Asked, number: Published) -> _Ours | None:
    """Return the middle of the fullest of 50 bins, over the units of all runs."""
    rows = _units(asked, number)
    if rows.empty or number.layer is None:
        return None
    bins = weights_histogram(rows, number.layer, bins=50)
    fullest = bins.iloc[int(bins["units"].argmax())]
    # one number of all runs together has no error over runs
    return _Ours((fullest.left + fullest.right) / 2, np.nan, int(fullest.n_runs), 0.5)


def _peak_share(asked: _Asked, number: Published) -> _Ours | None:
    """Return the share of units within .05 of that bin's middle."""
    peak, rows = _peak(asked, number), _units(asked, number)
    if peak is None:
        return None
    near = (rows["negative"] - peak.mean).abs() <= 0.05 + 1e-9
    return _average(rows.assign(near=near.astype(float)), "near", 0.5)


def _regression(asked: _Asked, number: Published) -> _Ours | None:
    name = number.quantity.removeprefix("regression_")
    rows = select(asked.frames, "sizes")
    if not rows.empty:
        rows = rows[rows["dataset"].isin(DATASETS)]
    pairs = rows if rows.empty else paired_sizes(rows, 0.99)
    if pairs.empty:
        return None
    fit = regress(pairs).iloc[0]
    # half of a 95 % interval is 1.96 standard errors
    se = (fit[f"{name}_high"] - fit[f"{name}_low"]) / 2 / 1.96
    return _Ours(fit[name], se, len(pairs[list(RUN_KEYS)].drop_duplicates()), 0.0)


_SINGLE: Mapping[str, Callable[[_Asked, Published], _Ours | None]] = {
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

# ---- what is said of them


def _row(
    number: Published,
    found: Mapping[Published, _Ours | None],
    asked: _Asked,
    sweep: pd.DataFrame | None,
) -> dict[str, Any]:
    ours = found[number]
    value, se = (np.nan, np.nan) if ours is None else (ours.mean, ours.se)
    their_se = np.nan if number.se is None else number.se
    error = np.hypot(se, their_se)
    within = _within(number, value)
    if ours is None:
        verdict, cause = NOT_RUN, ""
    elif within:
        verdict, cause = REPRODUCED, ""
    else:
        verdict = DIRECTION if _same_direction(number, found) else DIFFERENT
        elsewhere = (_other_quantile(number, asked.frames), _other_layer(number, asked))
        cause = "; ".join(filter(None, [_cause(number, sweep), *elsewhere]))
    size = number.quantity == "ensemble_size"
    return {
        **{name: getattr(number, name) for name in ("quantity", "source", "dataset", "model")},
        "layer": number.layer,
        "published": number.value,
        "published_se": their_se,
        "ours": value,
        "se": se,
        "n_runs": None if ours is None else ours.n_runs,
        "difference_in_se": (value - number.value) / error if error > 0 else np.nan,
        "on_floor": _on(value, ours.reference) if size and ours else None,
        "published_on_floor": _on(number.value, _THEIR_REFERENCE["ensemble_size"])
        if size
        else None,
        "within": None if ours is None else within,
        "verdict": verdict,
        "cause": cause or None,
    }


def _within(number: Published, value: float) -> bool:
    return bool(abs(value - number.value) <= tolerance(number.quantity, number.value))


def _same_direction(number: Published, found: Mapping[Published, _Ours | None]) -> bool:
    """Return whether ours and theirs lie on one side of what the study sets them against."""
    ours = found[number]
    if ours is None or np.isnan(ours.mean):
        return False
    if number.quantity in _THEIR_REFERENCE:
        theirs = _THEIR_REFERENCE[number.quantity]
        own = theirs if np.isnan(ours.reference) else ours.reference
        floored = number.quantity in _FLOORED
        return _side(ours.mean, own, floored) == _side(number.value, theirs, floored)
    sides = [
        np.sign(ours.mean - rival.mean) == np.sign(number.value - other.value)
        for other, rival in found.items()
        if other is not number and rival is not None and _rivals(number, other)
    ]
    return bool(sides) and all(sides)


def _rivals(number: Published, other: Published) -> bool:
    """Return whether the order of two numbers is what the study says of them."""
    activities = {"unseen_activity", "seen_activity"}
    if number.quantity in activities:
        return other.quantity in activities
    return (number.quantity, number.dataset) == (other.quantity, other.dataset)


def _on(value: float, reference: float) -> bool:
    return bool(abs(value - reference) <= FLOOR_TOLERANCE * reference)


def _side(value: float, reference: float, floored: bool) -> int:
    return 0 if floored and _on(value, reference) else int(np.sign(value - reference))


def _cause(number: Published, sweep: pd.DataFrame | None) -> str:
    """Name the setting whose runs come nearest to the published value, if nearer than the base.

    A setting is set against the base's runs of the same seeds.
    """
    rows = _swept(number, sweep)
    base = rows[rows["setting"] == ""]
    nearest, said = np.inf, NO_NEARER
    compared = 0
    for (setting, value), group in rows[rows["setting"] != ""].groupby(["setting", "value"]):
        beside = base[base["seed"].isin(group["seed"])]["ours"].mean()
        ours = group["ours"].mean()
        compared += not np.isnan(beside)
        distance = abs(ours - number.value)
        if distance < min(nearest, abs(beside - number.value)):
            nearest = distance
            n = group["seed"].nunique()
            said = (
                f"{setting}={value} gives {text(number.quantity, ours)} "
                f"({plural(n, 'run')}; base {text(number.quantity, beside)})"
            )
    return said if compared else NOT_SWEPT


def _other_quantile(number: Published, frames: Frames) -> str:
    """Name Method 1's quantile at which the same runs come nearest, if nearer than at 0.95."""
    if number.quantity != "ensemble_size":
        return ""
    keys = {name: getattr(number, name) for name in ("dataset", "model", "layer")}
    rows = select(frames, "sizes", method="method1", **keys)
    sizes = {
        float(q): sizes_table(rows, Sizes(quantile=float(q))).cells["mean"].iloc[0]
        for q in set(rows["quantile"])
    }
    apart = {q: abs(size - number.value) for q, size in sizes.items() if not np.isnan(size)}
    nearest = min(apart, key=apart.__getitem__, default=0.95)
    if np.isclose(nearest, 0.95):
        return ""
    return f"Method 1 at {nearest:g} gives {text(number.quantity, sizes[nearest])}"


def _other_layer(number: Published, asked: _Asked) -> str:
    """Name the layer where an unseen class's number comes nearer than in the one taken."""
    if _SINGLE.get(number.quantity) is not _unseen:
        return ""
    values = {layer: _unseen(asked, number, layer) for layer in (1, 2, 3)}
    means = {layer: ours.mean for layer, ours in values.items() if ours and not np.isnan(ours.mean)}
    nearest = min(means, key=lambda layer: abs(means[layer] - number.value), default=UNSEEN_LAYER)
    if nearest == UNSEEN_LAYER:
        return ""
    return f"layer {nearest} gives {text(number.quantity, means[nearest])}"


def _swept(number: Published, sweep: pd.DataFrame | None) -> pd.DataFrame:
    """Return the sweep's rows of a published number, settings and values as text."""
    if sweep is None or sweep.empty:
        return pd.DataFrame(columns=["setting", "value", "seed", "ours"])
    kept = sweep["quantity"] == number.quantity
    for key in ("dataset", "model", "layer"):
        wanted = getattr(number, key)
        kept &= (
            sweep[key].isna()
            if wanted is None
            else (sweep[key] == wanted).fillna(False).astype(bool)
        )
    rows = sweep[kept.astype(bool)].dropna(subset=["ours"])
    return rows.assign(
        setting=rows["setting"].fillna("").astype(str),
        value=rows["value"].map(lambda one: f"{one:g}" if isinstance(one, float) else str(one)),
    )


def text(quantity: str, value: float, se: float = np.nan) -> str:
    """Write a quantity's value, and its standard error, with as many decimals as it deserves."""
    digits = 1 if quantity in _UNITS else 3 if quantity in FRACTIONS else 2
    if pd.isna(value):
        return NOTHING
    mean = f"{value:.{digits}f}"
    return mean if pd.isna(se) else f"{mean} ± {se:.{digits + 1}f}"
