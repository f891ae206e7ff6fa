"""One run from data to files: what it leaves behind, and what a kill or a full disk does to it."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recipes import recipe_of
from safetensors import safe_open
from safetensors.numpy import load_file

from ffensembles.datasets.prepare import prepare
from ffensembles.engine import stages
from ffensembles.engine.batched import BatchedStage
from ffensembles.errors import StoreError, TrainingError
from ffensembles.models.recipe import Recipe
from ffensembles.representations.readout import read_out
from ffensembles.runtime import provenance
from ffensembles.training import cache as caching
from ffensembles.training import devices, loop
from ffensembles.training.cache import Cache
from ffensembles.training.checkpoints import identity, read_checkpoint, write_checkpoint
from ffensembles.training.evaluation import dead_layers
from ffensembles.training.metadata import fingerprint
from ffensembles.training.run import (
    RunFiles,
    run_block,
    run_training,
    settings_of,
    take_from_cache,
    train_into_cache,
)

RUN = {"protocol": "sigmoid-linf", "dataset": "digits", "model": "FF", "held_out": None, "seed": 3}
RECIPE = recipe_of("FF", widths=(40, 30, 20), epochs=400)
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
from ffensembles.models.recipe import Recipe
from ffensembles.training.run import RunFiles, run_training
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


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a process has written a file."""
    while not path.exists():
        assert process.poll() is None, f"it ended without {path}"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_the_same_bits(
    undisturbed: dict[str, np.ndarray], tmp_path: Path
):
    files = files_in(tmp_path)
    rng = np.random.default_rng(0)
    kills = 0
    for _ in range(4):
        before = files.checkpoint.stat().st_mtime_ns if files.checkpoint.exists() else 0
        process = start(tmp_path)
        wait_for(files.checkpoint, process)
        while files.checkpoint.stat().st_mtime_ns == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
        if files.weights.exists():
            break
    assert kills >= 2
    last = start(tmp_path)
    assert last.wait() == 0
    assert same(load_file(files.weights), undisturbed)
    assert not files.checkpoint.exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_saves_its_state_and_says_so(
    undisturbed: dict[str, np.ndarray], tmp_path: Path, number: signal.Signals
):
    files = files_in(tmp_path)
    process = start(tmp_path)
    wait_for(files.checkpoint, process)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode != 0
    assert "its state is saved here; start the same command again" in said
    assert not files.weights.exists()
    assert same(train(tmp_path), undisturbed)


def test_files_carry_their_origin(tmp_path: Path):
    train(tmp_path, RECIPE.but(epochs=3), held_out=2)
    files = files_in(tmp_path)
    with safe_open(files.weights, framework="numpy") as stored:
        metadata = json.loads(stored.metadata()["provenance"])
    assert json.loads(metadata["run"]) == {**RUN, "held_out": 2}
    assert json.loads(metadata["recipe"])["epochs"] == 3
    assert {"ffensembles", "python", "torch", "device", "git_commit"} <= metadata.keys()
    run = json.loads(files.metadata.read_text())
    assert run["provenance"] == metadata
    assert run["n_train"] == 400 - 39  # twos among the 400


def test_the_commit_is_that_of_the_code_that_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    commit, real = ["before"], loop.train_block

    def git(folder: Path, *arguments: str) -> str:
        said = {"--show-toplevel": str(folder), "HEAD": commit[-1]}
        return said.get(arguments[-1], "")

    def meanwhile(*args: Any, **options: Any) -> Any:
        commit.append("after")
        return real(*args, **options)

    monkeypatch.setattr(provenance, "_git", git)
    monkeypatch.setattr(provenance, "_commit", cache(provenance._commit.__wrapped__))
    monkeypatch.setattr(loop, "train_block", meanwhile)
    train(tmp_path, RECIPE.but(epochs=2))
    assert commit[-1] == "after"
    written = json.loads(files_in(tmp_path).metadata.read_text())["provenance"]
    assert (written["git_commit"], written["git_changed"]) == ("before", "false")


def test_no_image_of_a_held_out_class_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen = []
    real = loop.train_block

    def watch(tasks: Any, *args: Any, **options: Any) -> Any:
        seen.extend(tasks)
        return real(tasks, *args, **options)

    monkeypatch.setattr(loop, "train_block", watch)
    train(tmp_path, RECIPE.but(epochs=2, negatives="each-epoch"), held_out=7)
    (task,) = seen
    assert 7 not in task.labels
    assert all(7 not in task.negatives(epoch).labels for epoch in range(20))
    assert task.n_labels == 10


