"""Dynamics: how ensembles form while a net trains, and whether accuracy or ensembles come first."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffensembles.analyses.tidy import RUN_KEYS, read_frame, whole_numbers
from ffensembles.extensions.across import clear_in, spans
from ffensembles.extensions.registry import extension
from ffensembles.extensions.results import (
    COLUMNS as RESULT_COLUMNS,
)
from ffensembles.extensions.results import (
    as_results,
    estimates,
    groups,
    records,
    said,
)
from ffensembles.extensions.runs import ExtensionRun, OfEnsembles
from ffensembles.models.spec import MODELS
from ffensembles.runtime.text import plural
from ffensembles.training.cache import Cache
from ffensembles.training.metadata import read_run

log = logging.getLogger(__name__)

COLUMNS = (
    "layer", "epoch", "method", "quantile", "category", "layer_accuracy", "network_accuracy",
    "sparsity", "silent", "images", "size", "units", "jaccard", "jaccard_chance", "kept",
    "elsewhere", "elsewhere_chance", "of_edition",
)  # fmt: skip
"""Columns of a run's frame beside its keys, see `observing.dynamics_frame`. `of_edition` marks the
ensembles of the method that the extension shows."""

SMALLEST_RISE = 0.05
"""Where accuracy rises by less over training, no epoch at half of the rise is given."""

_ACCURACY = "accuracy: epoch at half of its rise"
_SPARSITY = "sparsity: epoch at half of its change"
_FORMED = "classes with an ensemble, share"
_LIKE = "Jaccard index of the untrained layer's ensembles with the final ones"
_MOVED = "units of final ensembles that are another class's when accuracy is at half, share"
_ENSEMBLES = "ensembles"
_MISSING = (
    "is not there, this run was trained without readings. To have them, set "
    "training.readings.epochs, delete the run's folder and its cache, and train it again."
)
_OTHER_SETTINGS = (
    "was read with other settings (ensembles, training.readings) than are configured now, and is "
    "not used. Set them back, or delete the run's folder and its cache, and train it again."
)


class Dynamics(OfEnsembles):
    """How ensembles form while a net trains."""


def accuracy_of(frame: pd.DataFrame) -> pd.Series:
    """Return the accuracy that goes with each row's layer.

    Layers of FF train one by one, and each predicts by its own goodness: the layer's accuracy. In
    a net that trains as a whole all layers serve one prediction: the network's.
    """
    alone = frame["model"].map(lambda name: name in MODELS and MODELS[name].layerwise)
    return frame["layer_accuracy"].where(alone, frame["network_accuracy"])


def half_epoch(
    epochs: NDArray[np.floating], values: NDArray[np.floating], smallest: float = 0.0
) -> float:
    """Return the epoch from which a curve stays beyond half way from its first to its last value.

    A curve may be there for a moment and go back: accuracy often jumps in the first epochs. Between
    two readings the curve is taken as a straight line.

    Parameters
    ----------
    epochs
        Ascending, (readings,).
    values
        The curve, (readings,).
    smallest
        Missing (NaN) is returned for a curve that changes by no more than this.

    Examples
    --------
    >>> half_epoch(np.array([0, 1, 3, 10]), np.array([0.1, 0.3, 0.7, 0.9]))
    2.0
    >>> half_epoch(np.array([0, 1, 2, 4]), np.array([0.0, 0.8, 0.0, 1.0]))
    3.0
    >>> half_epoch(np.array([0, 10]), np.array([0.5, 0.5]))
    nan
    """
    epochs, values = np.asarray(epochs, float), np.asarray(values, float)
    change = values[-1] - values[0]
    if not abs(change) > smallest:
        return float("nan")
    share = (values - values[0]) / change
    place = int(np.flatnonzero(share < 0.5)[-1]) + 1
    before, after = share[place - 1], share[place]
    part = (0.5 - before) / (after - before)
    return float(epochs[place - 1] + part * (epochs[place] - epochs[place - 1]))


def curves(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what a figure shows of each run, layer and epoch: means over classes.

    Parameters
    ----------
    frame
        The frame across runs.

    Returns
    -------
    pandas.DataFrame
        Run keys, `layer`, `epoch`; `accuracy`; `jaccard`, `jaccard_chance`, `elsewhere` and
        `elsewhere_chance`, means over classes with an ensemble to compare with; `formed`, the
        share of classes with an ensemble; `size`; `sparsity`.
    """
    rows = frame[frame["of_edition"].astype(bool)]
    rows = rows.assign(accuracy=accuracy_of(rows), formed=(rows["size"] > 0).astype(float))
    means = ["accuracy", "jaccard", "jaccard_chance", "elsewhere", "elsewhere_chance", "formed",
             "size", "sparsity"]  # fmt: skip
    keys = [*RUN_KEYS, "layer", "epoch"]
    return rows.groupby(keys, dropna=False, sort=False)[means].mean().reset_index()


