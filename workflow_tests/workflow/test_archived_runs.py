"""Runs trained in one place are imported in another, where nothing is trained again."""

import re
import subprocess
import sys
from pathlib import Path

from workplace import Workplace, environment


def archive(place: Workplace, *words: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ffensembles.study.export", *map(str, words)],
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


def test_imported_runs_are_not_trained_again(finished: Workplace, fresh: Workplace, tmp_path: Path):
    runs = tmp_path / "runs.zip"
    assert archive(finished, "export", "results", runs) == f"{runs}: 7 runs exported\n"
    assert archive(fresh, "import", runs, "results") == f"{runs}: 7 runs imported\n"
    assert trained(fresh) == trained(finished)
    assert fresh.jobs("training") == {}
    # whatever asks for the runs again, the data set's record being younger, is given these
    store = "results/runs/sigmoid-linf/digits/FF/held-out-none/seed-1/activations.zarr.zip"
    done = fresh.start(store)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "seed 1 is trained already" in done.stdout
    assert "FF layer 1" not in done.stdout
    assert trained(fresh) == trained(finished)
    assert fresh.jobs("training", seeds=[0, 1, 2])["train_run"] >= 3  # what is new is trained


def test_imported_runs_of_another_recipe_are_not_taken_for_the_studys(
    finished: Workplace, fresh: Workplace, tmp_path: Path
):
    """Imported after the data were fetched, they are younger than all that they depend on."""
    data = fresh.start("results/data/digits.json")
    assert data.returncode == 0, data.stdout[-3000:]
    archive(finished, "export", "results", tmp_path / "runs.zip")
    archive(fresh, "import", tmp_path / "runs.zip", "results")
    done = fresh.start("tidy", recipes={"sigmoid-linf": {"FF": {"epochs": 31}}})
    assert done.returncode != 0
    # of whichever run is read first
    told = r"FF/held-out-\w+/seed-\d/run\.json: this run is not the one that the study asks for"
    assert re.search(told, done.stdout), done.stdout[-3000:]
    assert "recipe.epochs: 30 here, 31 in the study" in done.stdout
    assert not list(fresh.results.glob("tidy/accuracy.csv"))
