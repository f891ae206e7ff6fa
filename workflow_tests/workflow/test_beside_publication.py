"""Beside the publication: nulls, the sweep, and the page, by the study's own rules."""

import shutil

import pandas as pd
import pytest
from workplace import Workplace

OWN = {"reproduction": {"results": None, "sweeps": [], "untrained_seeds": [0]}}
SWEEP = {
    "sweep": {
        "protocol": "sigmoid-linf",
        "seeds": [0],
        "settings": [
            {"key": "FF.theta", "values": [0.4], "models": ["FF"]},
            {"key": "unseen_label", "values": ["predicted"], "models": ["FF"]},
            {"key": "ensembles.method2.max_rho", "values": [0.2, 0.9], "models": ["FF"]},
        ],
    }
}


@pytest.fixture(scope="module")
def compared(finished: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The tiny study with its page of the publication."""
    place = finished.copy(tmp_path_factory.mktemp("compared") / "study")
    done = place.start("reproduction", **OWN)
    assert done.returncode == 0, done.stdout[-3000:]
    return place


def test_the_page_is_made_from_this_study_and_its_nulls(finished: Workplace, compared: Workplace):
    wanted, place = finished.jobs("reproduction", **OWN), compared
    assert wanted["train_run"] == 4  # an untrained net of each model, and of FF without a class
    assert wanted["find_shuffled"] == 7
    folder = place.results / "reproduction/2023"
    numbers, claims = (pd.read_csv(folder / f"{name}.csv") for name in ("numbers", "claims"))
    assert len(numbers) == 52
    assert set(numbers.verdict) == {"not run"}  # of digits nothing was published
    digits = claims[claims.dataset == "digits"].set_index("claim")
    assert digits.verdict["sparse_ff"] != "not run"
    assert digits.null_untrained.notna()["sparse_ff"]
    assert digits.null_shuffled.notna()["sparse_ff"]
    assert digits.null_shuffled["sparse_ff"] != digits.value["sparse_ff"]
    assert digits.null_untrained.notna()["unseen_sparse_1"]
    assert "# Does edition 2023 reproduce?" in (folder / "reproduction.md").read_text()
    untrained = pd.read_csv(place.results / "tidy/untrained/positive_weights.csv")
    assert untrained.positive.between(0.45, 0.55).all()
    assert place.jobs("reproduction", **OWN) == {}
    # of the study itself nothing but the report, which holds the configuration
    assert place.jobs("all", **OWN) == {"make_report": 1, "all": 1}


def test_an_edition_of_ones_own_is_compared_with_nothing(finished: Workplace):
    """A table and a figure of it may have one name, which then makes both."""
    own = {
        "protocol": "sigmoid-linf",
        "seed": "first",
        "tables": {"mine": {"kind": "accuracy"}},
        "figures": {"mine": {"kind": "sizes", "method": "loo"}},
    }
    jobs = finished.jobs("reproduction", editions={"mine": own}, **OWN)
    assert (jobs["compare"], jobs["reproduction"]) == (1, 1)
    jobs = finished.jobs("mine", editions={"mine": own})
    assert (jobs["make_table"], jobs["draw_figure"]) == (1, 1)


def test_the_sweep_trains_its_variations_and_nothing_else(finished: Workplace, tmp_path):
    place = finished.copy(tmp_path / "copy")
    assert place.jobs("sweep", **SWEEP)["train_run"] == 2
    done = place.start("sweep", **SWEEP)
    assert done.returncode == 0, done.stdout[-3000:]
    frames = {
        name: pd.read_csv(place.results / f"tidy/sweep/{name}.csv")
        for name in ("accuracy", "sizes", "unseen", "cut_sizes", "cut_unseen")
    }
    base, cut = "sigmoid-linf", "sigmoid-linf--ensembles.method2.max_rho"
    label = f"{base}--unseen_label-predicted"
    assert set(frames["accuracy"].protocol) == {base, f"{base}--FF.theta-0.4", label}
    assert set(frames["unseen"].protocol) == {base, label}
    assert set(frames["cut_unseen"].protocol) == {f"{cut}-0.2", f"{cut}-0.9"}
    sizes = frames["cut_sizes"].groupby("protocol")["size"].sum()
    assert sizes[f"{cut}-0.2"] < sizes[f"{cut}-0.9"]


def test_committed_results_are_compared_without_being_made(fresh: Workplace, compared: Workplace):
    """Where the compared results are another folder's, nothing of them is made anew."""
    elsewhere = fresh.folder / "results/reference"
    elsewhere.mkdir(parents=True)
    shutil.copytree(compared.results / "tidy", elsewhere / "tidy")
    for name in ("configuration.yaml", ".configuration.yaml.sha256"):
        shutil.copy2(compared.results / name, elsewhere / name)
    other = {"reproduction": {**OWN["reproduction"], "results": "results/reference"}}
    assert fresh.jobs("reproduction", **other) == {"compare": 1, "reproduction": 1}
    done = fresh.start("reproduction", **other)
    assert done.returncode == 0, done.stdout[-3000:]
    page = "reproduction/2023/reproduction.md"
    assert (fresh.results / page).read_bytes() == (compared.results / page).read_bytes()
