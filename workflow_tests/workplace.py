"""A tiny study on real digits, and a place where the real snakemake runs it."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
_CONFIG = yaml.safe_load((ROOT / "config.yaml").read_text())
KEPT_SWEEPS: list[str] = _CONFIG["reproduction"]["sweeps"]
"""Folders of the sweeps that the repository keeps, relative to its root."""

_FILES = ("Snakefile", "config.yaml")
_FOLDERS = ("rules", "scripts", "envs", "report", "profiles", "ffensembles")

TINY: dict[str, Any] = {
    "name": "tiny",
    "results": "results",
    "datasets": ["digits"],
    "seeds": [0, 1],
    "protocols": ["sigmoid-linf"],
    "own_seeds": [],
    "held_out": [
        {"protocols": "all", "model": "FF", "dataset": "digits", "classes": [0], "seeds": [0]}
    ],
    "images": {"train_images": 300, "test_images": 100},
    # YAML reads 1e-2 as text; jobs have to get the number
    "training": {
        "device": "cpu",
        "dead_floor": "1e-2",
        "readings": {"epochs": 4, "images": 10},
    },
    "ensembles": {"method2": {"epsilon": "2e-1"}},
    "recipes": {
        "sigmoid-linf": {
            "widths": [36, 25, 20],
            "standardisation": "own",
            "FF": {"learning_rate": 0.02, "epochs": 30},
            "BPFF": {"learning_rate": 0.02, "epochs": 30},
            "BP": {"learning_rate": 0.01, "epochs": 5},
        }
    },
}


@dataclass
class Workplace:
    """A copy of the workflow, in which tests may run and change whatever they like."""

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def start(self, *words: str, **overlay: Any) -> subprocess.CompletedProcess[str]:
        """Run snakemake on the tiny study, with `overlay` laid over its configuration."""
        return subprocess.run(
            self.command(*words, **overlay),
            cwd=self.folder,
            env=environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def command(self, *words: str, profile: str = "profiles/local", **overlay: Any) -> list[str]:
        files = []
        for name, content in (("tiny", TINY), ("overlay", overlay)):
            files.append(str(self.folder / f"{name}.yaml"))
            Path(files[-1]).write_text(yaml.safe_dump(content))
        given = [*words, "--profile", profile, "--configfile", *files]
        return [sys.executable, "-m", "snakemake", *given]

    def jobs(self, *words: str, **overlay: Any) -> dict[str, int]:
        """Return how many jobs of each rule a dry run names."""
        done = self.start(*words, "--dry-run", **overlay)
        assert done.returncode == 0, done.stdout
        return planned(done.stdout)

    def copy(self, folder: Path) -> "Workplace":
        """Return a copy with all results."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workplace(folder)


def planned(said: str) -> dict[str, int]:
    """Return how many jobs of each rule a dry run has named."""
    table = re.search(r"Job stats:\n.*?\n-[- ]+\n(.*?)\n\n", said, re.DOTALL)
    if table is None:
        assert "Nothing to be done" in said
        return {}
    rows = (line.split() for line in table[1].splitlines())
    counts = {name: int(count) for name, count in rows}
    counts.pop("total", None)
    return counts


def environment() -> dict[str, str]:
    """Return an environment in which only the copy's library can be found first."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    programs = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    shown = {"FFENSEMBLES_OUTPUT": "full", "COLUMNS": "200"}
    return {**kept, "PATH": programs, "OMP_NUM_THREADS": "1", **shown}


def new_workplace(folder: Path) -> Workplace:
    """Copy the workflow, without any result."""
    folder.mkdir(parents=True)
    for name in _FILES:
        shutil.copy2(ROOT / name, folder / name)
    for name in _FOLDERS:
        shutil.copytree(ROOT / name, folder / name)  # compiled modules too, which saves time
    (folder / "dgx").symlink_to("profiles/dgx")
    return Workplace(folder)