def halves_of_change(frame: pd.DataFrame) -> pd.DataFrame:
    """Return when each run's curves are half way, and how its layers begin and end.

    Returns
    -------
    pandas.DataFrame
        One row for each run and layer: `accuracy`, `ensembles` and `change_of_sparsity`, epochs
        at half (`half_epoch`; of ensembles, of their Jaccard index with the final ones);
        `formed` and `formed_before`, shares of classes with an ensemble at the end and before
        training; `like` and `like_chance`, Jaccard index before training; `moved` and
        `moved_chance`, `elsewhere` at the first reading from which accuracy stays beyond half.
    """
    rows = []
    keys = [*RUN_KEYS, "layer"]
    for key, curve in curves(frame).groupby(keys, dropna=False, sort=False):
        here = curve.sort_values("epoch")
        epochs = here["epoch"].to_numpy(float)
        rise = here["accuracy"].to_numpy()
        accuracy = half_epoch(epochs, rise, SMALLEST_RISE) if rise[-1] > rise[0] else np.nan
        then = here.iloc[int(np.searchsorted(epochs, accuracy))] if accuracy > 0 else None
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "accuracy": accuracy,
                "ensembles": half_epoch(epochs, here["jaccard"].to_numpy()),
                "change_of_sparsity": half_epoch(epochs, here["sparsity"].to_numpy(), 0.01),
                "formed": here["formed"].iloc[-1],
                "formed_before": here["formed"].iloc[0],
                "like": here["jaccard"].iloc[0],
                "like_chance": here["jaccard_chance"].iloc[0],
                "moved": np.nan if then is None else then["elsewhere"],
                "moved_chance": np.nan if then is None else then["elsewhere_chance"],
            }
        )
    columns = [
        *keys, "accuracy", "ensembles", "change_of_sparsity", "formed", "formed_before", "like",
        "like_chance", "moved", "moved_chance",
    ]  # fmt: skip
    return whole_numbers(pd.DataFrame(rows, columns=columns))


