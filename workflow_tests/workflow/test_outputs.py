"""The whole study through the real snakemake: every output opens and holds what its name says."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from workplace import Workplace

from ffensembles import open_activations
from ffensembles.analyses.tidy import read_frame
from ffensembles.representations.store import open_tree
from ffensembles.study.export import code_here

RUN_KEYS = ["protocol", "dataset", "model", "held_out", "seed"]
RUNS = 7  # three models by two seeds, and one without a class
FF = "runs/sigmoid-linf/digits/FF/held-out-none/seed-0"


def test_weights_are_those_of_the_recipe(finished: Workplace):
    weights = load_file(finished.results / FF / "weights.safetensors")
    assert {name: w.shape for name, w in weights.items()} == {
        "layer1.weight": (36, 784),
        "layer1.bias": (36,),
        "layer2.weight": (25, 36),
        "layer2.bias": (25,),
        "layer3.weight": (20, 25),
        "layer3.bias": (20,),
    }
    assert all(np.isfinite(w).all() and w.dtype == np.float32 for w in weights.values())
    bp = load_file(finished.results / FF.replace("/FF/", "/BP/") / "weights.safetensors")
    assert bp["readout.weight"].shape == (10, 20)


def test_a_run_tells_its_story(finished: Workplace):
    run = json.loads((finished.results / FF / "run.json").read_text())
    assert run["run"] == dict(zip(RUN_KEYS, ["sigmoid-linf", "digits", "FF", None, 0], strict=True))
    assert run["n_train"] == 300
    assert run["code_sha256"] == code_here("digits", "FF")  # as an import compares it
    assert run["engine"] == "WinnerStage"
    assert 0.1 < run["accuracy"]["network"] <= 1
    assert len(run["accuracy"]["layers"]) == 3
    assert {"python", "torch", "device", "seed", "recipe"} <= run["provenance"].keys()
    history = pd.read_csv(finished.results / FF / "history.csv")
    assert history.layer.unique().tolist() == [1, 2, 3]
    assert history.groupby("layer").epoch.max().tolist() == [30, 30, 30]
    assert history.accuracy.notna().sum() == 3
    assert not list((finished.results / FF).glob("checkpoint*"))


def test_a_held_out_class_is_not_trained_on(finished: Workplace):
    folder = finished.results / FF.replace("held-out-none", "held-out-0")
    run = json.loads((folder / "run.json").read_text())
    assert run["n_train"] == 300 - 30  # digits are balanced to a tenth
    tree = open_activations(folder / "activations.zarr.zip")
    assert tree.attrs["held_out"] == 0


def test_activations_carry_their_presentations(finished: Workplace):
    store = finished.results / FF / "activations.zarr.zip"
    layer = open_activations(store, layer=2)
    assert layer.activation.sizes == {"presentation": 100, "neuroid": 25}
    assert layer.activation.dtype == np.float32
    coords = {"stimulus_id", "label", "embedded_label", "predicted", "correct"}
    assert coords | {"neuroid_id", "layer"} <= set(layer.coords)
    assert (layer.embedded_label == layer.label).all()
    assert (layer.correct == (layer.predicted == layer.label)).all()
    accuracy = json.loads((finished.results / FF / "run.json").read_text())["accuracy"]["network"]
    assert float(layer.correct.mean()) == pytest.approx(accuracy)


def test_ensembles_know_categories_and_units(finished: Workplace):
    first = open_tree(finished.results / FF / "method1.zarr.zip", layer=1)
    assert first.active.sizes == {"quantile": 3, "category": 10, "neuroid": 36}
    second = open_tree(finished.results / FF / "method2.zarr.zip", layer=3)
    assert second.rho.sizes == {"category": 10, "neuroid": 20}
    assert second.active.dtype == bool


def test_tidy_frames_have_a_row_for_each_observation(finished: Workplace):
    frames = {path.stem: read_frame(path) for path in (finished.results / "tidy").glob("[a-z]*")}
    assert set(frames) == {
        "accuracy",
        "history",
        "sparsity",
        "sizes",
        "positive_weights",
        "positive_weights_by_unit",
        "sharing",
        "regression",
        "unseen",
        "costs",
    }
    for name, frame in frames.items():
        assert name == "regression" or frame.columns[:5].tolist() == RUN_KEYS
    sizes = frames["sizes"]
    assert len(sizes) == RUNS * 3 * 10 * (3 + 2)  # layers, classes; quantiles, Method 2 and LOO
    units = frames["positive_weights_by_unit"]
    assert len(units) == 6 * (36 + 25 + 20)
    assert units.positive.between(0, 1).all()
    assert frames["unseen"].held_out.eq(0).all()


@pytest.mark.parametrize("table", ["table1", "table2", "table3"])
def test_tables_in_every_format(finished: Workplace, table: str):
    stem = finished.results / "tables/2023" / table
    cells = pd.read_csv(stem.with_suffix(".csv"))
    assert set(cells.model) == {"FF", "BPFF", "BP"}
    assert cells.n_runs.eq(2).all()
    assert "BP/FF" in stem.with_suffix(".md").read_text()
    assert r"\begin{tabular}" in stem.with_suffix(".tex").read_text()


@pytest.mark.parametrize("number", range(1, 9))
def test_figures_in_every_format(finished: Workplace, number: int):
    stem = finished.results / "figures/2023" / f"figure{number}"
    pdf = stem.with_suffix(".pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert len(pdf) < 2**20
    png = stem.with_suffix(".png").read_bytes()
    assert png.startswith(b"\x89PNG")
    width = int.from_bytes(png[16:20], "big")
    assert width >= 3.3 * 200  # at least a column at 200 dpi
    assert "Digits" in stem.with_suffix(".rst").read_text()


def test_the_report_holds_figures_tables_and_their_captions(finished: Workplace):
    page = (finished.results / "report.html").read_text()
    for part in ("Tables, edition 2023", "Figures, edition 2023", "figure8.png", "table2.html"):
        assert part in page
    for file, words in (
        ("figures/2023/figure2.rst", "points are runs, bars their means"),
        ("tables/2023/table2.rst", "the number of active units, by Method 1 at quantile 0.95"),
    ):
        assert words in (finished.results / file).read_text()
        assert words in page


def test_every_run_has_a_log_and_a_benchmark(finished: Workplace):
    assert len(list((finished.results / "logs" / "training").rglob("*.log"))) == RUNS
    assert len(list((finished.results / "benchmarks" / "training").rglob("*.tsv"))) == RUNS
    log = finished.results / "logs/training/sigmoid-linf/digits/FF/held-out-none/seed-0.log"
    assert "FF layer 3: epoch 30/30" in log.read_text()


def test_the_frames_of_one_run_are_what_frames_across_runs_are_made_of(finished: Workplace):
    for name in ("sizes.csv", "sharing.parquet", "sparsity.csv"):
        whole = read_frame(finished.results / "tidy" / name)
        run = read_frame(finished.results / FF / "frames" / f"{Path(name).stem}.parquet")
        keys = dict(zip(RUN_KEYS, ["sigmoid-linf", "digits", "FF", None, 0], strict=True))
        mine = whole[(whole.model == "FF") & (whole.seed == 0) & whole.held_out.isna()]
        assert run[RUN_KEYS].iloc[0].where(run[RUN_KEYS].iloc[0].notna(), None).to_dict() == keys
        pd.testing.assert_frame_equal(mine.reset_index(drop=True), run, check_dtype=False)


def test_a_sample_is_small_and_correct(finished: Workplace):
    layer = open_tree(finished.results / FF / "sample.zarr.zip", layer=1)
    assert layer.correct.all()
    assert layer.sizes["presentation"] <= 100
