"""Sleep and wake: what is learnt from positive and from negative data in turn."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ffensembles.analyses.sparsity import sparsity_by_image
from ffensembles.analyses.tidy import whole_numbers
from ffensembles.analyses.weights import weights_frame
from ffensembles.extensions.across import span
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
from ffensembles.extensions.runs import ExtensionRun
from ffensembles.representations.layers import layer_names
from ffensembles.runs import variation_of
from ffensembles.runtime.keys import Group
from ffensembles.runtime.text import listed, plural
from ffensembles.training.metadata import read_run

COLUMNS = (
    "layer", "positive_steps", "negative_steps", "accuracy", "collapsed", "lost_classes", "dead",
    "sparsity", "silent", "positive",
)  # fmt: skip
"""Columns of a run's frame beside its keys, one row for each layer; see `measure`."""

JOINT = "joint training"

_QUANTITIES = {
    "accuracy": "accuracy",
    "collapsed": "share of runs that collapse",
    "sparsity": "Hoyer sparsity",
    "positive": "fraction of positive weights",
}
_OF_NET = ("accuracy", "collapsed")


class SleepWake(Group):
    """Steps on positive and on negative data in turn; its runs are in a section of their own."""


def phases_of(frame: pd.DataFrame) -> pd.Series:
    """Return in words which phases each row's run was trained with.

    Examples
    --------
    >>> phases_of(pd.DataFrame({"positive_steps": [0, 5], "negative_steps": [0, 1]})).tolist()
    ['joint training', 'phases 5-1']
    """
    pairs = zip(frame["positive_steps"], frame["negative_steps"], strict=True)
    words = [f"phases {n}-{m}" if n or m else JOINT for n, m in pairs]
    return pd.Series(words, index=frame.index, dtype=object)


def results(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn the frame across runs into estimates, each beside joint training of the same seeds."""
    if frame.empty:
        return as_results([])
    base = frame["protocol"].map(lambda name: variation_of(name)[0])
    rows = frame.assign(protocol=base, phases=phases_of(frame), collapsed=frame.collapsed * 1.0)
    parts = []
    for value, words in _QUANTITIES.items():
        of_net = value in _OF_NET
        here = rows[rows.layer == rows.layer.min()].assign(layer=pd.NA) if of_net else rows
        group = ["protocol", "dataset", "model", "layer"]
        keys = [*group, "seed"]
        joint = here[here.phases == JOINT].set_index(keys)[value].rename("joint")
        beside = here.merge(joint.reset_index(), on=keys, how="left")
        # without joint training of one of its seeds a group stands alone, with all its runs
        beside["paired"] = beside["joint"].notna() & (beside.phases != JOINT)
        paired = beside.groupby([*group, "phases"], dropna=False)["paired"].transform("all")
        for phases, of_phases in beside.assign(paired=paired).groupby("phases", sort=False):
            name, pairs = f"{words}; {phases!s}", of_phases[of_phases.paired]
            compared = {"control": JOINT, "control_value": "joint"}
            parts.append(estimates(of_phases[~of_phases.paired], value, name))
            parts.append(estimates(pairs, value, name, **compared))
    return pd.concat(parts, ignore_index=True)[list(RESULT_COLUMNS)]


def verdict(results: pd.DataFrame) -> list[str]:
    """Say what phases cost in accuracy, and where training collapses."""
    parts = []
    for name, rows in groups(results):
        values = {row["quantity"]: row for row in records(rows[rows.layer.isna()])}
        accuracies, collapsed = [], []
        for quantity, row in values.items():
            what, _, phases = str(quantity).partition("; ")
            if what == _QUANTITIES["accuracy"]:
                runs = plural(int(row["n_runs"]), "run")
                accuracies.append(f"{said(row['value'], row['low'], row['high'])} in {phases} "
                                  f"({runs})")  # fmt: skip
            elif what == _QUANTITIES["collapsed"] and row["value"] > 0:
                n, all_runs = round(row["value"] * row["n_runs"]), int(row["n_runs"])
                collapsed.append(f"{phases} ({n} of {plural(all_runs, 'run')})")
        fall = f"it collapses with {', '.join(collapsed)}" if collapsed else "no run collapses"
        parts.append(f"{name}: accuracy is {', '.join(accuracies)}; {fall}.")
    return parts or ["No such run is there."]


def summary(results: pd.DataFrame) -> str:
    """Say which phases keep the accuracy of joint training, over all groups of runs."""
    of_net = results[results["layer"].isna()]
    names = of_net["quantity"].str.split("; ", n=1, expand=True)
    of_net = of_net.assign(what=names[0], phases=names[1])
    accuracy, fallen = (of_net[of_net["what"] == _QUANTITIES[name]] for name in _OF_NET)
    fallen = fallen[fallen["value"] > 0]
    shares = [
        f"{span(rows['value'])} with {phases}"
        for phases, rows in accuracy.groupby("phases", sort=False)
    ]
    collapsed = listed(fallen["phases"].unique()) if len(fallen) else "no phases"
    return f"Accuracy is {', '.join(shares)}. Training collapses with {collapsed}."


@extension(
    "sleep_wake",
    "Sleep and wake",
    SleepWake,
    needs=("weights", "metadata", "activations"),
    question="What is learnt if steps on positive and steps on negative data take turns?",
    results=results,
    verdict=verdict,
    summary=summary,
    note="Phases n-m: n steps that learn from positive data alone, then m from negative data alone "
    "(Hinton 2022). Both kinds of step count among the epochs, so that a net has half as many "
    "steps of each kind as in joint training with n = m. A run collapses if its accuracy is below "
    "twice that of a guess. Sparsity is the mean over all test images that are not silent.",
    section="sleep_wake",
    minutes=10,
    memory=2000,
)
def measure(run: ExtensionRun, parameters: SleepWake) -> pd.DataFrame:
    """Measure accuracy, sparsity and weights of a run that was trained in phases or without.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, one row for each layer: `positive_steps` and `negative_steps` in a row (0,
        0: joint); of the net `accuracy`, `collapsed` (accuracy below twice a guess's) and the
        number of `lost_classes`; of the layer whether it is `dead`, Hoyer `sparsity` (mean over all
        test images with an active unit), the share `silent` of the others, and `positive`, the
        fraction of positive weights.
    """
    said_of = read_run(run.files["metadata"])
    n, m = run.recipe.steps_of_phases
    accuracy = said_of["accuracy"]["network"]
    weights = weights_frame(run.weights).set_index("layer")["positive"]
    rows = []
    for name in layer_names(run.activations):
        layer = int(name.removeprefix("layer"))
        sparsity = sparsity_by_image(run.activations[name].to_dataset()).values
        known = sparsity[~np.isnan(sparsity)]
        rows.append(
            {
                "layer": layer,
                "positive_steps": n,
                "negative_steps": m,
                "accuracy": accuracy,
                "collapsed": accuracy < 2 / len(run.categories),
                "lost_classes": len(said_of.get("lost_classes", [])),
                "dead": layer in said_of.get("dead_layers", []),
                "sparsity": float(known.mean()) if len(known) else np.nan,
                "silent": 1 - len(known) / len(sparsity),
                "positive": float(weights[layer]),
            }
        )
    return whole_numbers(pd.DataFrame(rows, columns=list(COLUMNS)))