def results(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn the frame across runs into estimates beside their controls."""
    if frame.empty:
        return as_results([])
    half = halves_of_change(frame)
    asked = [
        ("accuracy", _ACCURACY, _ENSEMBLES, "ensembles"),
        ("change_of_sparsity", _SPARSITY, "accuracy", "accuracy"),
        ("formed", _FORMED, "untrained", "formed_before"),
        ("like", _LIKE, "chance", "like_chance"),
        ("moved", _MOVED, "chance", "moved_chance"),
    ]
    parts = [
        estimates(half, value, quantity, control=control, control_value=column)
        for value, quantity, control, column in asked
    ]
    return pd.concat(parts, ignore_index=True)[list(RESULT_COLUMNS)]


def verdict(results: pd.DataFrame) -> list[str]:
    """Say which comes first, accuracy or ensembles, and whether units change class."""
    parts = []
    for name, rows in groups(results):
        order = [_order(row) for row in records(rows[rows.quantity == _ACCURACY])]
        moved = [
            f"{said(row['value'])} in layer {row['layer']} (chance {said(row['control_value'])})"
            for row in records(rows[rows.quantity == _MOVED])
            if not pd.isna(row["value"])
        ]
        text = f"{name}: {'; '.join(order)}."
        if moved:
            text += (
                " Of the units of final ensembles, these shares are in another class's ensemble "
                f"when accuracy is at half: {', '.join(moved)}."
            )
        parts.append(text)
    return parts or ["No run was read while it trained."]


def summary(results: pd.DataFrame) -> str:
    """Say what comes first and how many units change class, over all groups of runs."""
    order = results[results["quantity"] == _ACCURACY]
    moved = results[(results["quantity"] == _MOVED) & (results["layer"] == 1)]
    return (
        "Accuracy is at half of its rise, for good, before ensembles are half way to the final "
        f"ones {clear_in(order, below=True, what='layers')}, and after them "
        f"{clear_in(order, what='layers')}. Of the units of layer 1's final ensembles this share "
        f"is in another class's ensemble then: {spans(moved)}; by chance it would be: "
        f"{spans(moved, 'control_value')}."
    )


def _order(row: Mapping[str, Any]) -> str:
    """Say of one layer which comes first."""
    place, runs = f"layer {row['layer']}", plural(int(row["n_runs"]), "run")
    value, other = row["value"], row["control_value"]
    if np.isnan(value):
        return f"in {place} accuracy rises too little to say which comes first"
    if np.isnan(other):
        return (
            f"in {place} accuracy is at half after {value:.3g} epochs, and there are no ensembles "
            f"in the end ({runs})"
        )
    low, high = row["difference_low"], row["difference_high"]
    if high < 0:
        first = "accuracy comes first"
    elif low > 0:
        first = "ensembles come first"
    elif np.isnan(low):
        sooner = "accuracy" if value < other else "ensembles"
        first = f"{sooner} first, without an interval"
    else:
        first = "the order is not settled"
    return (
        f"in {place} accuracy is at half after {value:.3g} epochs, ensembles after {other:.3g}: "
        f"{first} ({runs})"
    )


@extension(
    "dynamics",
    "Dynamics",
    Dynamics,
    needs=("weights", "metadata"),
    question="Which comes first while a net trains, accuracy or ensembles, and do units change "
    "class?",
    results=results,
    verdict=verdict,
    summary=summary,
    note="Nets are read on a fixed sample of test images, all of a class, at log-spaced epochs; "
    "epochs are those of a layer's own training (FF) or of the net's. A curve is at half from the "
    "epoch on after which it never falls below it. Between two readings, and "
    "from the untrained net to the first epoch, curves are taken as straight lines. Ensembles are "
    "compared with those of the last epoch, with which they agree only there, while accuracy may "
    "stop rising long before: in part it is ahead by definition. Sparsity has no such end point. "
    "Accuracy is that of the layer for FF, of the network for nets trained as a whole.",
    minutes=5,
    memory=1000,
)
def measure(run: ExtensionRun, parameters: Dynamics) -> pd.DataFrame:
    """Take the readings that training left; there are none of a run trained without."""
    path = Path(run.files["weights"]).with_name(Cache.readings)
    frame = read_frame(path, [run.run]) if path.exists() else None
    if frame is None or (why := _why_not(frame, run)):
        log.warning("%s: %s", path, _MISSING if frame is None else why)
        return pd.DataFrame(columns=list(COLUMNS))
    quantile = frame["quantile"]
    if parameters.quantile is not None:
        near = np.isclose(quantile.astype(float), parameters.quantile)
    else:
        near = np.ones(len(frame), bool)
    shown = (frame["method"] == parameters.method) & (near | quantile.isna())
    if not shown.any():
        log.warning("%s: was not read by the method that is shown, %s.", path, parameters.method)
    return frame.assign(of_edition=shown)[list(COLUMNS)]


def _why_not(frame: pd.DataFrame, run: ExtensionRun) -> str:
    """Say why readings are not those of this run as it is configured; nothing if they are."""
    if set(frame["weights_sha256"]) != {read_run(run.files["metadata"])["weights_sha256"]}:
        return "is of another training than the weights beside it and not used."
    methods = set(frame["method"])
    if run.observer is not None and not all(
        run.observer.fits(settings, methods) for settings in set(frame["settings"])
    ):
        return _OTHER_SETTINGS
    return ""
