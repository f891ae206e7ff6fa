"""Runs trained in one place are taken up in another, where nothing is trained again."""

import subprocess
import sys
from pathlib import Path

from workplace import Workplace, environment


def archive(place: Workplace, *words: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ffensembles.archive", *map(str, words)],
        cwd=place.folder,
        env=environment(),
        text=True,
        capture_output=True,
        check=True,
    )
    return done.stdout


def trained(place: Workplace) -> dict[Path, bytes]:
    """What training made."""
    return {
        path.relative_to(place.results): path.read_bytes()
        for name in ("weights.safetensors", "history.csv", "run.json")
        for path in place.results.glob(f"runs/*/*/*/*/*/{name}")
    }


def test_unpacked_runs_are_not_trained_again(finished: Workplace, fresh: Workplace, tmp_path: Path):
    runs = tmp_path / "runs.zip"
    assert archive(finished, "pack", "results", runs) == f"{runs}: 7 runs packed\n"
    assert archive(fresh, "unpack", runs, "results") == f"{runs}: 7 runs unpacked\n"
    assert trained(fresh) == trained(finished)
    # the data set's record is younger than the runs: they are asked for again, and taken
    done = fresh.start("train")
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout.count("is trained already") == 7
    assert "accuracy" not in done.stdout
    assert trained(fresh) == trained(finished)
    assert fresh.jobs("train") == {}
    assert fresh.jobs("train", seeds=[0, 1, 2])["train_run"] == 3  # what is new is trained