def test_a_full_disk_leaves_the_previous_checkpoint_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "checkpoint.safetensors"
    good = loop.State({"weights/w": np.ones(3)}, {"stage": 1, "epoch": 5})
    write_checkpoint(path, good, "me")

    def full(target: Path, content: bytes) -> int:
        target.open("wb").write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
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
    write_checkpoint(path, loop.State({"w": np.ones(30)}, {"stage": 0}), "me")
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "rubbish":
        path.write_bytes(b"rubbish")
    assert read_checkpoint(path, "somebody else" if damage == "another" else "me") is None
    assert "from the beginning" in caplog.text
    assert str(path) in caplog.text


def test_a_checkpoint_of_an_engine_that_remembers_other_things_is_another(
    monkeypatch: pytest.MonkeyPatch,
):
    settings = loop.Settings()
    now = identity([RUN], RECIPE, DATA, settings)
    assert identity([RUN], RECIPE, DATA, settings) == now
    with monkeypatch.context() as newer:
        newer.setattr(torch, "__version__", "99.0")
        assert identity([RUN], RECIPE, DATA, settings) != now
    monkeypatch.setattr(loop, "MEMORY", loop.MEMORY + 1)
    assert identity([RUN], RECIPE, DATA, settings) != now


def test_a_gpu_that_is_wanted_but_not_there_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    threads = torch.get_num_threads()
    assert devices.choose("auto", threads).type == "cpu"
    with pytest.raises(TrainingError, match=r"training.device: cuda is wanted"):
        devices.choose("cuda", threads)


