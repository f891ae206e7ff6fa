"""Every published number beside ours: what is said of it, and what could explain a difference."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ffensembles.analyses.regression import paired_sizes, regress
from ffensembles.analyses.sharing import pair
from ffensembles.analyses.tidy import RUN_KEYS, over_seeds
from ffensembles.analyses.weights import weights_histogram
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.publication.claims import NOT_RUN, Frames, floor_of, select
from ffensembles.publication.numbers import (
    DATASETS,
    FRACTIONS,
    NUMBERS,
    SIZE_QUANTILE,
    UNITS,
    UNSEEN_LAYER,
    floor,
    tolerance,
)
from ffensembles.publication.published import Published
from ffensembles.publication.sweep import as_text
from ffensembles.publication.tables import FLOOR_TOLERANCE, NOTHING
from ffensembles.runs import variation_name, variation_of
from ffensembles.runtime.keys import leaves
from ffensembles.runtime.text import plural

REPRODUCED, DIRECTION, DIFFERENT = "reproduced", "same direction", "not reproduced"
"""What is said of a published number, beside `claims.NOT_RUN`."""

_WEIGHTS_DATASET = "mnist"  # figure 7 does not name its data set

_UNITS = {"ensemble_size", "all_negative_units", "unseen_size"}

NOT_SWEPT = "not swept"
NO_NEARER = "no setting that was varied brings it nearer"

_FLOORED = {"ensemble_size", "unseen_size", "shared_units"}

# where the publication's own values part ways: Method 1's floor for counts of active units, half
# of the units or weights, 0 for the regression; unseen classes' units are set against the floor of
# the sizes' quantile, since Method 2 has none
_THEIR_REFERENCE: Mapping[str, Callable[[Published], float]] = {
    "ensemble_size": lambda number: floor(number.quantile or SIZE_QUANTILE),
    "unseen_size": lambda number: floor(SIZE_QUANTILE),
    "shared_units": lambda number: floor(number.quantile or SIZE_QUANTILE),
    "all_negative_units": lambda number: UNITS / 2,
    "positive_weights": lambda number: 0.5,
    "negative_peak": lambda number: 0.5,
    "negative_peak_share": lambda number: 0.5,
    "regression_slope": lambda number: 0.0,
    "regression_intercept": lambda number: 0.0,
}


NUMBER_KEYS = ("protocol", "quantity", "source", "dataset", "model", "layer")
"""What tells a published number from others of its edition."""


@dataclass(frozen=True)
class _Ours:
    """Our value of a published number; `reference` is where its direction turns."""

    mean: float
    se: float = np.nan
    n_runs: int | None = None
    reference: float = np.nan


def compare(
    frames: Frames, sweeps: Sequence[pd.DataFrame] = (), edition: str = "2023"
) -> pd.DataFrame:
    """Lay our value beside every published one of an edition, and say how they agree.

    Each number is measured as the published one was: protocol, method, quantile, classes and the
    class left out stand beside it (`Published`).

    Parameters
    ----------
    frames
        Tidy frames by name: `accuracy`, `sizes`, `positive_weights`, `positive_weights_by_unit`,
        `sharing`, `unseen` and `sparsity`; `control_accuracy` and `control_sparsity` of runs with
        one setting changed. Any may be missing. The regression is fitted on sizes of the study's
        data sets alone.
    sweeps
        Runs with one open setting changed, a frame for each sweep: `protocol` (the one varied;
        rows of another edition's explain nothing), `n_train` (training images), `setting` (a
        dotted key; empty or missing for the base), `value`, `dataset`, `model`, `seed`,
        `quantity`, `layer`, `ours`.
    edition
        Which published numbers.

    Returns
    -------
    pandas.DataFrame
        One row for each of `NUMBERS[edition]`: `quantity`, `source`, `dataset`, `model`, `layer`,
        `published`, `published_se`, `ours`, `se`, `n_runs`, `difference_in_se` (of the
        difference's own error; missing unless both have one), `on_floor`, `published_on_floor`
        (sizes only), `within` (of the tolerance), `verdict`, `cause` (the setting that comes
        nearest; for sizes the quantile of Method 1, and for an unseen class the layer, at which
        the same runs come nearer), `protocol`, `known` and `note`, as in `Published`.
    """
    numbers = NUMBERS[edition]
    sweeps = by_images(sweeps)
    found = {number: _MEASURES[number.quantity](frames, number) for number in numbers}
    frame = pd.DataFrame([_row(number, found, frames, sweeps) for number in numbers])
    flags = dict.fromkeys(("on_floor", "published_on_floor", "within"), "boolean")
    return frame.astype({"layer": "Int64", "n_runs": "Int64", **flags})


def by_images(sweeps: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Return sweeps in which anything was run, those on more training images first."""
    run = [sweep for sweep in sweeps if len(sweep)]
    return sorted(run, key=lambda sweep: -int(sweep["n_train"].max()))


# ---- our values


def _rows(frames: Frames, name: str, number: Published, **keys: Any) -> pd.DataFrame:
    """Select the rows of a frame that a number is measured on."""
    if "--" in number.protocol:  # a variation of the edition's protocol
        name = f"control_{name}"
    of = {key: getattr(number, key) for key in ("dataset", "model")}
    wanted = {**{key: value for key, value in of.items() if value is not None}, **keys}
    return select(frames, name, number.protocol, **wanted)


def _accuracy(frames: Frames, number: Published) -> _Ours | None:
    return _average(_rows(frames, "accuracy", number, layer=0), "accuracy")


def _size(frames: Frames, number: Published) -> _Ours | None:
    rows = _rows(frames, "sizes", number, layer=number.layer, **number.ensembles)
    return _average(rows, "size", np.nan if rows.empty else float(rows["floor"].iloc[0]))


def _positive_weights(frames: Frames, number: Published) -> _Ours | None:
    return _average(_rows(frames, "positive_weights", number, layer=number.layer), "positive", 0.5)


def _sparsity(frames: Frames, number: Published) -> _Ours | None:
    rows = _rows(frames, "sparsity", number, layer=number.layer)
    return _average(rows if rows.empty else rows[rows["category"].isna()], "sparsity")


def _average(rows: pd.DataFrame, value: str, reference: float = np.nan) -> _Ours | None:
    if rows.empty:
        return None
    cell = over_seeds(rows, value, ["model"]).iloc[0]
    return _Ours(cell["mean"], cell["se"], int(cell["n_runs"]), reference)


def _shared(frames: Frames, number: Published) -> _Ours | None:
    rows = _rows(frames, "sharing", number, **number.ensembles)
    one, other = number.categories
    rows = rows if rows.empty else pair(rows, (one, other))
    reference = floor_of(frames, str(number.dataset), number.quantile or SIZE_QUANTILE)
    return _average(rows, "count", reference)


def _unseen(frames: Frames, number: Published, layer: int = UNSEEN_LAYER) -> _Ours | None:
    who, _, what = number.quantity.partition("_")
    rows = _rows(frames, "unseen", number, held_out=True, layer=layer, **number.ensembles)
    if rows.empty:
        return None
    rows = rows[(rows["held_out"] == number.held_out) & (rows["unseen"] == (who == "unseen"))]
    return _average(rows, what, floor_of(frames, str(number.dataset)))


def _all_negative(frames: Frames, number: Published) -> _Ours | None:
    rows = _rows(frames, "positive_weights", number, dataset=_WEIGHTS_DATASET, layer=number.layer)
    half = np.nan if rows.empty else float(rows["units"].iloc[0]) / 2
    return _average(rows, "all_negative", half)


def _units(frames: Frames, number: Published) -> pd.DataFrame:
    keys: dict[str, Any] = {"dataset": _WEIGHTS_DATASET, "layer": number.layer}
    return _rows(frames, "positive_weights_by_unit", number, **keys)


def _peak(frames: Frames, number: Published) -> _Ours | None:
    """Return the middle of the fullest of 50 bins, over the units of all runs."""
    rows = _units(frames, number)
    if rows.empty or number.layer is None:
        return None
    bins = weights_histogram(rows, number.layer, bins=50)
    fullest = bins.iloc[int(bins["units"].argmax())]
    # one number of all runs together has no error over runs
    return _Ours((fullest.left + fullest.right) / 2, np.nan, int(fullest.n_runs), 0.5)


def _peak_share(frames: Frames, number: Published) -> _Ours | None:
    """Return the share of units within .05 of that bin's middle."""
    peak, rows = _peak(frames, number), _units(frames, number)
    if peak is None:
        return None
    near = (rows["negative"] - peak.mean).abs() <= 0.05 + 1e-9
    return _average(rows.assign(near=near.astype(float)), "near", 0.5)


def _regression(frames: Frames, number: Published) -> _Ours | None:
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
    return _Ours(fit[name], se, len(pairs[list(RUN_KEYS)].drop_duplicates()), 0.0)


_MEASURES: Mapping[str, Callable[[Frames, Published], _Ours | None]] = {
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

_OF_CONTROL: Mapping[str, str] = {
    "accuracy": "accuracy",
    "ensemble_size": "sizes",
    "positive_weights": "positive_weights",
    "sparsity": "sparsity",
}
"""The frame of each quantity that control runs have too."""

# ---- what is said of them


def _row(
    number: Published,
    found: Mapping[Published, _Ours | None],
    frames: Frames,
    sweeps: Sequence[pd.DataFrame],
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
        elsewhere = (_other_quantile(number, frames), _other_layer(number, frames))
        cause = "; ".join(filter(None, [_cause(number, frames, sweeps), *elsewhere]))
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
        "published_on_floor": _on(number.value, _THEIR_REFERENCE[number.quantity](number))
        if size
        else None,
        "within": None if ours is None else within,
        "verdict": verdict,
        "cause": cause or None,
        **{name: getattr(number, name) for name in ("protocol", "known", "note")},
    }


def _within(number: Published, value: float) -> bool:
    """Return whether a value lies within the tolerance of the published one, or of its range."""
    allowed = tolerance(number.quantity, number.value, number.edition)
    low = -np.inf if number.bound else number.value if number.low is None else number.low
    high = number.value if number.high is None else number.high
    return bool(low - allowed <= value <= high + allowed)


def _same_direction(number: Published, found: Mapping[Published, _Ours | None]) -> bool:
    """Return whether ours and theirs lie on one side of what the study sets them against."""
    ours = found[number]
    if ours is None or np.isnan(ours.mean):
        return False
    if number.quantity in _THEIR_REFERENCE:
        theirs = _THEIR_REFERENCE[number.quantity](number)
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
    alike = ("quantity", "dataset", "layer", "protocol")
    return not other.bound and all(getattr(number, n) == getattr(other, n) for n in alike)


def _on(value: float, reference: float) -> bool:
    return bool(abs(value - reference) <= FLOOR_TOLERANCE * reference)


def _side(value: float, reference: float, floored: bool) -> int:
    return 0 if floored and _on(value, reference) else int(np.sign(value - reference))


def _cause(number: Published, frames: Frames, sweeps: Sequence[pd.DataFrame]) -> str:
    """Name the setting whose runs come nearest to the published value, if nearer than the base.

    Control runs come first, then each sweep: one is asked only where none before it brings the
    number nearer.
    """
    said = NOT_SWEPT
    for rows, n_train, around in _trials(number, frames, sweeps):
        if said not in (NOT_SWEPT, NO_NEARER):
            break
        images = f" of {n_train:,.0f} images" if n_train else ""
        found = _nearest(number, rows, f"{images}, {around}" if around else images)
        said = said if found == NOT_SWEPT else found
    return said


def _trials(
    number: Published, frames: Frames, sweeps: Sequence[pd.DataFrame]
) -> Iterator[tuple[pd.DataFrame, int | None, str]]:
    """Yield a number's values in control runs and in each sweep, its images, what it is around."""
    yield _controlled(number, frames), None, ""
    for sweep in sweeps:
        rows = _swept(number, sweep)
        around = rows["around"].iloc[0] if "around" in rows and len(rows) else ""
        yield rows, int(sweep["n_train"].max()), around


def tried(
    frames: Frames, sweeps: Sequence[pd.DataFrame] = (), edition: str = "2023"
) -> pd.DataFrame:
    """List what every setting that was varied does to each number of an edition.

    Parameters
    ----------
    frames, sweeps, edition
        As for `compare`.

    Returns
    -------
    pandas.DataFrame
        One row for each number, setting and value, those of control runs first, then those of
        sweeps on more training images: `NUMBER_KEYS`, `n_train` (missing for control runs),
        `around`, as in `placed`, `setting` and `value` (empty for runs that differ in `around`
        alone), `n_runs`, and `ours`, their mean.
    """
    lines = []
    for number in NUMBERS[edition]:
        keys = {name: getattr(number, name) for name in NUMBER_KEYS}
        for rows, n_train, around in _trials(number, frames, by_images(sweeps)):
            at = {**keys, "n_train": n_train, "around": around}
            for (setting, value), group in rows.groupby(["setting", "value"], sort=False):
                if setting or n_train:
                    what = {"setting": setting, "value": value}
                    n, mean = group["seed"].nunique(), group["ours"].mean()
                    lines.append({**at, **what, "n_runs": n, "ours": mean})
    columns = [*NUMBER_KEYS, "n_train", "around", "setting", "value", "n_runs", "ours"]
    whole = dict.fromkeys(("layer", "n_train", "n_runs"), "Int64")
    return pd.DataFrame(lines, columns=columns).astype(whole)


def placed(sweep: pd.DataFrame, own: Mapping[str, Any], judged: Mapping[str, Any]) -> pd.DataFrame:
    """Say of a sweep's rows in what their protocol differs from that of the results judged.

    Parameters
    ----------
    sweep
        A sweep's frame, as for `compare`.
    own, judged
        The configurations of the sweep and of the results, with their `recipes`.

    Returns
    -------
    pandas.DataFrame
        The sweep with a column `around`: `key=value` of each key of the recipe that concerns the
        row's model and has another value than in the results; empty where there is none.
    """

    def around(protocol: str, model: Any) -> str:
        ones, others = (dict(leaves(given["recipes"][protocol])) for given in (own, judged))
        return ", ".join(
            f"{key}={value}"
            for key, value in ones.items()
            if others.get(key, value) != value
            and (key.split(".")[0] not in MODEL_TITLES or key.split(".")[0] == model)
        )

    known = {
        keys: around(*keys) for keys in sweep[["protocol", "model"]].itertuples(False, name=None)
    }
    of_rows = zip(sweep["protocol"], sweep["model"], strict=True)
    return sweep.assign(around=[known[keys] for keys in of_rows])


def _nearest(number: Published, rows: pd.DataFrame, of_images: str = "") -> str:
    """Say which setting of a sweep comes nearest, against the base's runs of the same seeds."""
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
                f"({plural(n, 'run')}{of_images}; base {text(number.quantity, beside)})"
            )
    return said if compared else NOT_SWEPT


def _other_quantile(number: Published, frames: Frames) -> str:
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


def _other_layer(number: Published, frames: Frames) -> str:
    """Name the layer where an unseen class's number comes nearer than in the one taken."""
    if _MEASURES[number.quantity] is not _unseen:
        return ""
    values = {layer: _unseen(frames, number, layer) for layer in (1, 2, 3)}
    means = {layer: ours.mean for layer, ours in values.items() if ours and not np.isnan(ours.mean)}
    nearest = min(means, key=lambda layer: abs(means[layer] - number.value), default=UNSEEN_LAYER)
    if nearest == UNSEEN_LAYER:
        return ""
    return f"layer {nearest} gives {text(number.quantity, means[nearest])}"


def _swept(number: Published, sweep: pd.DataFrame) -> pd.DataFrame:
    """Return the sweep's rows of a published number, settings and values as text."""
    kept = (sweep["protocol"] == number.protocol) & (sweep["quantity"] == number.quantity)
    for key in ("dataset", "model", "layer"):
        wanted = getattr(number, key)
        kept &= (
            sweep[key].isna()
            if wanted is None
            else (sweep[key] == wanted).fillna(False).astype(bool)
        )
    rows = sweep[kept.astype(bool)].dropna(subset=["ours"])
    return as_text(rows)


def _controlled(number: Published, frames: Frames) -> pd.DataFrame:
    """Return the same of an edition's control runs, set against what they vary.

    That is the control's base where its runs are others than the study's, such as shorter ones.
    """
    name = _OF_CONTROL.get(number.quantity)
    control = None if name is None else frames.get(f"control_{name}")
    rows: list[tuple[str, str, int, float]] = []
    if name is not None and control is not None and "--" not in number.protocol:
        of = control[(control["dataset"] == number.dataset) & (control["model"] == number.model)]
        names = of.loc[of["protocol"].str.startswith(f"{number.protocol}--"), "protocol"].unique()
        base = variation_name(number.protocol, "base")
        own = [] if base in names or not len(names) else [number.protocol]
        for protocol in [*names, *own]:
            _, setting, value = variation_of(protocol)
            frame = f"control_{name}" if setting else name
            known = frames.get(frame)
            if known is None:
                continue
            for seed in known["seed"].unique():
                one = {frame: known[known["seed"] == seed]}
                found = _MEASURES[number.quantity](one, replace(number, protocol=protocol))
                if found is not None:
                    rows.append(("" if protocol == base else setting, value, seed, found.mean))
    return pd.DataFrame(rows, columns=["setting", "value", "seed", "ours"])


def text(quantity: str, value: float, se: float = np.nan) -> str:
    """Write a quantity's value, and its standard error, with as many decimals as it deserves."""
    digits = 1 if quantity in _UNITS else 3 if quantity in FRACTIONS else 2
    if pd.isna(value):
        return NOTHING
    mean = f"{value:.{digits}f}"
    return mean if pd.isna(se) else f"{mean} ± {se:.{digits + 1}f}"
