"""How far each variation of the open settings leaves the study from what was published."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ffensembles.analyses.regression import paired_sizes, regress
from ffensembles.analyses.tidy import RUN_KEYS, over_runs, whole_numbers
from ffensembles.ensembles.method2 import recut
from ffensembles.models.spec import trained_as
from ffensembles.publication.numbers import (
    DATASETS,
    HELD_OUT,
    PUBLISHED,
    UNSEEN_LAYER,
    UNSEEN_METHOD,
    published,
    tolerance,
)

FARTHEST = 10.0
"""Tolerances for which a single number counts at most where distances are averaged."""

POOLED = "all"
"""What stands for the model where a number belongs to no single one."""

_BY = ["protocol", "dataset", "model", "seed"]

_SIZED = {number.model for number in PUBLISHED if number.quantity == "ensemble_size"}


def over_cuts(
    measure: Callable[[xr.DataTree], pd.DataFrame],
    opened: Callable[[Path], xr.DataTree],
    runs: Iterable[tuple[Mapping[str, Any], Path]],
    cuts: Mapping[str, Mapping[str, float]],
) -> pd.DataFrame:
    """Measure the ensembles that Method 2 finds with other cuts.

    Parameters
    ----------
    measure
        Makes a tidy frame of a run's ensembles, as `sizes.sizes_frame` does.
    opened
        Opens a run's file.
    runs
        Pairs of a run's keys and the path of its ensembles by Method 2.
    cuts
        By a name that the rows carry as their protocol: what `ensembles.recut` is given.
    """
    runs, frames = list(runs), []
    for name, cut in cuts.items():

        def one(path: Path, cut: Mapping[str, float] = cut) -> pd.DataFrame:
            return measure(recut(opened(path), **cut))

        frames.append(over_runs(one, [({**keys, "protocol": name}, path) for keys, path in runs]))
    return pd.concat(frames, ignore_index=True)


def sweep_frame(
    accuracy: pd.DataFrame,
    sizes: pd.DataFrame,
    weights: pd.DataFrame,
    settings: Mapping[str, tuple[str, str]],
    base: str,
    *,
    unseen: pd.DataFrame | None = None,
    held_out: int = HELD_OUT,
) -> pd.DataFrame:
    """Lay every number of a sweep beside the published one.

    Parameters
    ----------
    accuracy, sizes, weights
        Tidy frames of all the sweep's runs, those of its base among them. Runs that differ in
        Method 2's cut alone are there with their sizes by Method 2 only.
    settings
        By the name of a variation's protocol: the key that it changes, and its value as text.
    base
        The protocol with every setting as it is.
    unseen
        Tidy frame of the runs without a class, by Method 2.
    held_out
        Label of the class that the study leaves out.

    Returns
    -------
    pandas.DataFrame
        Columns `protocol` (the one varied), `n_train` (training images), `setting` and `value`
        (empty for the base), `dataset` and `model` (missing where a number is of all; the one
        that a setting makes of it, as in `models.spec.trained_as`), `seed`,
        `quantity`, as in `published`, `layer` (missing for numbers of no single one), `ours`,
        `published` and `distance`: the deviation in units of `tolerance`. What was not published
        is left out.
    """
    whole = sizes[sizes["held_out"].isna()]
    parts = [
        _named(accuracy[accuracy["held_out"].isna() & (accuracy["layer"] == 0)], "accuracy")
        .drop(columns="layer")
        .rename(columns={"accuracy": "ours"}),
        _mean_sizes(whole),
        _named(weights, "positive_weights").rename(columns={"positive": "ours"}),
        _regressions(whole, base),
    ]
    if unseen is not None:
        parts.append(_unseen(unseen[unseen["held_out"] == held_out]))
    columns, keys = [*_BY, "quantity", "layer", "ours"], ("dataset", "model", "layer")
    rows = pd.concat([part.reindex(columns=columns) for part in parts], ignore_index=True)
    varied = [settings.get(name, ("", "")) for name in rows["protocol"]]
    rows["setting"], rows["value"] = zip(*varied, strict=True) if varied else ((), ())
    rows["model"] = [
        model if pd.isna(model) else trained_as(model, setting, value)
        for model, (setting, value) in zip(rows["model"], varied, strict=True)
    ]
    known = [rows[key].astype(object).where(rows[key].notna(), None) for key in keys]
    numbers = [
        published(quantity, dataset, model, layer, base)
        for quantity, dataset, model, layer in zip(rows["quantity"], *known, strict=True)
    ]
    rows["published"] = [np.nan if number is None else number.value for number in numbers]
    rows["tolerance"] = [
        np.nan if number is None else tolerance(number.quantity, number.value, number.edition)
        for number in numbers
    ]
    rows = rows.dropna(subset="published")
    rows["distance"] = (rows.ours - rows.published).abs() / rows.pop("tolerance")
    rows.insert(1, "n_train", accuracy["n_train"].max())
    rows.insert(2, "setting", rows.pop("setting"))
    rows.insert(3, "value", rows.pop("value"))
    return whole_numbers(rows.assign(protocol=base).reset_index(drop=True))


def _named(frame: pd.DataFrame, quantity: str) -> pd.DataFrame:
    return frame.assign(quantity=quantity)


def _mean_sizes(sizes: pd.DataFrame) -> pd.DataFrame:
    """Average the sizes of Table 2 over categories: Method 1 at 0.95."""
    rows = sizes[(sizes.method == "method1") & np.isclose(sizes["quantile"].astype(float), 0.95)]
    mean = rows.groupby([*RUN_KEYS, "layer"], dropna=False, sort=False)["size"].mean()
    return _named(mean.rename("ours").reset_index(), "ensemble_size")


def _regressions(sizes: pd.DataFrame, base: str) -> pd.DataFrame:
    """Fit each seed's sizes of Figure 8B, over all models and the study's data sets.

    A cut of Method 2 is set against the base's sizes by Method 1. The published fit is of all
    models: a seed that lacks one has none.
    """
    sizes = sizes[sizes["dataset"].isin(DATASETS)]
    first = sizes[(sizes.method == "method1") & (sizes.protocol == base)]
    known = sizes.loc[sizes.method == "method1", "protocol"].unique()
    rows = []
    second = sizes[sizes.method == "method2"]
    for protocol, seed in second[["protocol", "seed"]].drop_duplicates().to_numpy().tolist():
        if protocol != base and protocol in known:
            continue  # other weights, of the models concerned alone
        ones = first[first["seed"] == seed].assign(protocol=protocol)
        if not set(ones["model"]) >= _SIZED:
            continue
        twos = second[(second["protocol"] == protocol) & (second["seed"] == seed)]
        fit = regress(paired_sizes(pd.concat([ones, twos]), 0.99)).iloc[0]
        if not fit["n"]:  # Method 1 was not asked for that quantile
            continue
        run = {"protocol": protocol, "seed": seed}
        rows += [
            {**run, "quantity": f"regression_{name}", "ours": fit[name]}
            for name in ("slope", "intercept")
        ]
    return pd.DataFrame(rows, columns=["protocol", "seed", "quantity", "ours"])


def _unseen(frame: pd.DataFrame) -> pd.DataFrame:
    """Average what Figure 4 shows over categories, the unseen class beside the others."""
    rows = frame[(frame["layer"] == UNSEEN_LAYER) & (frame["method"] == UNSEEN_METHOD)]
    parts = [
        _named(
            rows[rows["unseen"].astype(bool) == (who == "unseen")]
            .groupby(_BY, sort=False)[what]
            .mean()
            .rename("ours")
            .reset_index(),
            f"{who}_{what}",
        )
        for who, what in (("unseen", "size"), ("unseen", "activity"), ("seen", "activity"))
    ]
    return pd.concat(parts, ignore_index=True)


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a sweep's rows with settings and values as text, empty where nothing is varied.

    Values that are all numbers are read from a file as numbers.
    """
    setting = frame["setting"].fillna("").astype(str)
    value = frame["value"].map(lambda one: f"{one:g}" if isinstance(one, float) else str(one))
    return frame.assign(setting=setting, value=value.where(setting != "", ""))