def test_jobs_spread_over_the_gpus_there_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    free = [10, 70, 70, 20]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (free[index] << 30, 80 << 30))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(devices, "_claims", [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    # a lock is of the open file, so that one process stands for several here
    chosen = [devices.choose("auto", torch.get_num_threads()).index for _ in range(5)]
    assert chosen == current == [1, 2, 3, 0, 1]
    assert sorted(path.name[-6:] for path in tmp_path.iterdir()) == [
        f"{n}.lock" for n in (4, 5, 6, 7)
    ]


def test_threads_are_those_of_the_rule():
    before = torch.get_num_threads()
    try:
        devices.choose("cpu", 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def train_three(folder: Path, **changes: Any) -> list[dict[str, np.ndarray]]:
    """Train a block of three seeds; return their weights."""
    return train_seeds(folder, 3, 4, 5, **changes)


def train_seeds(folder: Path, *seeds: int, **changes: Any) -> list[dict[str, np.ndarray]]:
    """Train a block of runs; return their weights."""
    folders = [folder / str(seed) for seed in seeds]
    runs = [{**RUN, "seed": int(each.name)} for each in folders]
    files = [files_in(each) for each in folders]
    run_block(runs, RECIPE.but(epochs=6), DATA, {**TRAINING, **changes}, files)
    return [load_file(each.weights) for each in files]


@pytest.fixture
def like_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the CPU train blocks at once, as a GPU does."""
    monkeypatch.setattr(stages, "takes_many", lambda task, kind: True)
    monkeypatch.setattr("ffensembles.training.loop.stage_kind", lambda task, kind: BatchedStage)


@pytest.mark.slow
def test_a_block_of_runs_gives_each_run_its_own(like_a_gpu: None, tmp_path: Path):
    block = train_three(tmp_path / "block")
    for seed, weights in zip((3, 4, 5), block, strict=True):
        alone = train(tmp_path / "alone" / str(seed), RECIPE.but(epochs=6), seed=seed)
        for name, weight in alone.items():
            np.testing.assert_allclose(weights[name], weight, atol=2e-5)
        metadata = json.loads(files_in(tmp_path / "block" / str(seed)).metadata.read_text())
        assert metadata["run"]["seed"] == seed
        assert metadata["runs_together"] == 3
    assert not list(tmp_path.rglob("checkpoint*"))


@pytest.mark.slow
def test_out_of_memory_halves_the_block_and_goes_on(
    like_a_gpu: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    whole = train_three(tmp_path / "whole", checkpoint_minutes=0)
    real, sizes = BatchedStage.epoch, []

    def small_memory(self: BatchedStage, index: int) -> Any:
        if self.layer == 2 and index == 3 and self.runs > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append((self.layer, index, self.runs))
        return real(self, index)

    monkeypatch.setattr(BatchedStage, "epoch", small_memory)
    halved = train_three(tmp_path / "halved", checkpoint_minutes=0)
    assert "out of GPU memory with 3 runs at once; now 1" in caplog.text
    assert (1, 0, 1) not in sizes  # nothing was trained again
    assert sizes.count((2, 3, 1)) == 3
    for one, other in zip(whole, halved, strict=True):
        for name, weight in one.items():
            np.testing.assert_allclose(other[name], weight, atol=2e-5)


def test_a_gpu_without_room_for_the_images_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def no_room(*given: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(devices, "choose", lambda *given: torch.device("cuda", 1))
    monkeypatch.setattr(devices, "describe", lambda device: "A100")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 29, 80 << 30))
    monkeypatch.setattr(devices, "task", no_room)
    told = r"cuda:1 \(A100\): .*, 0.5 of 80.0 GiB are free; .*CUDA_VISIBLE_DEVICES"
    with pytest.raises(TrainingError, match=told):
        train(tmp_path)


@pytest.mark.slow
def test_a_lost_gpu_is_continued_on_the_cpu(
    like_a_gpu: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    whole = train_three(tmp_path / "whole", checkpoint_minutes=0)
    real, steps, lost = BatchedStage.epoch, [], []

    def epoch(self: BatchedStage, index: int) -> Any:
        if (self.layer, index, self.runs) == (2, 3, 3):
            lost.append(True)
            raise RuntimeError("CUDA error: unspecified launch failure")
        steps.append((self.layer, index, self.runs))
        return real(self, index)

    monkeypatch.setattr(BatchedStage, "epoch", epoch)
    monkeypatch.setattr("ffensembles.engine.capture.answers", lambda device: not lost)
    continued = train_three(tmp_path / "lost", checkpoint_minutes=0)
    assert "cpu no longer answers (CUDA error: unspecified launch failure)" in caplog.text
    assert "Training continues on the CPU, slower" in caplog.text
    assert steps.count((2, 3, 1)) == 3
    assert (2, 2, 1) not in steps  # nothing was trained again
    told = json.loads(files_in(tmp_path / "lost" / "3").metadata.read_text())["provenance"]
    assert "; until it was lost, cpu" in told["device"]
    for one, other in zip(whole, continued, strict=True):
        for name, weight in one.items():
            np.testing.assert_allclose(other[name], weight, atol=2e-5)


def test_one_sick_run_does_not_take_the_others_along(
    like_a_gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real = BatchedStage.epoch

    def sick(self: BatchedStage, index: int) -> Any:
        seen = real(self, index)
        ill = [task.seed == 4 and index == 2 for task in self.tasks]
        return [replace(m, loss=float("nan")) if i else m for m, i in zip(seen, ill, strict=True)]

    monkeypatch.setattr(BatchedStage, "epoch", sick)
    with pytest.raises(TrainingError, match=r"FF layer 1, seed 4: the loss is nan in epoch 3"):
        train_three(tmp_path)
    assert [p.parent.name for p in sorted(tmp_path.rglob("run.json"))] == ["3", "5"]


def test_weights_that_the_last_step_made_infinite_are_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real = BatchedStage.epoch

    def overflow(self: BatchedStage, index: int) -> Any:
        seen = real(self, index)
        if index == 2:
            self.weights["layer2.weight"][0, 0, 0] = torch.inf
        return seen

    monkeypatch.setattr(loop, "stage_kind", lambda task, kind: BatchedStage)
    monkeypatch.setattr(BatchedStage, "epoch", overflow)
    with pytest.raises(TrainingError, match=r"seed 3: weights are not finite after epoch 3; try"):
        train(tmp_path, RECIPE.but(epochs=3), seed=3)
    assert not files_in(tmp_path).weights.exists()


@pytest.mark.parametrize(("bias", "dead"), [(0.0, [1, 2]), (1e-9, []), (torch.nan, [1, 2])])
def test_a_layer_at_its_floor_is_dead(bias: float, dead: list[int]):
    recipe = RECIPE.but(widths=(4, 3), activation="relu", normalise_input=False)
    task = devices.task(
        prepare("digits", "train", DATA, **recipe.images), recipe, 0, None, torch.device("cpu")
    )
    weights = {
        "layer1.weight": torch.zeros(4, 784), "layer1.bias": torch.full((4,), bias),
        "layer2.weight": torch.zeros(3, 4), "layer2.bias": torch.full((3,), bias),
    }  # fmt: skip
    found, words = dead_layers(weights, task, 0.0)
    assert found == dead
    assert len(words) == len(dead)


@pytest.mark.slow
def test_a_stopped_block_is_continued_as_a_block(
    like_a_gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = train_three(tmp_path / "whole")
    real = BatchedStage.epoch

    def interrupted(self: BatchedStage, index: int) -> Any:
        if self.layer == 2 and index == 3:
            signal.raise_signal(signal.SIGTERM)
        return real(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(BatchedStage, "epoch", interrupted)
        with pytest.raises(TrainingError, match=r"3/checkpoint.safetensors: training was asked"):
            train_three(tmp_path / "stopped")
    resumed = train_three(tmp_path / "stopped")
    for one, other in zip(whole, resumed, strict=True):
        assert same(one, other)


def test_runs_that_are_not_asked_for_any_more_leave_the_others_their_state(
    like_a_gpu: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    real, epochs = BatchedStage.epoch, []

    def interrupted(self: BatchedStage, index: int) -> Any:
        if self.layer == 2 and index == 3:
            signal.raise_signal(signal.SIGTERM)
        epochs.append((self.layer, index, self.runs))
        return real(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(BatchedStage, "epoch", interrupted)
        with pytest.raises(TrainingError, match="asked to stop"):
            train_seeds(tmp_path / "shrunk", 3, 4, 5)
        begun = len(epochs)
        fewer = train_seeds(tmp_path / "shrunk", 3, 5)
    assert "seeds 4, which were begun together with this job's, are not of it now" in caplog.text
    third = [(3, index, 2) for index in range(6)]
    assert epochs[begun:] == [(2, 4, 2), (2, 5, 2), *third]
    for one, other in zip(fewer, train_seeds(tmp_path / "whole", 3, 5), strict=True):
        for name, weight in one.items():
            np.testing.assert_allclose(other[name], weight, atol=2e-5)


# --- blocks that train into the cache -----------------------------------------------------------

BLOCK_RECIPE = RECIPE.but(epochs=6)
OFTEN = {**TRAINING, "checkpoint_minutes": 0}


def block_in(folder: Path, *seeds: int, code: str = "0" * 64) -> dict[str, np.ndarray]:
    """Train a block into a cache as the workflow does; return the first run's weights."""
    cache, runs = Cache(folder / "cache", code), [{**RUN, "seed": seed} for seed in seeds]
    checkpoints = [folder / str(seed) / "checkpoint.safetensors" for seed in seeds]
    train_into_cache(cache, runs, BLOCK_RECIPE, DATA, OFTEN, checkpoints, folder / "blocks/b.json")
    files = files_in(folder / "taken")
    assert cache.take(fingerprint(runs[:1], BLOCK_RECIPE, DATA), files.results)
    return load_file(files.weights)


def full_disk(*paths: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_block_that_cannot_be_cached_is_not_trained_and_keeps_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    with monkeypatch.context() as patch:
        patch.setattr(caching, "_link", full_disk)
        with pytest.raises(StoreError, match=r"/cache/\w+: cannot be written; the disk is full"):
            block_in(tmp_path, 3)
    assert not list(tmp_path.glob("blocks/*.json"))
    assert (tmp_path / "3/checkpoint.safetensors").exists()
    caplog.clear()
    weights = block_in(tmp_path, 3)
    assert "continuing at stage 2, epoch 5" in caplog.text  # of 6: nothing was lost
    assert same(weights, train(tmp_path / "undisturbed", BLOCK_RECIPE))
    assert not (tmp_path / "3/checkpoint.safetensors").exists()


def test_a_checkpoint_of_other_code_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    with monkeypatch.context() as patch:
        patch.setattr(caching, "_link", full_disk)
        with pytest.raises(StoreError):
            block_in(tmp_path, 3)
    caplog.clear()
    block_in(tmp_path, 3, code="1" * 64)
    said = "is of other code: the library has been changed since; training starts from the beginn"
    assert f"{tmp_path}/3/checkpoint.safetensors: {said}" in caplog.text
    assert "continuing" not in caplog.text
    metadata = json.loads((tmp_path / "taken/run.json").read_text())
    assert metadata["code_sha256"] == "1" * 64


@pytest.mark.parametrize("damaged", [False, True])
def test_a_run_of_a_block_that_is_missing_in_the_cache_is_not_trained_where_it_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: bool
):
    weights = block_in(tmp_path, 3, 4)
    (tmp_path / "taken/weights.safetensors").unlink()
    cache, report = Cache(tmp_path / "cache", "0" * 64), tmp_path / "blocks/b.json"
    place = cache.place(fingerprint([RUN], BLOCK_RECIPE, DATA))
    if damaged:
        (place / "weights.safetensors").write_bytes(b"rubbish")
    else:
        shutil.rmtree(place)
    files = files_in(tmp_path / "taken")
    with pytest.raises(StoreError, match=r"seed 3 .* is not there any more; delete .*/b.json"):
        take_from_cache(cache, RUN, BLOCK_RECIPE, DATA, files, report)
    assert not files.weights.exists()
    report.unlink()  # as the message says
    caplog.set_level("INFO")
    block_in(tmp_path, 3, 4)
    assert "seed 4 is trained already" in caplog.text
    take_from_cache(cache, RUN, BLOCK_RECIPE, DATA, files, report)
    assert same(load_file(files.weights), weights)


def test_a_cached_run_that_cannot_be_read_now_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    block_in(tmp_path, 3)
    cache = Cache(tmp_path / "cache", "0" * 64)
    known = fingerprint([RUN], BLOCK_RECIPE, DATA)
    target = tmp_path / "elsewhere/weights.safetensors"
    for _ in range(2):  # the second time it stands there already, as a link to the same file
        assert cache.take(known, [target])
        assert [path.name for path in target.parent.iterdir()] == [target.name]
    target.unlink()

    def stale(*given: Any) -> str:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as broken:
        broken.setattr("ffensembles.training.metadata.checksum", stale)
        with pytest.raises(StoreError, match=r"Stale file handle\); it was not deleted\. Check"):
            cache.take(known, [target])
    with monkeypatch.context() as broken:
        broken.setattr("ffensembles.training.cache._put", stale)
        with pytest.raises(StoreError, match="cannot be read or put into place now"):
            cache.take(known, [target])
    assert cache.take(known, [target])
    assert target.exists()


def test_what_killed_jobs_left_is_removed_after_a_day(tmp_path: Path):
    block = [tmp_path / "blocks" / f".b.{name}" for name in ("old", "new")]
    cached = [tmp_path / "cache" / f".{name}.part" for name in ("old", "new")]
    written = [tmp_path / "3" / f".checkpoint.safetensors.{name}.part" for name in ("old", "new")]
    others = [tmp_path / "blocks/.another.old", tmp_path / "3/.run.json.old.part"]
    for path in (*block, *cached, *others):
        path.mkdir(parents=True)
        (path / "weights.safetensors").touch()
    for path in written:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    for path in (block[0], cached[0], written[0], *others):
        os.utime(path, (0, time.time() - 25 * 3600))
    block_in(tmp_path, 3)
    for old, new in (block, cached, written):
        assert not old.exists()
        assert new.exists()
    assert all(path.exists() for path in others)  # whoever writes these removes them


def test_a_run_with_files_of_its_own_need_not_be_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(caching, "_link", full_disk)
    files = files_in(tmp_path)
    cache = Cache(tmp_path / "cache", "0" * 64)
    run_training(RUN, RECIPE.but(epochs=2), DATA, TRAINING, files, cache=cache)
    assert "cannot be written; the disk is full" in caplog.text
    assert files.weights.exists()
    assert not list(cache.folder.iterdir())


@pytest.mark.parametrize("written", [[3], [3, 4], [4]])
def test_a_block_killed_while_it_writes_goes_on_with_the_runs_left(
    like_a_gpu: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    written: list[int],
):
    caplog.set_level("INFO")
    real, cache_one = BatchedStage.epoch, Cache.add
    epochs: list[tuple[int, int]] = []

    def counted(self: BatchedStage, index: int) -> Any:
        epochs.append((self.runs, index))
        return real(self, index)

    def killed(self: Cache, fingerprint: dict[str, Any], files: Any) -> None:
        (run,) = fingerprint["runs"]
        if run["seed"] in written:
            cache_one(self, fingerprint, files)
        elif run["seed"] > max(written):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Cache, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            block_in(tmp_path / "killed", 3, 4, 5)
    monkeypatch.setattr(BatchedStage, "epoch", counted)
    block_in(tmp_path / "killed", 3, 4, 5)
    left = [seed for seed in (3, 4, 5) if seed not in written]
    assert f"seed {written[0]} is trained already" in caplog.text
    assert epochs == [(len(left), 5)]  # the last epoch of the last layer, which had no state
    assert not list(tmp_path.rglob("checkpoint*"))
    continued = block_in(tmp_path / "killed", left[-1])
    for name, weight in block_in(tmp_path / "whole", left[-1]).items():
        np.testing.assert_allclose(continued[name], weight, atol=2e-5)


def test_a_run_that_is_taken_from_the_cache_leaves_no_checkpoint(tmp_path: Path):
    block_in(tmp_path, 3)
    checkpoint = tmp_path / "3/checkpoint.safetensors"
    checkpoint.write_bytes(b"left by a job that was killed")
    block_in(tmp_path, 3)
    assert not checkpoint.exists()


@pytest.mark.parametrize(("gpus", "expected"), [(0, "cpu"), (1, "cuda"), (None, "cuda")])
def test_a_job_computes_on_a_gpu_only_if_its_rule_asks_for_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gpus: int | None, expected: str
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (1 << 30, 80 << 30))
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(devices, "_claims", [])
    for wanted in ("auto", "cuda"):
        found = devices.choose(wanted, torch.get_num_threads(), gpus)
        assert found.type == expected
    assert devices.choose("cpu", torch.get_num_threads(), gpus).type == "cpu"


def test_read_out_asks_for_its_device_where_training_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    train(tmp_path, RECIPE.but(epochs=2))
    asked = []

    def choose(*options: Any) -> torch.device:
        asked.append(options)
        return torch.device("meta")  # reading there fails: no values

    monkeypatch.setattr(devices, "choose", choose)
    with pytest.raises(NotImplementedError, match="meta"):
        read_out(RUN, RECIPE.but(epochs=2), DATA, files_in(tmp_path).weights, tmp_path / "a.zip",
                 threads=1, device="cuda", gpus=1)  # fmt: skip
    assert asked == [("cuda", 1, 1)]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), TrainingError("loss is nan")])
