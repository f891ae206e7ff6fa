"""Training of a block of runs: choose a stage, take its epochs, record and report.

Nothing here knows files. What must survive a killed process is passed out as a `State` of plain
arrays; a run that continues from it ends with the same weights, bit for bit.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ffensembles.engine.capture import watched
from ffensembles.engine.stages import Stage, open_stage, place, stage_kind
from ffensembles.errors import TrainingError
from ffensembles.models.network import initial_weights
from ffensembles.models.plain import Measures, Task
from ffensembles.training.evaluation import TestImages, accuracy, dead_layers
from ffensembles.training.readings import Observer, Readings

log = logging.getLogger(__name__)

HISTORY_COLUMNS = (
    "layer",
    "epoch",
    "loss",
    "goodness_positive",
    "goodness_negative",
    "winners",
    "accuracy",
    "seconds",
)
"""Columns of a run's history; layer 0 is the whole net. Where steps learn from one kind of data
alone (`phases`), the loss is that of the data that the epoch's steps learnt from."""

MEMORY = 2
"""Version of the stages' states; increased whenever older states no longer fit."""

Engine = Literal["fast", "plain", "batched"]

_STEADY_SECONDS = 15.0  # between two lines of progress


@dataclass(frozen=True)
class Settings:
    """How to train; none of it changes what is learnt beyond float rounding.

    Attributes
    ----------
    engine
        `fast`: the fastest exact engine that the recipe allows; `plain`: autograd; `batched`: see
        `stages.stage_kind`.
    device
        A torch device, as chosen by `training.devices`.
    precision
        `float32`; `tf32` and `bf16` matrix products on a GPU exist for benchmarks only.
    block_size
        Presentations per block of the fast engine.
    record_every
        Epochs between two rows of the history.
    checkpoint_minutes
        Longest time between two saved states.
    dead_floor
        A layer in which no unit ever exceeds this activation is called dead.
    """

    engine: Engine = "fast"
    device: str = "cpu"
    precision: Literal["float32", "tf32", "bf16"] = "float32"
    block_size: int = 2048
    record_every: int = 10
    checkpoint_minutes: float = 3.0
    dead_floor: float = 0.01


@dataclass
class State:
    """A training between two epochs: arrays by name, and its progress as plain numbers."""

    arrays: dict[str, NDArray[Any]]
    progress: dict[str, Any]

    def of_runs(self, runs: Sequence[int]) -> "State":
        """Return the state of some of the block's runs, by their positions in it."""
        arrays = {name: a[list(runs)] if a.ndim else a for name, a in self.arrays.items()}
        histories = [self.progress["histories"][run] for run in runs]
        return State(arrays, {**self.progress, "histories": histories})


@dataclass
class Trained:
    """The result of a finished run.

    Attributes
    ----------
    weights
        `layer1.weight` and so on, float32.
    history
        Rows of `HISTORY_COLUMNS`.
    accuracy
        On test images: of the whole `network`, and of each layer alone under `layers`.
    warnings, dead_layers, lost_classes
        Reasons for caution: in words, by layer, by class.
    engine, seconds, runs_together
        The kind of stage that trained it, the seconds in all without interruptions, and how many
        runs were trained in that time together.
    readings
        What an observer measured meanwhile, see `readings.Observer.write`.
    """

    weights: dict[str, NDArray[np.float32]]
    history: list[dict[str, Any]]
    accuracy: dict[str, Any]
    warnings: list[str]
    dead_layers: list[int]
    lost_classes: list[int]
    engine: str
    seconds: float
    runs_together: int
    readings: dict[str, NDArray[Any]] = field(default_factory=dict)


class Stopped(Exception):  # noqa: N818 - not an error: it was asked for
    """Training was asked to stop; its state is saved."""


