"""The extension on phases: estimates beside joint training, collapse, what a run is read for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from test_training import DATA, RECIPE, RUN, files_in, train

from ffensembles.config import load_config
from ffensembles.errors import ConfigError
from ffensembles.extensions.kinds.sleep_wake import SleepWake, measure, results, verdict
from ffensembles.extensions.page import page
from ffensembles.extensions.runs import ExtensionRun
from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.registry import KINDS, Shown
from ffensembles.representations.readout import read_out
from ffensembles.representations.store import open_activations
from ffensembles.study import Study

ROOT = Path(__file__).parents[2]
DEMO = [ROOT / "config.yaml", ROOT / "profiles" / "demo" / "study.yaml"]


def frame_of(accuracy: dict[str, dict[int, float]], layers: int = 2) -> pd.DataFrame:
    """Make the frame across runs of FF, from accuracies by phases and seed."""
    rows = []
    for phases, by_seed in accuracy.items():
        n, m = map(int, phases.split("-"))
        name = "p" if phases == "0-0" else f"p--FF.phases-{phases}"
        rows += [
            {"protocol": name, "dataset": "digits", "model": "FF", "held_out": None, "seed": seed,
             "layer": layer, "positive_steps": n, "negative_steps": m, "accuracy": value,
             "collapsed": value < 0.2, "lost_classes": 0, "dead": False, "sparsity": 0.1 * layer,
             "silent": 0.0, "positive": 0.5}
            for seed, value in by_seed.items() for layer in range(1, layers + 1)
        ]  # fmt: skip
    return pd.DataFrame(rows).astype({"held_out": "Int64", "layer": "Int64", "seed": "Int64"})


FRAME = frame_of({"0-0": {0: 0.8, 1: 0.9}, "1-1": {0: 0.7, 1: 0.6}, "9-9": {0: 0.1, 1: 0.5}})


def test_phases_stand_beside_joint_training_of_the_same_seeds():
    found = results(FRAME)
    assert set(found.protocol) == {"p"}
    by = found[found.layer.isna()].set_index("quantity")
    assert by.loc["accuracy; joint training", "value"] == pytest.approx(0.85)
    row = by.loc["accuracy; phases 1-1"]
    assert (row["value"], row["control_value"], row["difference"]) == pytest.approx(
        (0.65, 0.85, -0.2)
    )
    assert row["n_runs"] == 2
    assert by.loc["share of runs that collapse; phases 9-9", "value"] == pytest.approx(0.5)
    of_layers = found[found.quantity == "Hoyer sparsity; phases 1-1"]
    assert of_layers.set_index("layer")["value"].to_dict() == pytest.approx({1: 0.1, 2: 0.2})


def test_a_seed_without_joint_training_is_in_no_comparison():
    frame = FRAME[~((FRAME.protocol == "p") & (FRAME.seed == 1))]
    by = results(frame).set_index("quantity")
    assert by.loc["accuracy; phases 1-1", "value"] == pytest.approx(0.65)
    assert by.loc["accuracy; phases 1-1", "n_runs"] == 2  # none is dropped
    assert by.loc["accuracy; phases 1-1", "control"] == ""
    both = pd.concat([FRAME, frame.assign(dataset="other")], ignore_index=True)
    of = results(both).set_index(["dataset", "quantity"])["control"]
    name = "accuracy; phases 1-1"
    assert [of[dataset, name] for dataset in (FRAME.dataset[0], "other")] == [
        "joint training", ""]  # fmt: skip
    alone = results(FRAME[FRAME.protocol != "p"]).set_index("quantity")
    assert alone.loc["accuracy; phases 1-1", "value"] == pytest.approx(0.65)
    assert alone.loc["accuracy; phases 1-1", "control"] == ""


def test_the_verdict_says_where_training_collapses():
    (said,) = verdict(results(FRAME))
    assert "0.85" in said
    assert "it collapses with phases 9-9 (1 of 2 runs)" in said
    assert "no run collapses" in verdict(results(FRAME[FRAME.accuracy > 0.5]))[0]
    assert verdict(results(FRAME.iloc[:0])) == ["No such run is there."]
    assert "collapses with phases 9-9" in page({"sleep_wake": FRAME}).replace("\n", " ")


def test_figure_and_caption_name_the_runs_that_collapsed():
    kind = KINDS["sleep_wake"]
    label = {"digits": DatasetLabel("Digits", tuple("0123456789"))}
    shown = Shown("sleep_wake", "2025", label, frames={"sleep_wake": FRAME})
    figure = kind.draw(shown, kind.parameters())
    accuracy = figure.axes[0]
    assert [tick.get_text() for tick in accuracy.get_xticklabels()] == [
        "joint training", "1-1", "9-9",
    ]  # fmt: skip
    assert accuracy.lines[1].get_ydata().tolist() == pytest.approx([0.85, 0.65, 0.3])
    assert "FF on Digits, phases 9-9 (1)" in kind.caption(shown, kind.parameters())
    empty = Shown("sleep_wake", "2025", label, frames={"sleep_wake": FRAME.iloc[:0]})
    kind.draw(empty, kind.parameters())
    assert "There are no runs." in kind.caption(empty, kind.parameters())


def run_of_phases(folder: Path) -> ExtensionRun:
    """Train a small net with positive and negative steps in turn, and read it out."""
    recipe = RECIPE.but(epochs=4, phases="1-1")
    train(folder, recipe)
    files = files_in(folder)
    store = folder / "activations.zarr.zip"
    read_out(RUN, recipe, DATA, files.weights, store)
    given = {"weights": files.weights, "metadata": files.metadata, "activations": store}
    return ExtensionRun(RUN, files=given, recipe=recipe, data=DATA)


def test_a_run_is_measured_on_all_its_test_images(tmp_path: Path):
    run = run_of_phases(tmp_path)
    frame, store = measure(run, SleepWake()), run.files["activations"]
    told = json.loads(run.files["metadata"].read_text())
    assert told["recipe"]["phases"] == "1-1"
    assert frame.layer.tolist() == [1, 2, 3]
    assert set(zip(frame.positive_steps, frame.negative_steps, strict=True)) == {(1, 1)}
    assert set(frame.accuracy) == {told["accuracy"]["network"]}
    assert set(frame.collapsed) == {told["accuracy"]["network"] < 0.2}
    x = open_activations(store)["layer1"]["activation"].values.astype(float)
    l1, l2 = np.abs(x).sum(1), np.sqrt((x**2).sum(1))
    root = np.sqrt(x.shape[1])
    expected = ((root - l1 / l2) / (root - 1)).mean()
    assert frame.sparsity[0] == pytest.approx(expected, abs=1e-6)
    assert isinstance(open_activations(store), xr.DataTree)


def test_its_runs_are_those_of_its_section_and_joint_training():
    study = Study.of(load_config(*DEMO))
    runs = study.extensions.runs("sleep_wake")
    names = {run.protocol for run in runs}
    assert names == {
        "relu-l2",
        *(f"relu-l2--{model}.phases-{p}" for model in ("FF", "BPFF") for p in ("1-1", "12-12")),
    }
    assert {run.model for run in runs} == {"FF", "BPFF"}
    phases = {study.grid.recipe(run).phases for run in runs}
    assert phases == {"0-0", "1-1", "12-12"}
    own = [run for run in runs if run.protocol == "relu-l2"]
    assert set(own) <= set(study.grid.runs)  # the study's own runs, not trained once more


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"settings": [{"key": "FF.theta", "values": [1.0], "models": ["FF"]}]}, "FF.phases"),
        ({"settings": [{"key": "FF.phases", "values": ["2"], "models": ["FF"]}]}, "hyphen"),
        ({"per_dataset": {"digits": {"FF": {"epochs": 3}}}}, "other values than in control"),
    ],
)
def test_what_is_wrong_with_the_section_is_told(over: dict[str, Any], said: str):
    with pytest.raises(ConfigError, match=said):
        load_config(*DEMO, {"sleep_wake": over})
