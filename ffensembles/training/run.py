"""One run from its data to its files: weights, history, and what the run was.

A killed run goes on from its checkpoint when started again, and ends with the same weights.
"""

import json
import logging
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.numpy import save

from ffensembles.datasets.prepare import prepare
from ffensembles.engine import stages
from ffensembles.engine.capture import DeviceLost
from ffensembles.errors import StoreError, TrainingError
from ffensembles.models.plain import Task
from ffensembles.models.recipe import Recipe
from ffensembles.runtime.files import (
    atomic_path,
    checksum,
    remove_abandoned,
    write_json,
    write_rows,
)
from ffensembles.runtime.provenance import provenance, remember_commit
from ffensembles.training import devices, loop
from ffensembles.training.cache import Cache
from ffensembles.training.checkpoints import (
    identity,
    origin_of,
    read_checkpoint,
    runs_of,
    write_checkpoint,
)
from ffensembles.training.metadata import fingerprint, read_run, write_run
from ffensembles.training.readings import Observer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFiles:
    """Where one run's results go; the checkpoint is gone when the run is done.

    `readings` is what an observer writes; None where nothing is to be kept of that.
    """

    weights: Path
    history: Path
    metadata: Path
    checkpoint: Path
    readings: Path | None = None

    @property
    def results(self) -> tuple[Path, Path, Path]:
        """What stays: weights, history, metadata."""
        return self.weights, self.history, self.metadata

    @property
    def extra(self) -> tuple[Path, ...]:
        """What may be there beside the results."""
        return () if self.readings is None else (self.readings,)


_Block = list[tuple[Mapping[str, Any], RunFiles]]
"""Runs with their files."""


def run_training(
    run: Mapping[str, Any],
    recipe: Recipe,
    data: Mapping[str, Any],
    training: Mapping[str, Any],
    files: RunFiles,
    threads: int = 1,
    cache: Cache | None = None,
    observer: Observer | None = None,
) -> None:
    """Train one run and write its files; see `run_block`."""
    run_block([run], recipe, data, training, [files], threads, cache, observer)


def run_block(
    runs: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    data: Mapping[str, Any],
    training: Mapping[str, Any],
    files: Sequence[RunFiles],
    threads: int = 1,
    cache: Cache | None = None,
    observer: Observer | None = None,
    *,
    must_cache: bool = False,
) -> None:
    """Train runs that differ in their seed alone, and write the files of each.

    A GPU trains them at once, a CPU one after another. Where memory does not suffice for all,
    half of them are trained at a time; where a loss stops being finite, each is trained alone, so
    that only the sick one fails. Where a GPU no longer answers, training continues on the CPU from
    the last checkpoint.

    Parameters
    ----------
    runs
        protocol, dataset, model, held_out (class or None) and seed of each.
    recipe
        The mathematics.
    data
        What `datasets.prepare.prepare` takes beside the data set's name: standardisation, source,
        folder, train_images, test_images, split_seed.
    training
        The configuration's `training` section.
    files
        Where results and checkpoints go; a block's checkpoint is its first run's.
    threads
        Threads to compute with.
    cache
        Trained runs: one that is there is not trained, one that is trained is added.
    observer
        Told of the nets while they train; changes no weight. A run that is taken from the cache
        has the readings that were cached with it, if any.
    must_cache
        Whether a run that cannot be cached is an error: nothing else keeps it. Otherwise its files
        are its results, and the log has a warning.

    Raises
    ------
    DataError
        If the data set could not be downloaded or found.
    TrainingError
        If a loss or weights stop being finite, training was asked to stop (its state is saved), or
        the images do not fit into a GPU's memory.
    StoreError
        If a result cannot be written, or not be cached where it must be; the last checkpoint stays.
    """
    remember_commit()  # hours may pass until it is written
    every = list(zip(runs, files, strict=True))
    left = [(run, own) for run, own in every if not _taken(cache, run, recipe, data, own)]
    if not left:
        for own in files:  # a job that was killed just after its last run was cached left one
            own.checkpoint.unlink(missing_ok=True)
        return
    job = _Job(runs[0], recipe, data, settings_of(training, threads), cache, observer, must_cache)
    job.continue_others(every, left)
    many = stages.takes_many(job.task(0), job.settings.engine)
    size, sick = len(left) if many else 1, []
    with devices.precision(job.settings.precision), _asked_to_stop() as stop:
        while left:
            block = job.begun(left) or left[:size]
            try:
                job.train(block, stop)
            except torch.OutOfMemoryError as error:
                size = job.halve(block, error)
                continue
            except DeviceLost as error:
                log.warning("%s Training continues on the CPU, slower.", error)
                size = 1
                job.split(block, size)
                job.move_to_cpu()
                continue
            except TrainingError as error:
                if isinstance(error.__cause__, loop.Stopped):
                    raise
                if len(block) == 1:
                    sick.append(str(error))
                else:
                    log.warning("%s Now each run alone.", error)
                    size = 1
                    job.split(block, size)
                    continue
            left = [one for one in left if one not in block]
    if sick:
        raise TrainingError(" ".join(sick))


