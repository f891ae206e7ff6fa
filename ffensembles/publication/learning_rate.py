"""The control of the learning rate: its claims, and what they say in words.

The study compares FF at a learning rate of 1e-2 with BP at 1e-4. So its sparsity may be that of
the learning rate; control runs train BP at FF's rate, and others.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ffensembles.analyses.tidy import RUN_KEYS
from ffensembles.publication.measures import (
    Frames,
    Measured,
    difference,
    per_run,
    sample_text,
    select,
    sparsities,
)
from ffensembles.publication.numbers import tolerance
from ffensembles.publication.numbers2025 import CONTROL
from ffensembles.runs import variation_name, variation_of
from ffensembles.runtime.text import plural

MATCHED = tolerance("accuracy", 0.0, "2025")
"""Two runs have matched accuracies if these differ by no more: as a published one is reproduced."""

_LEARNING_RATES, _EPOCHS = CONTROL.rpartition("-")[0], "FF.epochs"
"""Keys that control runs vary."""


def sparser_at_its_rate(frames: Frames, dataset: str, protocol: str, layer: int) -> Measured | None:
    """Measure how much sparser FF's layer is than that of BP trained at FF's learning rate.

    FF's runs are the study's own; where there is none, the base of the control, which may be
    trained shorter.
    """
    control = f"{protocol}--{CONTROL}"
    prefix, name = _own(frames, protocol, dataset, "FF")
    ours = sparsities(frames, f"{prefix}sparsity", name, dataset, "FF", layer)
    theirs = sparsities(frames, "control_sparsity", control, dataset, "BP", layer)
    if ours.empty or theirs.empty:
        return None
    found = difference(
        {"FF": per_run(ours, "sparsity"), "BP at FF's rate": per_run(theirs, "sparsity")}
    )
    rows = (
        ("FF", select(frames, f"{prefix}accuracy", name, dataset=dataset, model="FF", layer=0)),
        ("BP", select(frames, "control_accuracy", control, dataset=dataset, model="BP", layer=0)),
    )
    known = [f"{name} {one['accuracy'].mean():.3f}" for name, one in rows if len(one)]
    return found and _opposite(found, f"accuracy {', '.join(known)}" if known else "")


def sparser_at_its_accuracy(
    frames: Frames, dataset: str, protocol: str, layer: int
) -> Measured | None:
    """Measure how much sparser FF's layer is than BP's in as many runs of like accuracy.

    BP's runs are of every learning rate. Runs are matched in pairs with the least squared
    differences in accuracy in all, each run in one pair at most. Which run is whose partner means
    nothing beyond that, so the two sets of runs are compared, by Welch's interval. FF's runs are
    as in `sparser_at_its_rate`, or those with another number of epochs where more of these are
    matched: the study's own may be as accurate as no run of BP.
    """
    theirs = [_with_accuracy(frames, *_own(frames, protocol, dataset, "BP"), dataset, "BP", layer)]
    theirs += _varied(frames, protocol, dataset, "BP", _LEARNING_RATES, layer).values()
    ours = {
        "": _with_accuracy(frames, *_own(frames, protocol, dataset, "FF"), dataset, "FF", layer)
    }
    ours |= _varied(frames, protocol, dataset, "FF", _EPOCHS, layer)
    beside = pd.concat(theirs)
    if all(rows.empty for rows in ours.values()) or beside.empty:
        return None
    pairs = {
        epochs: _matched(rows["accuracy"], beside["accuracy"]) for epochs, rows in ours.items()
    }
    epochs = max(pairs, key=lambda name: len(pairs[name][0]))  # the first of several: the study's
    mine, (i, j) = ours[epochs], pairs[epochs]
    matched, partners = mine.iloc[i], beside.iloc[j]
    with_ = f" with {epochs} epochs" if epochs else ""
    note = (
        f"{len(i)} of {plural(len(mine), 'FF run')}{with_} matched within {MATCHED:g} in accuracy"
    )
    found = difference(
        {"FF": matched["sparsity"].to_numpy(float), "BP": partners["sparsity"].to_numpy(float)}
    )
    if found is None:
        return Measured(note=note)
    apart = matched["accuracy"].mean() - partners["accuracy"].mean()
    return _opposite(found, f"{note}, FF's accuracy less BP's {apart:+.3f} on average")


def _matched(ours: pd.Series, theirs: pd.Series) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of runs in pairs: those whose accuracies differ least, within MATCHED."""
    apart = np.abs(np.subtract.outer(ours.to_numpy(float), theirs.to_numpy(float)))
    # a pair beyond the tolerance costs more than all others together, and is left out
    i, j = linear_sum_assignment(np.where(apart <= MATCHED, apart**2, 1e3))
    close = apart[i, j] <= MATCHED
    return i[close], j[close]


def _varied(
    frames: Frames, protocol: str, dataset: str, model: str, key: str, layer: int
) -> dict[str, pd.DataFrame]:
    """Return the control runs of a model with other values of a key, by value."""
    changed = frames.get("control_sparsity")
    names = [] if changed is None or changed.empty else changed["protocol"].unique().tolist()
    values = {
        name: variation_of(name)[2] for name in names if variation_of(name)[:2] == (protocol, key)
    }
    found = {
        value: _with_accuracy(frames, "control_", name, dataset, model, layer)
        for name, value in values.items()
    }
    return {value: rows for value, rows in found.items() if len(rows)}


