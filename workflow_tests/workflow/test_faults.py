"""Damaged results, and a folder that takes no more: told in a line, made good, nothing lost."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from workplace import Workplace

from ffensembles.analyses.tidy import read_frame, write_frame

FF = "runs/sigmoid-linf/digits/FF/held-out-none/seed-0"
SMALL: dict[str, Any] = {"models": ["FF"], "held_out": []}
TABLES = ("results/tables/2023/table1.csv", "results/tables/2023/table2.csv")


def tables(place: Workplace) -> dict[str, bytes]:
    return {path: (place.folder / path).read_bytes() for path in TABLES}


def cut(path: Path) -> None:
    """Let a file end in its middle, as a copy that was broken off does."""
    os.truncate(path, path.stat().st_size // 2)
    os.utime(path)


def test_truncated_weights_are_named_and_trained_again(finished: Workplace, tmp_path: Path):
    place = finished.copy(tmp_path / "copy")
    weights = place.results / FF / "weights.safetensors"
    sound = weights.read_bytes()
    cut(weights)
    for cached in place.results.glob("cache/*/weights.safetensors"):
        cut(cached)  # a copy of the folder has lost that they are one file
    told = place.start("tables")
    assert told.returncode != 0
    assert f"{FF}/weights.safetensors: is not the file that run.json" in told.stdout
    assert "Delete this run's folder" in told.stdout
    shutil.rmtree(weights.parent)  # as the message says
    # tables that exist do not need the weights: they are asked for by name
    assert place.start("tables", "training").returncode == 0
    assert weights.read_bytes() == sound
    assert tables(place) == tables(finished)


def test_a_truncated_store_is_named_and_read_anew(finished: Workplace, tmp_path: Path):
    place = finished.copy(tmp_path / "copy")
    store = place.results / FF / "activations.zarr.zip"
    cut(store)
    told = place.start("all")
    assert told.returncode != 0
    assert f"{FF}/activations.zarr.zip: " in told.stdout
    assert "delete it and start the same command again" in told.stdout
    store.unlink()
    done = place.start("all")
    assert done.returncode == 0
    assert "Training" not in done.stdout
    assert tables(place) == tables(finished)


def test_a_changed_caption_is_named_and_not_shown(finished: Workplace, tmp_path: Path):
    place = finished.copy(tmp_path / "copy")
    (caption, *_) = sorted(place.results.glob("figures/2023/figure2*.rst"))
    caption.write_text(caption.read_text().replace("a", "o", 1))
    (place.results / "report.html").unlink()
    told = place.start("report")
    assert told.returncode != 0
    assert f"{caption.name}: has changed since it was written; delete it" in told.stdout
    caption.unlink()  # as the message says
    done = place.start("report")
    assert done.returncode == 0, done.stdout[-3000:]
    shown = finished.results / caption.relative_to(place.results)
    assert caption.read_bytes() == shown.read_bytes()


def test_a_table_of_another_studys_runs_is_not_made(finished: Workplace, tmp_path: Path):
    place = finished.copy(tmp_path / "copy")
    frame = place.results / "tidy" / "sizes.csv"
    rows = read_frame(frame)
    write_frame(rows.assign(seed=rows["seed"] + 7), frame)  # sound, and of other runs
    told = place.start("table2")
    assert told.returncode != 0
    assert "sizes.csv: has too many: " in told.stdout
    frame.unlink()
    done = place.start("table2")
    assert done.returncode == 0, done.stdout[-3000:]
    assert tables(place) == tables(finished)


@pytest.fixture
def small_disk(fresh: Workplace) -> Iterator[Workplace]:
    """The workflow with a results folder on a disk of its own, full within the nets' first files.

    It is full well within a file of ours: at a file's very end Snakemake's own small files would
    be those that fail, which have no words of ours.
    """
    fresh.results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(fresh.results)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can make a small disk")
    yield fresh
    subprocess.run(["umount", str(fresh.results)], check=True)


def remount(place: Workplace, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(place.results)], check=True)


def test_a_full_disk_and_a_read_only_one(small_disk: Workplace, finished: Workplace):
    place = small_disk
    told = place.start(*TABLES, **SMALL)
    assert told.returncode != 0
    assert "cannot be written; the disk is full: free some space" in told.stdout
    remount(place, "size=200m,ro")
    told = place.start(*TABLES, **SMALL)
    assert told.returncode != 0
    assert "Read-only file system" in told.stdout or "read-only" in told.stdout
    remount(place, "rw")
    done = place.start(*TABLES, **SMALL)
    assert done.returncode == 0, done.stdout[-3000:]
    whole = [line for line in tables(finished)[TABLES[0]].decode().splitlines() if ",FF," in line]
    assert whole == tables(place)[TABLES[0]].decode().splitlines()[1:]


def test_a_figure_named_like_a_rule_is_refused(fresh: Workplace):
    figures = {"2023": {"figures": {"accuracy": {"kind": "sizes", "method": "loo"}}}}
    done = fresh.start("accuracy", "--dry-run", editions=figures)
    assert done.returncode == 1
    assert (
        "editions: found a table or figure named 'accuracy'; a rule of the workflow" in done.stdout
    )
    assert "Traceback" not in done.stdout