def _taken(
    cache: Cache | None,
    run: Mapping[str, Any],
    recipe: Recipe,
    data: Mapping[str, Any],
    files: RunFiles,
) -> bool:
    """Put a run's files into place if they are in the cache; return whether they are."""
    wanted = fingerprint([run], recipe, data)
    if cache is None or not cache.take(wanted, files.results, files.extra):
        return False
    log.info("seed %s is trained already: taken from %s", run["seed"], cache.folder)
    return True


def train_into_cache(
    cache: Cache,
    runs: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    data: Mapping[str, Any],
    training: Mapping[str, Any],
    checkpoints: Sequence[Path],
    report: Path,
    threads: int = 1,
    observer: Observer | None = None,
) -> None:
    """Train a block of runs into the cache and write a report that names them; see `run_block`.

    Runs that are in the cache already are not trained again. The cache alone keeps what is trained
    here: where it cannot be written nothing is reported as trained, and the checkpoint stays.

    Raises
    ------
    DataError, TrainingError, StoreError
        As `run_block`; the latter also where a run cannot be cached.
    """
    report.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{report.stem}."
    # one that a job still trains for is empty until it writes, and made again then
    remove_abandoned(report.parent, prefix)
    with tempfile.TemporaryDirectory(dir=report.parent, prefix=prefix) as folder:
        files = []
        for run, checkpoint in zip(runs, checkpoints, strict=True):
            weights, history, metadata = (Path(folder, str(run["seed"]), n) for n in cache.names)
            readings = None if observer is None else metadata.with_name(cache.readings)
            files.append(RunFiles(weights, history, metadata, checkpoint, readings))
        run_block(runs, recipe, data, training, files, threads, cache, observer, must_cache=True)
        trained = [read_run(own.metadata)["weights_sha256"] for own in files]
    write_json(report, {"runs": [dict(run) for run in runs], "weights_sha256": trained})


def take_from_cache(
    cache: Cache,
    run: Mapping[str, Any],
    recipe: Recipe,
    data: Mapping[str, Any],
    files: RunFiles,
    report: Path,
) -> None:
    """Put the files of a run into place that was trained in a block; train nothing.

    Parameters
    ----------
    cache, run, recipe, data, files
        As `run_block` has them.
    report
        What `train_into_cache` wrote when the run's block was trained.

    Raises
    ------
    StoreError
        If the cache lacks the run, or has it damaged.
    """
    if not _taken(cache, run, recipe, data, files):
        raise StoreError(
            f"{cache.folder}: seed {run['seed']} of the block {report} is not there any more; "
            f"delete {report} and start the same command again: what the cache lacks of the block "
            "is trained anew."
        )