def _own(frames: Frames, protocol: str, dataset: str, model: str) -> tuple[str, str]:
    """Return where a model's runs with the study's settings are: prefix of frames, protocol."""
    base = variation_name(protocol, "base")
    for prefix, name in (("", protocol), ("control_", base)):
        if len(select(frames, f"{prefix}sparsity", name, dataset=dataset, model=model)):
            return prefix, name
    return "", protocol


def _with_accuracy(
    frames: Frames, prefix: str, protocol: str, dataset: str, model: str, layer: int
) -> pd.DataFrame:
    """Return the sparsity and the accuracy of each run that has both."""
    keys = list(RUN_KEYS)
    rows = sparsities(frames, f"{prefix}sparsity", protocol, dataset, model, layer)
    net = select(frames, f"{prefix}accuracy", protocol, dataset=dataset, model=model, layer=0)
    if rows.empty or net.empty:
        return pd.DataFrame(columns=[*keys, "sparsity", "accuracy"])
    return rows[[*keys, "sparsity"]].merge(net[[*keys, "accuracy"]], on=keys)


def _opposite(found: Measured, *notes: str) -> Measured:
    """Say so where the interval shows the opposite of the claim."""
    reverse = "BP is the sparser (interval below 0)" if found.high < 0 else ""
    return found.noting(*notes, reverse)


# ---- in words

_AT = {"same_rate": "At FF's learning rate", "same_accuracy": "At the same accuracy"}
"""What is the same for both models in a claim, by the beginning of the claim's key."""


def in_words(claims: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Say for each data set whether FF is sparser than BP where learning rates are no difference.

    Parameters
    ----------
    claims
        Rows of `claims.claims`: those of `same_rate` and `same_accuracy`, one for each layer.
    titles
        Titles of data sets; their keys where it has none.

    Returns
    -------
    str
        A paragraph for each data set, in Markdown.
    """
    of = claims[claims["claim"].str.startswith(tuple(_AT))]
    if of.empty:
        return ""
    return "\n\n".join(
        f"**{titles.get(str(dataset), dataset)}.** "
        + " ".join(
            _sentences(rows[rows["claim"].str.startswith(key)], said) for key, said in _AT.items()
        )
        for dataset, rows in of.groupby("dataset", sort=False)
    )


def _sentences(rows: pd.DataFrame, at: str) -> str:
    """Return the differences of all layers, their sample and what they mean."""
    known = rows.dropna(subset="value").to_dict("records")
    notes = dict.fromkeys(_note(row) for row in known or rows.to_dict("records"))
    note = "; ".join(filter(None, notes))
    if not known:
        return f"{at}: {note or 'not run'}."
    layers = ", ".join(f"{_layer(row)} {_difference(row)}" for row in known)
    sample = " or ".join(dict.fromkeys(sample_text(row) for row in known))
    return (
        f"{at}, the sparsity of FF less that of BP is, by layer: {layers} ({sample}"
        f"{f'; {note}' if note else ''}). {_verdict(known)}"
    )


def _verdict(rows: list[dict[Any, Any]]) -> str:
    if any(pd.isna(row["low"]) for row in rows):
        signs = {row["value"] > 0 for row in rows}
        which = {True: "FF is the sparser", False: "BP is the sparser"}
        said = which[signs.pop()] if len(signs) == 1 else "the layers differ in their sign"
        return f"In these runs {said}; there is no interval, so nothing is decided."
    above = [_layer(row) for row in rows if row["low"] > 0]
    below = [_layer(row) for row in rows if row["high"] < 0]
    if len(above) == len(rows):
        return "FF is the sparser in every layer: the published difference holds here, too."
    if len(below) == len(rows):
        return "BP is the sparser in every layer: the published difference does not hold here."
    parts = [
        f"{model} is the sparser in {', '.join(layers)}"
        for model, layers in (("FF", above), ("BP", below))
        if layers
    ]
    open_ = [_layer(row) for row in rows if row["low"] <= 0 <= row["high"]]
    parts += [f"undecided in {', '.join(open_)}"] if open_ else []
    said = "; ".join(parts)
    if below:
        said += ": the published difference does not hold in every layer here"
    return f"{said[:1].upper()}{said[1:]}."


def _layer(row: Mapping[Any, Any]) -> str:
    return f"layer {str(row['claim']).rpartition('_')[2]}"


def _difference(row: Mapping[Any, Any]) -> str:
    interval = "" if pd.isna(row["low"]) else f" ({row['low']:+.3f} to {row['high']:+.3f})"
    return f"{row['value']:+.3f}{interval}"


def _note(row: Mapping[Any, Any]) -> str:
    """Return what a claim's note says of accuracies."""
    parts = [] if pd.isna(row["note"]) else str(row["note"]).split("; ")
    return "; ".join(part for part in parts if "accuracy" in part)
