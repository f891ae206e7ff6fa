"""The committed reference results: what the README and the page show is made from them."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workplace import ROOT, Workplace, environment, planned

REFERENCE = "results/reference"
PROFILE = "profiles/reference"
KEPT = ("tidy", "tables", "figures")


@pytest.fixture
def cloned(fresh: Workplace) -> Workplace:
    """The workflow with the results that the repository keeps, dated as `make reference` does."""
    for study, parts in (("sweep", ("tidy",)), ("reference", KEPT)):
        for part in parts:
            shutil.copytree(ROOT / f"results/{study}/{part}", fresh.results / study / part)
    shutil.copyfile(
        ROOT / REFERENCE / "configuration.yaml", fresh.folder / REFERENCE / "configuration.yaml"
    )
    now = time.time()
    for path in (fresh.folder / REFERENCE).rglob("*"):
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
    start = time.monotonic()
    said = snakemake(cloned, "reproduction", "--profile", "profiles/local")
    assert time.monotonic() - start < 120
    assert "train_run" not in said
    page = cloned.results / "reproduction/reproduction.md"
    assert page.read_text() == (ROOT / "docs/reproduction.md").read_text()


def test_nothing_of_the_committed_results_is_made_anew(cloned: Workplace):
    wanted = ("tidy", "tables", "figures", "--profile", PROFILE, "--dry-run")
    assert planned(snakemake(cloned, *wanted)) == {}
    figure = cloned.folder / "ffensembles/plotting/figure2.py"
    later = time.time() + 5
    os.utime(figure, (later, later))
    assert planned(snakemake(cloned, *wanted)) == {"draw_figure2": 1, "figures": 1}


def test_the_readme_shows_the_committed_tables_and_figures():
    readme = (ROOT / "README.md").read_text()
    for number in (1, 2, 3):
        assert (ROOT / f"{REFERENCE}/tables/table{number}.md").read_text().strip() in readme
    shown = re.findall(rf"\(({REFERENCE}/figures/\S+\.png)\)", readme)
    assert len(shown) >= 8
    assert all((ROOT / Path(name)).is_file() for name in shown)
