"""Extensions on digits through the real snakemake: every output opens, and what must hold holds."""

import numpy as np
import pytest
from workplace import Workplace

from ffensembles.analyses.tidy import RUN_KEYS, read_frame

ASKED = ("causality", "pruning")


@pytest.fixture(scope="module")
def extended(finished: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    place = finished.copy(tmp_path_factory.mktemp("extended") / "study")
    done = place.start(*ASKED, "beyond", reproduction={"results": None}, extensions=[*ASKED])
    assert done.returncode == 0, done.stdout[-4000:]
    assert "train_run" not in done.stdout
    return place


@pytest.mark.parametrize("name", ASKED)
def test_every_output_of_an_extension_opens(extended: Workplace, name: str):
    results = extended.results
    frame = read_frame(results / f"tidy/extensions/{name}.parquet")
    assert frame.columns[:5].tolist() == list(RUN_KEYS)
    assert frame.groupby("model")["seed"].nunique().to_dict() == {"FF": 2, "BPFF": 2, "BP": 2}
    run = read_frame(
        results / f"runs/sigmoid-linf/digits/BP/held-out-none/seed-1/extensions/{name}.parquet"
    )
    mine = frame[(frame.model == "BP") & (frame.seed == 1)].reset_index(drop=True)
    assert len(run) == len(mine)
    cells = read_frame(results / f"tables/2023/{name}.csv")
    assert {*cells.model} <= {"FF", "BPFF", "BP"}
    assert cells.n_runs.le(2).all()
    for ending, text in (("md", "| Model |"), ("html", "<table>"), ("tex", r"\begin{tabular}")):
        assert text in (results / f"tables/2023/{name}.{ending}").read_text()
    stem = results / f"figures/2023/{name}"
    assert stem.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert stem.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    caption = stem.with_suffix(".rst").read_text()
    assert "2 runs" in caption
    page = (results / "reproduction/beyond.md").read_text()
    assert cells.shape[0] == 0 or "on Digits" in page


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


def test_an_extension_that_was_made_is_not_made_again(extended: Workplace):
    again = extended.start(*ASKED, "--dry-run", extensions=[])
    assert "Nothing to be done" in again.stdout
