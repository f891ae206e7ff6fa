"""Choice of the engine for a recipe, and one interface to all of them."""

import logging
from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from ffensembles.engine import GPU_BLOCKS
from ffensembles.engine.batched import BatchedStage
from ffensembles.engine.silent_stage import SilentStage
from ffensembles.engine.winner_stage import WinnerStage
from ffensembles.models.plain import Measures, PlainStage, Task

log = logging.getLogger(__name__)

Kind = type[BatchedStage] | type[WinnerStage] | type[PlainStage]


_WHY: dict[Kind, str] = {
    WinnerStage: "only winners are computed",
    BatchedStage: "gradients in closed form, in blocks",
    SilentStage: "gradients in closed form, silent units left out",
    PlainStage: "plain autograd",
}


class Stage(Protocol):
    """A layer of FF, or the whole of a net, in training for a block of runs."""

    layer: int

    def epoch(self, index: int) -> list[Measures]:
        """Take every batch once; return what was measured, for each run."""

    def state(self) -> dict[str, Tensor]:
        """Return what is needed beside the weights to continue from here."""

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Load what `state` returned."""

    def close(self) -> None:
        """Free what training needed."""


class Solo:
    """A stage that trains one run only, with the interface of a block of runs."""

    def __init__(self, stage: WinnerStage | PlainStage) -> None:
        self.stage, self.layer = stage, stage.layer
        self.state, self.restore, self.close = stage.state, stage.restore, stage.close

    def epoch(self, index: int) -> list[Measures]:
        """Take every batch once."""
        return [self.stage.epoch(index)]


def stage_kind(task: Task, engine: str) -> Kind:
    """Return the fastest kind of stage that trains exactly what the recipe asks for.

    Parameters
    ----------
    task
        The run.
    engine
        `fast`; `plain` for autograd; `batched` for the engine of GPUs, which a run continues with
        on the CPU after its GPU was lost.

    Raises
    ------
    ValueError
        For another engine.
    """
    named: dict[str, Kind] = {"plain": PlainStage, "batched": BatchedStage}
    engine = "batched"  # a trial
    if engine in named:
        return named[engine]
    if engine != "fast":
        raise ValueError(f"training.engine: found {engine!r}; allowed: fast, plain")
    special: tuple[type[WinnerStage | SilentStage], ...] = (WinnerStage, SilentStage)
    return next((kind for kind in special if kind.serves(task)), BatchedStage)


def takes_many(task: Task, engine: str) -> bool:
    """Whether several runs like this one gain by being trained at once.

    Products of one run fill a CPU; a GPU takes several together.
    """
    return stage_kind(task, engine) is BatchedStage and task.x.is_cuda


def open_stage(
    kind: Kind, tasks: Sequence[Task], weights: dict[str, Tensor], layer: int, block_size: int
) -> Stage:
    """Open a stage for a block of runs, whose weights are stacked: (runs, units, inputs)."""
    log.info("%s: %s (%s) on %s", place(tasks[0], layer), kind.__name__, _WHY[kind],
             tasks[0].x.device)  # fmt: skip
    if issubclass(kind, BatchedStage):
        larger = GPU_BLOCKS if tasks[0].x.is_cuda else 1
        return kind(tasks, weights, layer, larger * block_size)
    (task,) = tasks
    own = {name: stacked[0] for name, stacked in weights.items()}
    if kind is WinnerStage:
        return Solo(WinnerStage(task, own, layer, block_size))
    return Solo(PlainStage(task, own, layer))


def place(task: Task, layer: int) -> str:
    """Name what is being trained, for the log."""
    return f"{task.recipe.model} layer {layer}" if layer else task.recipe.model
