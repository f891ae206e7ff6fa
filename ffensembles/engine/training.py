"""One interface to every way of training: choose a stage, go through its epochs, tell the story.

The engine knows nothing of files. What must outlive a killed process is handed out as a `State`
of plain arrays; a run resumed from it ends with the same weights, bit for bit.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ffensembles.engine.end_to_end import EndToEndStage
from ffensembles.engine.forward_forward import WinnerStage
from ffensembles.errors import TrainingError
from ffensembles.models.network import embed, hidden, initial_weights, predict
from ffensembles.models.reference import Measures, ReferenceStage, Task

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
"""What a row of a run's history tells; layer 0 is the whole net."""

_STEADY_SECONDS = 15.0  # between two lines of progress
_LOOKED_AT = 4096  # training images looked at for dead layers


class Stage(Protocol):
    """What is trained at a time: a layer of FF, or the whole of another net."""

    layer: int

    def epoch(self, index: int) -> Measures:
        """Take every batch once."""

    def state(self) -> dict[str, Tensor]:
        """Return what must be remembered beside the weights."""

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Take up what `state` returned."""

    def close(self) -> None:
        """Let go of what training needed."""


@dataclass(frozen=True)
class Settings:
    """How to train; none of it changes what is learnt beyond float rounding.

    Attributes
    ----------
    engine
        `fast` takes the exact short cuts that the recipe allows, `reference` plain autograd.
    device
        A torch device, as chosen by `engine.devices`.
    precision
        `float32`, or on a GPU `tf32` or `bf16` matrix products.
    block_size
        Presentations per block of the fast engine.
    record_every
        Epochs between two rows of the history.
    checkpoint_minutes
        Longest time between two saved states.
    dead_floor
        A layer in which no unit ever exceeds this activation is called dead.
    """

    engine: Literal["fast", "reference"] = "fast"
    device: str = "cpu"
    precision: Literal["float32", "tf32", "bf16"] = "float32"
    block_size: int = 2048
    record_every: int = 10
    checkpoint_minutes: float = 3.0
    dead_floor: float = 0.01


@dataclass(frozen=True)
class Held:
    """Images to measure accuracy on: standardised, label pixels as in training, with classes."""

    x: Tensor
    labels: Tensor
    on: Tensor


@dataclass
class State:
    """A training between two epochs: arrays by name, and where it stands as plain numbers."""

    arrays: dict[str, NDArray[Any]]
    progress: dict[str, Any]


@dataclass
class Trained:
    """What a finished run brings.

    Attributes
    ----------
    weights
        `layer1.weight` and so on, float32.
    history
        Rows of `HISTORY_COLUMNS`.
    accuracy
        On held images: of the whole `network`, and of each layer alone under `layers`.
    warnings, dead_layers, lost_classes
        What a reader should know before trusting the run: in words, by layer, by class.
    engine, seconds
        Which stages trained it, and for how long in all, interruptions apart.
    """

    weights: dict[str, NDArray[np.float32]]
    history: list[dict[str, Any]]
    accuracy: dict[str, Any]
    warnings: list[str]
    dead_layers: list[int]
    lost_classes: list[int]
    engine: str
    seconds: float


class Stopped(Exception):  # noqa: N818 - not an error: it was asked for
    """Training was asked to stop and has saved its state."""


@dataclass
class _Story:
    """What is told and recorded along the way."""

    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.began


def train(
    task: Task,
    settings: Settings,
    held: Held | None = None,
    *,
    state: State | None = None,
    save: Callable[[State], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train one run.

    Parameters
    ----------
    task
        The run and its training images, on the device to train on.
    settings
        How to train it.
    held
        Test images for accuracies.
    state
        Where an earlier attempt stood, to go on from there.
    save
        Called with the state every `checkpoint_minutes` and when asked to stop.
    stop
        Asked after every epoch; if true, the state is saved and `Stopped` raised.

    Raises
    ------
    TrainingError
        If a loss stops being finite.
    Stopped
        If `stop` said so.
    """
    recipe = task.recipe
    weights = initial_weights(recipe, task.seed, task.x.shape[1], task.n_labels)
    weights = {name: w.to(task.x.device, task.x.dtype) for name, w in weights.items()}
    story, done = _Story(), {"stage": 0, "epoch": 0}
    if state is not None:
        _fit(state, weights)
        done = {key: int(state.progress[key]) for key in done}
        story.history = list(state.progress["history"])
        story.seconds = float(state.progress["seconds"])
        log.info("going on at stage %(stage)d, epoch %(epoch)d", done)
    stages = list(range(1, len(recipe.widths) + 1)) if recipe.model == "FF" else [0]
    engines = []
    for number, layer in enumerate(stages):
        kind = stage_kind(task, settings)
        engines.append(kind.__name__)
        if number < done["stage"]:
            continue
        stage = _open(kind, task, weights, layer, settings)
        first = 0
        if number == done["stage"] and state is not None and done["epoch"]:
            first = done["epoch"]
            stage.restore(_memory(state, task.x.device))
        _run_stage(stage, number, first, len(stages), task, settings, weights, story, save, stop)
        stage.close()
        if held is not None:
            reached = float(_accuracy(weights, task, held, layer or None)["network"])
            story.history[-1]["accuracy"] = reached
            log.info("%s: accuracy %.4f", _place(task, layer), reached)
        if save is not None and number + 1 < len(stages):
            save(_state(None, number + 1, 0, weights, story))
    accuracy: dict[str, Any] = _accuracy(weights, task, held, None) if held is not None else {}
    dead, warnings = _dead_layers(weights, task, settings.dead_floor)
    lost = accuracy.pop("lost_classes", [])
    if lost:
        warnings.append(
            f"no test image of class {', '.join(map(str, lost))} is classified correctly"
        )
    for warning in warnings:
        log.warning("WARNING: %s", warning)
    arrays = {name: w.detach().cpu().float().numpy() for name, w in weights.items()}
    return Trained(
        arrays, story.history, accuracy, warnings, dead, lost, "+".join(dict.fromkeys(engines)),
        round(story.elapsed(), 3),
    )  # fmt: skip