def distances(frame: pd.DataFrame) -> pd.DataFrame:
    """Average a sweep's distances over the numbers of each run, the base's beside each setting's.

    A single number counts for at most ten tolerances, so that a layer which has died does not
    drown all others; a missing one (every class lost) counts for as much. A number of all data
    sets or all models counts for each data set, as that of a model of its own, `POOLED`.

    Returns
    -------
    pandas.DataFrame
        One row per `setting`, `value` (empty: the base, on those numbers alone that the setting
        has), `dataset`, `model` and `seed`: `distance`, in tolerances, and `within`, the share of
        its numbers that are reproduced.
    """
    frame = as_text(frame).assign(quantity=frame["quantity"].astype(str))
    pooled = frame["dataset"].isna()
    datasets = frame.loc[~pooled, ["dataset"]].drop_duplicates()
    frame = pd.concat(
        [frame[~pooled], frame[pooled].drop(columns="dataset").merge(datasets, how="cross")]
    )
    frame["model"] = frame["model"].fillna(POOLED)
    number = ["quantity", "dataset", "model", "layer"]
    base = frame[frame["setting"] == ""].drop(columns="setting")
    parts = []
    for setting, rows in frame[frame["setting"] != ""].groupby("setting", sort=False):
        beside = base.merge(rows[[*number, "seed"]].drop_duplicates(), on=[*number, "seed"])
        parts += [beside.assign(setting=setting), rows]
    if not parts:
        parts = [base.assign(setting="")]
    frame = pd.concat(parts, ignore_index=True)
    capped = frame["distance"].fillna(np.inf).clip(upper=FARTHEST)
    by = ["setting", "value", "dataset", "model", "seed"]
    within = (capped <= 1).astype(float)
    grouped = frame[by].assign(distance=capped, within=within).groupby(by, sort=False)
    return grouped[["distance", "within"]].mean().reset_index()
