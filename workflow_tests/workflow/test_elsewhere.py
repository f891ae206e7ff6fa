"""Started elsewhere: in another folder, by another workflow, in a path that holds a space."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from workplace import ROOT, TINY, environment, planned

TABLE = "results/tables/2023/table1.csv"
FETCHED = "results/data/digits.json"

MODULE = f"""
configfile: "{ROOT}/config.yaml"

module study:
    snakefile: "{ROOT}/Snakefile"
    config: config

use rule * from study as study_*
"""


def start(
    folder: Path, *words: str, snakefile: Path | None = None, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run snakemake in a folder that holds nothing of the workflow."""
    tiny = folder / "tiny.yaml"
    tiny.write_text(yaml.safe_dump(TINY))
    files = ["--snakefile", str(snakefile or ROOT / "Snakefile"), "--configfile", str(tiny)]
    return subprocess.run(
        [python, "-m", "snakemake", *words, *files, "--cores", "1"],
        cwd=folder, env=environment(), text=True, capture_output=True, check=False,
    )  # fmt: skip


@pytest.fixture(params=["folder", "module"])
def snakefile(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "folder":
        return ROOT / "Snakefile"
    other = tmp_path / "other.smk"
    other.write_text(MODULE)
    return other


def test_results_are_made_in_another_folder_and_from_another_workflow(
    tmp_path: Path, snakefile: Path
):
    folder = tmp_path / "scratch"
    folder.mkdir()
    dry = start(folder, TABLE, "--dry-run", snakefile=snakefile)
    assert dry.returncode == 0, dry.stdout + dry.stderr
    jobs = {name.removeprefix("study_"): n for name, n in planned(dry.stdout + dry.stderr).items()}
    assert jobs == {"fetch": 1, "train_run": 7, "accuracy": 1, "make_table": 1}
    done = start(folder, FETCHED, snakefile=snakefile)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / FETCHED).exists()


def test_python_in_a_path_with_a_space_is_named_before_anything_runs(tmp_path: Path):
    linked = tmp_path / "a b"
    linked.symlink_to(sys.prefix)
    python = str(linked / "bin" / Path(sys.executable).name)
    said = start(tmp_path, FETCHED, python=python)
    assert said.returncode == 1
    error = [line for line in said.stderr.splitlines() if "holds a space" in line]
    assert len(error) == 1
    assert "a path without spaces" in error[0]
    assert "Job stats" not in said.stderr
    assert not (tmp_path / "results").exists()


def test_make_names_a_space_before_it_installs(tmp_path: Path):
    folder = tmp_path / "a b"
    folder.mkdir()
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt", "constraints.txt"):
        (folder / name).write_text((ROOT / name).read_text())
    (folder / "pyproject.toml").touch()
    said = subprocess.run(
        ["make", "demo"], cwd=folder, env=environment(), text=True, capture_output=True, check=False
    )
    assert said.returncode != 0
    assert "holds a space" in said.stdout
    assert not (folder / ".venv").exists()


def test_a_missing_path_variable_is_named(tmp_path: Path):
    without = {key: value for key, value in os.environ.items() if key != "PATH"}
    said = subprocess.run(
        [sys.executable, "-m", "snakemake", FETCHED, "--snakefile", ROOT / "Snakefile", "-n"],
        cwd=tmp_path, env=without, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert said.returncode == 1
    assert "PATH: this environment variable is not set" in said.stderr