class _Job:
    """What the runs of a block have in common: data, device, recipe."""

    def __init__(
        self,
        run: Mapping[str, Any],
        recipe: Recipe,
        data: Mapping[str, Any],
        settings: loop.Settings,
        cache: Cache | None,
        observer: Observer | None,
        must_cache: bool,
    ) -> None:
        self.observer, self.must_cache = observer, must_cache
        self.recipe, self.data, self.held_out = recipe, data, run["held_out"]
        self.settings, self.cache, self.device = settings, cache, torch.device(settings.device)
        self.began_on = devices.describe(self.device)  # asked while it is there
        self.lost = ""
        images = prepare(run["dataset"], "train", data, **recipe.images).without(self.held_out)
        test = prepare(run["dataset"], "test", data, **recipe.images)
        self.n_train, self.n_test = len(images.labels), len(test.labels)
        log.info("%d training images of %s", self.n_train, run["dataset"])
        self._images, self._test, self._begun_with = images, test, settings
        self._load()

    def _load(self) -> None:
        """Put the images on the device."""
        try:
            self._task = devices.task(self._images, self.recipe, 0, self.held_out, self.device)
            self.test_images = devices.test_images(self._test, self.device)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"{self.device} ({devices.describe(self.device)}): its memory does not suffice for "
                f"the images, {devices.free_memory(self.device)}; wait until other programs have "
                "ended, name another GPU in CUDA_VISIBLE_DEVICES, or set training.device: cpu."
            ) from error

    def move_to_cpu(self) -> None:
        """Continue on the CPU what a GPU began, with the same engine and from its checkpoints."""
        engine: loop.Engine = "plain" if self.settings.engine == "plain" else "batched"
        self.settings = replace(self.settings, engine=engine, device="cpu")
        self.lost, self.device = self.began_on, torch.device("cpu")
        self._load()

    def task(self, seed: int) -> Task:
        """Return a run's task; all share the images."""
        return replace(self._task, seed=seed)

    def train(self, block: _Block, stop: Any) -> None:
        """Train a block of runs, from its checkpoint if there is one, and write their files."""
        runs, checkpoint = [run for run, _ in block], block[0][1].checkpoint
        log.info("seed %s", ", ".join(str(run["seed"]) for run in runs))
        origin = self.identity(runs)
        try:
            trained = loop.train_block(
                [self.task(int(run["seed"])) for run in runs],
                self.settings,
                self.test_images,
                state=read_checkpoint(checkpoint, origin),
                save=lambda state: write_checkpoint(checkpoint, state, origin),
                stop=stop,
                observer=self.observer,
            )
        except loop.Stopped as stopped:
            raise TrainingError(
                f"{checkpoint}: training was asked to stop and its state is saved here; "
                "start the same command again and it goes on."
            ) from stopped
        for (run, files), result in zip(block, trained, strict=True):
            self.write(run, files, result)
            self.add_to_cache(run, files)
        checkpoint.unlink(missing_ok=True)

    def add_to_cache(self, run: Mapping[str, Any], files: RunFiles) -> None:
        """Add a run's files to the cache, if there is one."""
        if self.cache is None:
            return
        made = [*files.results, *(path for path in files.extra if path.exists())]
        try:
            self.cache.add(fingerprint([run], self.recipe, self.data), made)
        except StoreError as error:
            if self.must_cache:
                raise
            log.warning("%s The run's own files are whole.", error)

    def identity(self, runs: Sequence[Mapping[str, Any]]) -> str:
        """Return what a checkpoint of these runs must agree with."""
        code = None if self.cache is None else self.cache.code
        return identity(runs, self.recipe, self.data, self._begun_with, code)

    def begun(self, left: _Block) -> _Block:
        """Return the runs that have been begun together with the first one left; none if not."""
        origin = origin_of(left[0][1].checkpoint)
        names = runs_of(origin)
        block = [one for one in left if dict(one[0]) in names]
        known = block[:1] == left[:1] and self.identity([run for run, _ in block]) == origin
        return block if known else []

    def continue_others(self, every: _Block, left: _Block) -> None:
        """Let runs go on that were begun together with runs that are not left to train.

        A block's checkpoint is its first run's. A job that was killed while it wrote the results
        leaves the first runs in the cache, and the others' state in a checkpoint of them all. So
        does a job whose last runs are not asked for any more.
        """
        for one in every:
            checkpoint = one[1].checkpoint
            origin = origin_of(checkpoint)
            begun = runs_of(origin)
            rest = [other for other in left if dict(other[0]) in begun]
            if 0 < len(rest) < len(begun) and self.identity(begun) == origin:
                state = read_checkpoint(checkpoint, origin)
                if state is not None:
                    here = [dict(run) for run, _ in every]
                    others = [str(run["seed"]) for run in begun if run not in here]
                    if others:
                        log.warning(
                            "%s: seeds %s, which were begun together with this job's, are not of "
                            "it now; if another job trains them, it starts from the beginning",
                            checkpoint, ", ".join(others),
                        )  # fmt: skip
                    runs = [dict(run) for run, _ in rest]
                    part = state.of_runs([begun.index(run) for run in runs])
                    write_checkpoint(rest[0][1].checkpoint, part, self.identity(runs))
            if one not in left:
                checkpoint.unlink(missing_ok=True)

    def halve(self, block: _Block, error: torch.OutOfMemoryError) -> int:
        """Cut a block for which memory does not suffice; return how many runs to train at once."""
        if len(block) == 1:
            raise TrainingError(
                f"{self.device}: out of memory with one run ({error}); lower "
                f"training.block_size, now {self.settings.block_size}."
            ) from None
        size = len(block) // 2
        log.warning("out of GPU memory with %d runs at once; now %d", len(block), size)
        self.split(block, size)
        return size

    def split(self, block: _Block, size: int) -> None:
        """Cut a block's checkpoint into those of smaller blocks."""
        runs, checkpoint = [run for run, _ in block], block[0][1].checkpoint
        state = read_checkpoint(checkpoint, self.identity(runs))
        if state is None:
            checkpoint.unlink(missing_ok=True)  # or the whole block would be taken for begun
            return
        for start in reversed(range(0, len(block), size)):  # the first, which is the whole's, last
            part = range(len(block))[start : start + size]
            origin = self.identity([runs[position] for position in part])
            write_checkpoint(block[start][1].checkpoint, state.of_runs(part), origin)

    def write(self, run: Mapping[str, Any], files: RunFiles, trained: loop.Trained) -> None:
        """Write a run's weights, history and metadata."""
        device = devices.describe(self.device)
        if self.lost:
            device += f"; until it was lost, {self.lost}"
        origins = provenance(recipe=self.recipe.as_json(), run=run, device=device)
        # as one text: safetensors would write several in any order, and the same run other bytes
        metadata = {"provenance": json.dumps(origins)}
        with atomic_path(files.weights) as temporary:
            temporary.write_bytes(save(trained.weights, metadata))
        rows = [_measured(row) for row in trained.history]
        write_rows(files.history, rows, loop.HISTORY_COLUMNS)
        weights_sha256 = checksum(files.weights)
        if self.observer is not None and files.readings is not None and trained.readings:
            self.observer.write(files.readings, run, weights_sha256, trained.readings)
        write_run(
            files.metadata,
            {
                "run": dict(run),
                "recipe": self.recipe.as_json(),
                "n_train": self.n_train,
                "n_test": self.n_test,
                "accuracy": trained.accuracy,
                "warnings": trained.warnings,
                "dead_layers": trained.dead_layers,
                "lost_classes": trained.lost_classes,
                "engine": trained.engine,
                "seconds": trained.seconds,
                "runs_together": trained.runs_together,
                "weights_sha256": weights_sha256,
                "history_sha256": checksum(files.history),
                "code_sha256": None if self.cache is None else self.cache.code,
                "fingerprint": fingerprint([run], self.recipe, self.data),
                "provenance": origins,
            },
        )


def _measured(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row of the history really measured: BP has no goodness and no winners."""
    absent = {"goodness_positive", "goodness_negative", "winners"} if row["winners"] < 0 else set()
    return {key: value for key, value in row.items() if key not in absent}


def settings_of(training: Mapping[str, Any], threads: int) -> loop.Settings:
    """Return how to compute, from the configuration's `training` section; chooses the device."""
    names = [field.name for field in fields(loop.Settings)]
    known = {key: training[key] for key in names if key in training}
    device = devices.choose(training["device"], threads)
    return loop.Settings(**{**known, "device": str(device)})


@contextmanager
def _asked_to_stop() -> Iterator[Any]:
    """Turn SIGTERM and SIGINT into a wish that is asked for between epochs."""
    wish: list[int] = []

    def wished(number: int, frame: FrameType | None) -> None:
        wish.append(number)
        log.warning("signal %d: saving the state after this epoch", number)

    former = {number: signal.signal(number, wished) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(wish)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


__all__ = [
    "RunFiles",
    "run_block",
    "run_training",
    "take_from_cache",
    "train_into_cache",
]
