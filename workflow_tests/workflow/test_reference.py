"""The committed reference results: what the README and the page show is made from them."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from workplace import KEPT_SWEEPS, ROOT, Workplace, environment, planned

REFERENCE = "results/reference"
PROFILE = "profiles/reference"
EDITIONS = ("2023", "2025")


@pytest.fixture
def cloned(fresh: Workplace) -> Workplace:
    """The workflow with the results that the repository keeps, dated as `make reference` does."""
    tracked = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", REFERENCE, *KEPT_SWEEPS],
        capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, tracked):
        (fresh.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, fresh.folder / name)
    now = time.time()
    for folder in (REFERENCE, *KEPT_SWEEPS):
        for path in (fresh.folder / folder).rglob("*"):
            os.utime(path, (now, now))
    return fresh


def snakemake(place: Workplace, *words: str) -> str:
    """Run snakemake as a user does, with nothing laid over the configuration."""
    command = [sys.executable, "-m", "snakemake", *words]
    done = subprocess.run(
        command, cwd=place.folder, env=environment(), text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def test_the_page_is_made_from_the_committed_results_without_training(cloned: Workplace):
    said = snakemake(cloned, "reproduction", "--profile", "profiles/local")
    assert "train_run" not in said
    for edition in EDITIONS:
        page = cloned.results / f"reproduction/{edition}/reproduction.md"
        assert page.read_text() == (ROOT / f"docs/reproduction-{edition}.md").read_text()


def test_nothing_of_the_committed_results_is_made_again(cloned: Workplace):
    wanted = ("tidy", "tables", "figures", "--profile", PROFILE, "--dry-run")
    assert planned(snakemake(cloned, *wanted)) == {}


def test_another_seed_trains_that_run_alone(cloned: Workplace):
    overlay = cloned.folder / PROFILE / "study.yaml"
    study = yaml.safe_load(overlay.read_text())
    (bp,) = (
        entry
        for entry in study["own_seeds"]
        if (entry["protocol"], entry["dataset"], entry["model"]) == ("sigmoid-linf", "mnist", "BP")
    )
    bp["seeds"].append(max(bp["seeds"]) + 1)
    overlay.write_text(yaml.safe_dump(study))
    jobs = planned(snakemake(cloned, "tables", "--profile", PROFILE, "--dry-run"))
    assert jobs["train_run"] == jobs["read_activations"] == jobs["measure_whole"] == 1


@pytest.mark.parametrize(
    ("name", "model", "dataset"),
    [
        ("thetas", "FF", "mnist"),
        ("layers", "BPFF", "fashionmnist"),
        ("pooled", "FF", "mnist"),
        ("short", "FF", "mnist"),
    ],
)
def test_another_setting_of_a_kept_sweep_trains_that_run_alone(
    cloned: Workplace, name: str, model: str, dataset: str
):
    profile = f"profiles/{name}"
    overlay = cloned.folder / profile / "study.yaml"
    study = yaml.safe_load(overlay.read_text())
    seeds = {dataset: study["sweep"]["seeds"]}
    study["sweep"]["settings"].append(
        {"key": f"{model}.theta", "values": [0.9], "models": [model], "seeds": seeds}
    )
    assert planned(snakemake(cloned, "sweep", "--profile", profile, "--dry-run")) == {}
    overlay.write_text(yaml.safe_dump(study))
    jobs = planned(snakemake(cloned, "sweep", "--profile", profile, "--dry-run"))
    assert jobs["train_run"] == jobs["read_activations"] == jobs["measure_whole"] == 1


def test_the_readme_shows_the_committed_tables_and_figures():
    readme = (ROOT / "README.md").read_text()
    shown = re.findall(rf"\(({REFERENCE}/figures/\S+\.png)\)", readme)
    assert shown
    assert all((ROOT / Path(name)).is_file() for name in shown)
