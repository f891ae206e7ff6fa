"""Extensions on digits through the real snakemake: every output opens, and what must hold holds."""

import numpy as np
import pytest
from workplace import Workplace

from ffensembles.analyses.tidy import RUN_KEYS, read_frame

ASKED = ("causality", "pruning", "dimension", "microstructure", "dynamics")
ONE_SEED = {"seeds": [0], "held_out": []}
FEW = {
    "causality": {"draws": 1},
    "pruning": {"draws": 1, "timings": 1},
    "dimension": {"subsamples": 3},
    "microstructure": {"draws": 2},
}
"""Fewer repetitions than a study's, for the same outputs."""


@pytest.fixture(scope="module")
def extended(finished: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    place = finished.copy(tmp_path_factory.mktemp("extended") / "study")
    asked = {
        "reproduction": {"results": None},
        "extensions": [*ASKED],
        "extension_settings": FEW,
    }
    done = place.start(*ASKED, "beyond", **ONE_SEED, **asked)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "train_run" not in done.stdout
    return place


@pytest.mark.parametrize("name", ASKED)
def test_every_output_of_an_extension_opens(extended: Workplace, name: str):
    results = extended.results
    frame = read_frame(results / f"tidy/extensions/{name}.parquet")
    assert frame.columns[:5].tolist() == list(RUN_KEYS)
    assert frame.groupby("model")["seed"].nunique().to_dict() == {"FF": 1, "BPFF": 1, "BP": 1}
    run = read_frame(
        results / f"runs/sigmoid-linf/digits/BP/held-out-none/seed-0/extensions/{name}.parquet"
    )
    mine = frame[(frame.model == "BP") & (frame.seed == 0)].reset_index(drop=True)
    assert len(run) == len(mine)
    cells = read_frame(results / f"tables/2023/{name}.csv")
    assert {*cells.model} <= {"FF", "BPFF", "BP"}
    assert cells.n_runs.le(1).all()
    for ending, text in (("md", "| Model |"), ("html", "<table>"), ("tex", r"\begin{tabular}")):
        assert text in (results / f"tables/2023/{name}.{ending}").read_text()
    stem = results / f"figures/2023/{name}"
    assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    caption = stem.with_suffix(".rst").read_text()
    assert "1 run" in caption
    for text in (caption, (results / f"tables/2023/{name}.html").read_text()):
        assert "Ensembles by Method 1 at quantile 0.95." in text
    page = (results / "reproduction/beyond.md").read_text()
    assert len(cells)
    assert "on Digits" in page


def test_silencing_is_beside_as_many_other_units(extended: Workplace):
    frame = read_frame(extended.results / "tidy/extensions/causality.parquet")
    silence = frame[(frame.experiment == "silence") & frame.own_loss.notna()]
    assert len(silence)
    assert silence.own_loss.between(-1, 1).all()
    units = silence.groupby([*RUN_KEYS, "layer", "category"], dropna=False)["units"]
    assert (units.max() == units.first()).all()  # the ensemble's own are first, and the most
    start = frame[(frame.experiment == "stimulate") & (frame.units == 0)]
    assert start.condition.eq("ensemble").all()


def test_pruning_to_enough_units_gives_the_net(extended: Workplace):
    frame = read_frame(extended.results / "tidy/extensions/pruning.parquet")
    everything = frame[frame.fraction == 1]
    assert everything.strongest.max() == 100  # more than the tiny net has
    assert np.isclose(everything.accuracy_fraction, 1).all()
    assert frame.parameters_fraction.between(0, 1).all()


def test_dimensions_are_those_of_classes_with_enough_images(extended: Workplace):
    frame = read_frame(extended.results / "tidy/extensions/dimension.parquet")
    assert (
        frame.groupby([*RUN_KEYS, "category"], dropna=False)["layer"].unique().map(len) == 4
    ).all()
    known = frame[frame.dimension.notna()]
    assert len(known)
    assert known.dimension.gt(0).all()
    assert (known.n_presentations - known.silent - known.duplicates).ge(8).all()
    assert frame[frame.layer == 0][["size", "sparsity"]].isna().all(axis=None)


def test_patterns_have_images_and_a_class_has_none_or_several(extended: Workplace):
    frame = read_frame(extended.results / "tidy/extensions/microstructure.parquet")
    assert (frame.pattern.map(len) == frame.n_presentations).all()
    assert frame.patterns.ne(1).all()
    assert frame[["shuffled", "cloud"]].stack().dropna().between(0, 1).all()
    of_images = frame[frame.layer == 0]
    assert (of_images.stimulus_id.map(len) == of_images.n_presentations).all()


def test_an_extension_that_was_made_is_not_made_again(extended: Workplace):
    again = extended.start(*ASKED, "--dry-run", extensions=[], extension_settings=FEW, **ONE_SEED)
    assert "Nothing to be done" in again.stdout


def test_readings_end_with_the_trained_net(extended: Workplace):
    frame = read_frame(extended.results / "tidy/extensions/dynamics.parquet")
    first = frame.groupby([*RUN_KEYS, "layer"], dropna=False)["epoch"].transform("min")
    last = frame.groupby([*RUN_KEYS, "layer"], dropna=False)["epoch"].transform("max")
    assert first.eq(0).all()
    trained = frame["model"].map({"FF": 30, "BPFF": 30, "BP": 5})
    assert last.eq(trained).all()


def test_phases_are_trained_beside_the_runs_there_are(extended: Workplace):
    section = {
        "protocol": "sigmoid-linf",
        "seeds": [0],
        "per_dataset": {},
        "settings": [{"key": "BPFF.phases", "values": ["1-1"], "models": ["BPFF"]}],
    }
    done = extended.start("sleep_wake", sleep_wake=section, **ONE_SEED)
    assert done.returncode == 0, done.stdout[-4000:]
    frame = read_frame(extended.results / "tidy/extensions/sleep_wake.parquet")
    assert frame.drop_duplicates("protocol").protocol.tolist() == [
        "sigmoid-linf",
        "sigmoid-linf--BPFF.phases-1-1",
    ]
    assert "joint training" in (extended.results / "tables/2023/sleep_wake.md").read_text()