def test_a_damaged_state_does_not_bring_a_failed_block_back(
    like_a_gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    """The header of a checkpoint can be read where its content cannot."""
    runs = [{**RUN, "seed": seed} for seed in (3, 4, 5)]
    files = [files_in(tmp_path / str(seed)) for seed in (3, 4, 5)]
    recipe = RECIPE.but(epochs=6)
    origin = identity(runs, recipe, DATA, settings_of(TRAINING, 1))
    state = loop.State({"w": np.ones((3, 50))}, {"stage": 0, "epoch": 1, "histories": [[], [], []]})
    write_checkpoint(files[0].checkpoint, state, origin)
    content = bytearray(files[0].checkpoint.read_bytes())
    content[-3] ^= 1
    files[0].checkpoint.write_bytes(content)
    real, seeds = loop.train_block, []

    def failing(tasks: Any, *given: Any, **named: Any) -> Any:
        seeds.append([task.seed for task in tasks])
        assert len(seeds) < 9, "the block is trained without end"
        if len(tasks) > 1:
            raise error
        return real(tasks, *given, **named)

    monkeypatch.setattr(loop, "train_block", failing)
    run_block(runs, recipe, DATA, TRAINING, files)
    assert seeds == [[3, 4, 5], [3], [4], [5]]
    assert all(one.weights.exists() for one in files)


def test_a_gpus_name_with_slashes_names_one_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-1a/1/0")
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    assert devices._claim([0]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [
        f"ffensembles-{os.getuid()}-gpu-MIG-GPU-1a-1-0.lock"
    ]


def test_a_state_of_another_kind_of_device_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    settings = settings_of(TRAINING, 1)
    origins = {
        device: identity([RUN], RECIPE, DATA, replace(settings, device=device))
        for device in ("cpu", "cuda:0", "cuda:1")
    }
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, loop.State({"w": np.ones(3)}, {"epoch": 1}), origins["cuda:1"])
    assert read_checkpoint(path, origins["cuda:0"]) is not None
    assert read_checkpoint(path, origins["cpu"]) is None
    assert f"{path}: is of another recipe, data, engine, kind of device (cpu, " in caplog.text
