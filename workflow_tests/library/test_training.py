"""One run from data to files: what it leaves behind, and what a kill or a full disk does to it."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file

from ffensembles import engine
from ffensembles.engine import devices
from ffensembles.errors import StoreError, TrainingError
from ffensembles.recipe import Recipe
from ffensembles.training import RunFiles, read_checkpoint, run_training, write_checkpoint

RUN = {"protocol": "sigmoid-linf", "dataset": "digits", "model": "FF", "held_out": None, "seed": 3}
RECIPE = Recipe(
    model="FF",
    widths=(40, 30, 20),
    activation="sigmoid",
    goodness="linf",
    normalisation="linf",
    normalise_input=True,
    label_value="dataset",
    prediction="goodness",
    negatives="once",
    held_out_negatives="exclude",
    theta=0.5,
    learning_rate=0.01,
    epochs=400,
    batch_size=None,
)
DATA = {
    "standardisation": "own",
    "source": None,
    "folder": "data",
    "train_images": 400,
    "test_images": 100,
    "split_seed": 0,
}
TRAINING = {
    "engine": "fast",
    "device": "cpu",
    "precision": "float32",
    "block_size": 256,
    "checkpoint_minutes": 0.0005,
    "record_every": 100,
    "dead_floor": 0.01,
}


def files_in(folder: Path) -> RunFiles:
    return RunFiles(
        folder / "weights.safetensors",
        folder / "history.csv",
        folder / "run.json",
        folder / "checkpoint.safetensors",
    )


def train(folder: Path, recipe: Recipe = RECIPE, **changes: Any) -> dict[str, np.ndarray]:
    files = files_in(folder)
    run_training({**RUN, **changes}, recipe, DATA, TRAINING, files)
    return load_file(files.weights)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return train(tmp_path_factory.mktemp("undisturbed"))


SCRIPT = """
import json, sys
from pathlib import Path
from ffensembles.recipe import Recipe
from ffensembles.training import RunFiles, run_training
run, recipe, data, training, files = json.loads(sys.argv[1])
files = RunFiles(**{name: Path(path) for name, path in files.items()})
run_training(run, Recipe.from_json(recipe), data, training, files)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    files = {name: str(path) for name, path in asdict(files_in(folder)).items()}
    told = json.dumps([RUN, RECIPE.as_json(), DATA, TRAINING, files])
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, told],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


def test_a_run_killed_again_and_again_ends_with_the_same_bits(
    undisturbed: dict[str, np.ndarray], tmp_path: Path
):
    files = files_in(tmp_path)
    rng = np.random.default_rng(0)
    kills = 0
    for _ in range(4):
        before = files.checkpoint.stat().st_mtime_ns if files.checkpoint.exists() else 0
        process = start(tmp_path)
        wait_for(files.checkpoint)
        while files.checkpoint.stat().st_mtime_ns == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        if files.weights.exists():
            break
    assert kills >= 2
    last = start(tmp_path)
    assert last.wait(120) == 0
    assert same(load_file(files.weights), undisturbed)
    assert not files.checkpoint.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_saves_its_state_and_says_so(
    undisturbed: dict[str, np.ndarray], tmp_path: Path, number: signal.Signals
):
    files = files_in(tmp_path)
    process = start(tmp_path)
    wait_for(files.checkpoint)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "its state is saved here; start the same command again" in said
    assert not files.weights.exists()
    assert same(train(tmp_path), undisturbed)


def test_files_carry_their_origin(tmp_path: Path):
    train(tmp_path, RECIPE.but(epochs=3), held_out=2)
    files = files_in(tmp_path)
    with safe_open(files.weights, framework="numpy") as stored:
        metadata = stored.metadata()
    assert json.loads(metadata["run"]) == {**RUN, "held_out": 2}
    assert json.loads(metadata["recipe"])["epochs"] == 3
    assert {"ffensembles", "python", "torch", "device", "git_commit"} <= metadata.keys()
    run = json.loads(files.metadata.read_text())
    assert run["provenance"] == metadata
    assert run["n_train"] == 400 - 39  # twos among the 400


def test_no_image_of_a_held_out_class_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = []
    real = engine.train

    def watch(task: Any, *args: Any, **options: Any) -> Any:
        seen.append(task)
        return real(task, *args, **options)

    monkeypatch.setattr(engine, "train", watch)
    train(tmp_path, RECIPE.but(epochs=2, negatives="each-epoch"), held_out=7)
    (task,) = seen
    assert 7 not in task.labels
    assert all(7 not in task.negatives(epoch) for epoch in range(20))
    assert task.n_labels == 10


def test_a_full_disk_leaves_the_previous_checkpoint_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "checkpoint.safetensors"
    good = engine.State({"weights/w": np.ones(3)}, {"stage": 1, "epoch": 5})
    write_checkpoint(path, good, "me")

    def full(arrays: Any, target: Path, metadata: Any = None) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ffensembles.training.save_file", full)
    with pytest.raises(StoreError, match=r"checkpoint.safetensors: cannot be written; the disk is"):
        write_checkpoint(path, good, "me")
    state = read_checkpoint(path, "me")
    assert state is not None
    assert state.progress == {"stage": 1, "epoch": 5}
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("damage", ["truncated", "rubbish", "another"])
def test_a_checkpoint_that_does_not_fit_is_passed_over_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
):
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, engine.State({"w": np.ones(30)}, {"stage": 0}), "me")
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "rubbish":
        path.write_bytes(b"rubbish")
    assert read_checkpoint(path, "somebody else" if damage == "another" else "me") is None
    assert "starting anew" in caplog.text
    assert str(path) in caplog.text


def test_a_gpu_that_is_wanted_but_not_there_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    threads = torch.get_num_threads()
    assert devices.choose("auto", threads).type == "cpu"
    with pytest.raises(TrainingError, match=r"training.device: cuda is wanted"):
        devices.choose("cuda", threads)


def test_jobs_spread_over_the_gpus_there_are(monkeypatch: pytest.MonkeyPatch):
    free = [10, 70, 70, 20]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (free[index] << 30, 80 << 30))
    chosen = set()
    for pid in range(4):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        chosen.add(devices.choose("auto", torch.get_num_threads()).index)
    assert chosen == {1, 2}


def test_threads_are_those_of_the_rule():
    before = torch.get_num_threads()
    try:
        devices.choose("cpu", 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