def stage_kind(task: Task, settings: Settings) -> type:
    """Return the fastest kind of stage that trains exactly what the recipe asks for."""
    if settings.engine == "fast":
        for kind in (WinnerStage, EndToEndStage):
            if kind.serves(task):
                return kind
    return ReferenceStage


def _open(
    kind: type, task: Task, weights: dict[str, Tensor], layer: int, settings: Settings
) -> Stage:
    why = {
        WinnerStage: "only winners are computed",
        EndToEndStage: "gradients by hand, in blocks",
        ReferenceStage: "plain autograd",
    }
    log.info("%s: %s (%s) on %s", _place(task, layer), kind.__name__, why[kind], task.x.device)
    if kind is WinnerStage:
        return WinnerStage(task, weights, layer, settings.block_size)
    if kind is EndToEndStage:
        return EndToEndStage(task, weights, settings.block_size)
    return ReferenceStage(task, weights, layer)


def _run_stage(
    stage: Stage,
    number: int,
    first: int,
    stages: int,
    task: Task,
    settings: Settings,
    weights: dict[str, Tensor],
    story: _Story,
    save: Callable[[State], None] | None,
    stop: Callable[[], bool],
) -> None:
    epochs = task.recipe.epochs
    began = spoke = saved = time.monotonic()
    for epoch in range(first, epochs):
        measures = stage.epoch(epoch)
        if not math.isfinite(measures.loss):
            raise TrainingError(
                f"{_place(task, stage.layer)}: the loss is {measures.loss} in epoch {epoch + 1}; "
                f"try a learning rate below {task.recipe.learning_rate}."
            )
        now, done = time.monotonic(), epoch + 1
        last = done == epochs
        if last or epoch == 0 or done % settings.record_every == 0:
            row = {"layer": stage.layer, "epoch": done, **asdict(measures)}
            story.history.append({**row, "seconds": round(story.elapsed(), 3)})
        if last or now - spoke >= _STEADY_SECONDS:
            spoke = now
            _tell(stage, number, stages, task, measures, done, (now - began) / (done - first))
        halt = stop()
        late = now - saved >= 60 * settings.checkpoint_minutes
        if save is not None and not last and (halt or late):
            saved = now
            save(_state(stage, number, done, weights, story))
        if halt and not last:
            raise Stopped