def train(
    task: Task,
    settings: Settings,
    test_images: TestImages | None = None,
    *,
    state: State | None = None,
    save: Callable[[State], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    observer: Observer | None = None,
) -> Trained:
    """Train one run; see `train_block`."""
    (trained,) = train_block(
        [task], settings, test_images, state=state, save=save, stop=stop, observer=observer
    )
    return trained


def train_block(
    tasks: Sequence[Task],
    settings: Settings,
    test_images: TestImages | None = None,
    *,
    state: State | None = None,
    save: Callable[[State], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    observer: Observer | None = None,
) -> list[Trained]:
    """Train some runs at once: of one recipe, on the same images, with seeds of their own.

    Parameters
    ----------
    tasks
        The runs and their training images, on the device to train on. More than one only where
        `stages.takes_many`.
    settings
        How to train them.
    test_images
        Test images for accuracies.
    state
        State of an earlier attempt at the same runs, to continue from.
    save
        Called with the state every `checkpoint_minutes` and when asked to stop.
    stop
        Asked after every epoch; if true, the state is saved and `Stopped` raised.
    observer
        Told of the nets at some epochs; changes nothing. It needs `test_images`.

    Returns
    -------
    list of Trained
        The result of each run. Its random numbers do not depend on what else is in the block; its
        weights agree with those of a run trained alone up to float rounding.

    Raises
    ------
    TrainingError
        If a loss stops being finite, or the last step's weights are not.
    Stopped
        If `stop` said so.
    DeviceLost
        If the device no longer answers; the last saved state is good.
    """
    with watched(tasks[0].x.device):
        readings = None
        if observer is not None and test_images is not None and tasks[0].recipe.epochs:
            readings = Readings(observer, tasks, test_images)
        return _trained(tasks, settings, test_images, state, save, stop, readings)


def _trained(
    tasks: Sequence[Task],
    settings: Settings,
    test_images: TestImages | None,
    state: State | None,
    save: Callable[[State], None] | None,
    stop: Callable[[], bool],
    readings: Readings | None,
) -> list[Trained]:
    training = _Training(tasks, settings, test_images, save, stop, readings)
    done = training.resume(state) if state is not None else (0, 0)
    for number, layer in enumerate(training.layers):
        if number >= done[0]:
            first = done[1] if number == done[0] else 0
            training.train_stage(number, layer, first, state if first else None)
    return training.results()


class _Training:
    """A block of runs in training: their stacked weights and their histories."""

    def __init__(
        self,
        tasks: Sequence[Task],
        settings: Settings,
        test_images: TestImages | None,
        save: Callable[[State], None] | None,
        stop: Callable[[], bool],
        readings: Readings | None,
    ) -> None:
        self.tasks, self.task, self.recipe = tasks, tasks[0], tasks[0].recipe
        self.settings, self.test_images, self.save, self.stop = settings, test_images, save, stop
        self.readings = readings
        self.layers = list(range(1, len(self.recipe.widths) + 1))
        if not self.recipe.spec.layerwise:
            self.layers = [0]
        self.kind = stage_kind(self.task, settings.engine)
        x = self.task.x
        drawn = [initial_weights(self.recipe, t.seed, x.shape[1], t.n_labels) for t in tasks]
        self.weights = {
            name: torch.stack([own[name] for own in drawn]).to(x.device, x.dtype)
            for name in drawn[0]
        }
        self.histories: list[list[dict[str, Any]]] = [[] for _ in tasks]
        self.before, self.began = 0.0, time.monotonic()

    def own(self, run: int) -> dict[str, Tensor]:
        """Return one run's weights, as views into the stack."""
        return {name: stacked[run] for name, stacked in self.weights.items()}

    def elapsed(self) -> float:
        """Return the seconds of this attempt and those before it."""
        return self.before + time.monotonic() - self.began

    def train_stage(self, number: int, layer: int, first: int, state: State | None) -> None:
        """Train a layer of FF, or the whole net, from epoch `first` on."""
        if not self.recipe.epochs:  # a net as it is before training
            return
        stage = open_stage(self.kind, self.tasks, self.weights, layer, self.settings.block_size)
        if state is not None:
            stage.restore(_memory(state, self.task.x.device))
        self._epochs(stage, number, first)
        stage.close()
        if self.test_images is not None:
            for run, task in enumerate(self.tasks):
                reached = accuracy(self.own(run), task, self.test_images, layer or None)["network"]
                self.histories[run][-1]["accuracy"] = reached
                log.info("%s, seed %d: accuracy %.4f", place(task, layer), task.seed, reached)
        if self.save is not None and number + 1 < len(self.layers):
            self.save(self.state(None, number + 1, 0))

    def _epochs(self, stage: Stage, number: int, first: int) -> None:
        epochs = self.recipe.epochs
        began = spoke = saved = time.monotonic()
        if first == 0:
            self._read(stage, 0)
        for epoch in range(first, epochs):
            seen = stage.epoch(epoch)
            self._check(stage, epoch + 1, seen)
            self._read(stage, epoch + 1)
            now, done = time.monotonic(), epoch + 1
            last = done == epochs
            if last or epoch == 0 or done % self.settings.record_every == 0:
                at = {"layer": stage.layer, "epoch": done}
                for history, of_run in zip(self.histories, seen, strict=True):
                    history.append({**at, **asdict(of_run), "seconds": round(self.elapsed(), 3)})
            if last or now - spoke >= _STEADY_SECONDS:
                spoke = now
                self._log_progress(stage, number, seen, done, (now - began) / (done - first))
            halt = self.stop()
            late = now - saved >= 60 * self.settings.checkpoint_minutes
            if self.save is not None and not last and (halt or late):
                saved = now
                self.save(self.state(stage, number, done))
            if halt and not last:
                raise Stopped

    def _read(self, stage: Stage, epoch: int) -> None:
        if self.readings is not None and self.readings.due(epoch):
            nets = [self.own(run) for run in range(len(self.tasks))]
            self.readings.take(stage.layer, epoch, nets)

    def _check(self, stage: Stage, epoch: int, seen: Sequence[Measures]) -> None:
        for task, of_run in zip(self.tasks, seen, strict=True):
            if not math.isfinite(of_run.loss):
                what = f"the loss is {of_run.loss} in epoch {epoch}"
                raise self._diverged(task, stage.layer, what)

    def _diverged(self, task: Task, layer: int, what: str) -> TrainingError:
        return TrainingError(
            f"{place(task, layer)}, seed {task.seed}: {what}; try a learning rate below "
            f"{self.recipe.learning_rate}."
        )

    def _log_progress(
        self, stage: Stage, number: int, seen: Sequence[Measures], done: int, pace: float
    ) -> None:
        epochs, extra = self.recipe.epochs, ""
        left = pace * (epochs - done + epochs * (len(self.layers) - number - 1))
        mean = Measures.of_epoch(seen)
        if self.recipe.spec.reads_labels:
            extra = (
                f", goodness {mean.goodness_positive:.3f} / {mean.goodness_negative:.3f}, "
                f"{mean.winners} winners"
            )
        runs = "" if len(self.tasks) == 1 else f" ({len(self.tasks)} runs)"
        log.info(
            "%s%s: epoch %d/%d, %.3f s each, %s left, loss %.4f%s",
            place(self.task, stage.layer), runs, done, epochs, pace, _clock(left), mean.loss,
            extra,
        )  # fmt: skip

    def state(self, stage: Stage | None, number: int, epoch: int) -> State:
        """Return the state after an epoch of a stage, or before a stage (`stage` None)."""
        arrays = {f"weights/{name}": _plain(w) for name, w in self.weights.items()}
        for name, value in (stage.state() if stage is not None else {}).items():
            arrays[f"memory/{name}"] = _plain(value)
        if self.readings is not None:
            arrays |= self.readings.state()
        histories = [[dict(row) for row in history] for history in self.histories]
        read = "" if self.readings is None else self.readings.observer.identity
        where = {"stage": number, "epoch": epoch, "seconds": self.elapsed(), "readings": read}
        return State(arrays, {**where, "histories": histories})

    def resume(self, state: State) -> tuple[int, int]:
        """Load a saved state; return its stage and epoch."""
        for name, weight in self.weights.items():
            found = state.arrays.get(f"weights/{name}")
            if found is None or found.shape != tuple(weight.shape):
                raise TrainingError(f"the checkpoint's {name} does not fit the recipe; delete it.")
            weight.copy_(torch.from_numpy(np.array(found)))
        self.histories = [list(history) for history in state.progress["histories"]]
        self.before = float(state.progress["seconds"])
        if self.readings is not None:
            if state.progress.get("readings", "") == self.readings.observer.identity:
                self.readings.restore(state.arrays)
            else:  # no weight depends on them
                log.warning(
                    "readings: none were taken so far, or with other settings (ensembles, "
                    "training.readings). Training goes on without; to have them, delete the "
                    "checkpoint and start again from the beginning."
                )
                self.readings = None
        done = int(state.progress["stage"]), int(state.progress["epoch"])
        log.info("continuing at stage %d, epoch %d", *done)
        return done

    def results(self) -> list[Trained]:
        """Return the result of each run, and log what is wrong with any."""
        found = []
        if self.readings is not None:
            log.info("readings took %.2f s of %.2f", self.readings.seconds, self.elapsed())
        for run, (task, history) in enumerate(zip(self.tasks, self.histories, strict=True)):
            weights = self.own(run)
            if not all(bool(w.isfinite().all()) for w in weights.values()):  # of the last step
                what = f"weights are not finite after epoch {self.recipe.epochs}"
                raise self._diverged(task, self.layers[-1], what)
            reached: dict[str, Any] = {}
            if self.test_images is not None:
                reached = accuracy(weights, task, self.test_images, None)
            dead, warnings = dead_layers(weights, task, self.settings.dead_floor)
            lost = reached.pop("lost_classes", [])
            if lost:
                classes = ", ".join(map(str, lost))
                warnings.append(f"no test image of class {classes} is classified correctly")
            for warning in warnings:
                log.warning("WARNING: seed %d: %s", task.seed, warning)
            arrays = {name: np.asarray(_plain(w.float())) for name, w in weights.items()}
            seconds = round(self.elapsed(), 3)
            kind = self.kind.__name__
            readings = {} if self.readings is None else self.readings.of_run(run)
            found.append(
                Trained(arrays, history, reached, warnings, dead, lost, kind, seconds,
                        len(self.tasks), readings)
            )  # fmt: skip
        return found


def _plain(value: Tensor) -> NDArray[Any]:
    return value.detach().cpu().numpy().copy()


def _memory(state: State, device: torch.device) -> dict[str, Tensor]:
    prefix = "memory/"
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(value)).to(device)
        for name, value in state.arrays.items()
        if name.startswith(prefix)
    }


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:d}:{minutes:02d}:{rest:02d}"
