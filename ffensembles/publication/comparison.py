"""Every published number beside ours, and what is said of the two."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ffensembles.publication.claims import NOT_RUN, Frames
from ffensembles.publication.numbers import NUMBERS, SIZE_QUANTILE, UNITS, floor, reproduced
from ffensembles.publication.published import Published
from ffensembles.publication.tables import FLOOR_TOLERANCE
from ffensembles.publication.tried import by_images, nearest_setting
from ffensembles.publication.values import Ours, at_other_quantile, in_other_layer, our_value

REPRODUCED, DIRECTION, DIFFERENT = "reproduced", "same direction", "not reproduced"
"""What is said of a published number, beside `claims.NOT_RUN`."""

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
        the same runs come nearer), `protocol`, `known` and `note`, as in `Published`, and so
        `published_low`, `published_high` and `published_runs`.
    """
    numbers = NUMBERS[edition]
    sweeps = by_images(sweeps)
    found = {number: our_value(frames, number) for number in numbers}
    frame = pd.DataFrame([_row(number, found, frames, sweeps) for number in numbers])
    flags = dict.fromkeys(("on_floor", "published_on_floor", "within"), "boolean")
    counts = dict.fromkeys(("layer", "n_runs", "published_runs"), "Int64")
    return frame.astype({**counts, "published_low": float, "published_high": float, **flags})


def _row(
    number: Published,
    found: Mapping[Published, Ours | None],
    frames: Frames,
    sweeps: Sequence[pd.DataFrame],
) -> dict[str, Any]:
    ours = found[number]
    value, se = (np.nan, np.nan) if ours is None else (ours.mean, ours.se)
    their_se = np.nan if number.se is None else number.se
    error = np.hypot(se, their_se)
    within = reproduced(number, value)
    if ours is None:
        verdict, cause = NOT_RUN, ""
    elif within:
        verdict, cause = REPRODUCED, ""
    else:
        verdict = DIRECTION if _same_direction(number, found) else DIFFERENT
        nearer = (
            nearest_setting(number, frames, sweeps, value),
            at_other_quantile(number, frames),
            in_other_layer(number, frames),
        )
        cause = "; ".join(filter(None, nearer))
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
        **{f"published_{name}": getattr(number, name) for name in ("low", "high", "runs")},
    }


def _same_direction(number: Published, found: Mapping[Published, Ours | None]) -> bool:
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