def _tell(
    stage: Stage, number: int, stages: int, task: Task, seen: Measures, done: int, pace: float
) -> None:
    epochs = task.recipe.epochs
    left = pace * (epochs - done + epochs * (stages - number - 1))
    extra = ""
    if task.recipe.model != "BP":
        extra = (
            f", goodness {seen.goodness_positive:.3f} / {seen.goodness_negative:.3f}, "
            f"{seen.winners} winners"
        )
    log.info(
        "%s: epoch %d/%d, %.3f s each, %s left, loss %.4f%s",
        _place(task, stage.layer), done, epochs, pace, _clock(left), seen.loss, extra,
    )  # fmt: skip


def _state(
    stage: Stage | None, number: int, epoch: int, weights: dict[str, Tensor], story: _Story
) -> State:
    """Put down where training stands: at an epoch of a stage, or before one (`stage` None)."""
    arrays = {f"weights/{name}": w.detach().cpu().numpy().copy() for name, w in weights.items()}
    for name, value in (stage.state() if stage is not None else {}).items():
        arrays[f"memory/{name}"] = value.detach().cpu().numpy().copy()
    return State(
        arrays,
        {
            "stage": number,
            "epoch": epoch,
            "history": [dict(row) for row in story.history],
            "seconds": story.elapsed(),
        },
    )


def _fit(state: State, weights: dict[str, Tensor]) -> None:
    """Copy a saved state's weights into place."""
    for name, weight in weights.items():
        found = state.arrays.get(f"weights/{name}")
        if found is None or found.shape != tuple(weight.shape):
            raise TrainingError(f"the checkpoint's {name} does not fit the recipe; delete it.")
        weight.copy_(torch.from_numpy(np.array(found)))


def _memory(state: State, device: torch.device) -> dict[str, Tensor]:
    prefix = "memory/"
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(value)).to(device)
        for name, value in state.arrays.items()
        if name.startswith(prefix)
    }


def _accuracy(
    weights: dict[str, Tensor], task: Task, held: Held, layers: int | None, block: int = 2000
) -> dict[str, Any]:
    """Measure how many held images each layer alone and all together classify correctly."""
    nets, alone = [], []
    with torch.inference_mode():
        for start in range(0, len(held.x), block):
            rows = slice(start, start + block)
            net, each = predict(
                weights, task.recipe, held.x[rows], held.on[rows], task.positions, layers
            )
            nets.append(net == held.labels[rows])
            alone.append(each == held.labels[rows])
    right = torch.cat(nets)
    per_layer = torch.cat(alone, dim=1).float().mean(1).tolist()
    present = held.labels.unique().tolist()
    lost = [c for c in present if c != task.held_out and not right[held.labels == c].any()]
    return {
        "network": round(right.float().mean().item(), 6),
        "layers": [round(value, 6) for value in per_layer],
        "lost_classes": lost,
    }


def _dead_layers(
    weights: dict[str, Tensor], task: Task, floor: float
) -> tuple[list[int], list[str]]:
    """Return layers in which no unit exceeds `floor` on any image looked at, and the words."""
    x = task.x[:_LOOKED_AT]
    if task.recipe.model != "BP":
        x = embed(x, task.labels[:_LOOKED_AT], task.on[:_LOOKED_AT], task.positions)
    with torch.inference_mode():
        largest = [float(h.max()) for h in hidden(weights, task.recipe, x)]
    dead = [layer for layer, value in enumerate(largest, 1) if value < floor]
    words = [
        f"layer {layer} is dead: no unit exceeds {floor} (largest: {largest[layer - 1]:.2g})"
        for layer in dead
    ]
    return dead, words


def _place(task: Task, layer: int) -> str:
    return f"{task.recipe.model} layer {layer}" if layer else task.recipe.model


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:d}:{minutes:02d}:{rest:02d}"
