"""Recorded steps replayed as a GPU replays a CUDA graph: the same operators on the same arrays.

A replay runs none of the step's Python. A value that Python holds, such as a count of steps or the
half of a batch that is learnt from, stays what it was when the step was recorded; an array that is
replaced by a new one is not seen. Such a step would train wrongly on a GPU, and would pass in any
test that runs its Python again. Here every operator is put on a tape and run again from there.
"""

import itertools
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from recipes import recipe_of
from test_capture import BASE, PROTOCOLS, later, recipes_later, tasks_of
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ffensembles.engine import matmul
from ffensembles.engine.batched import BatchedStage
from ffensembles.engine.capture import EAGER_STEPS, Graph, Replay
from ffensembles.models.network import initial_weights
from ffensembles.models.recipe import MODELS, Recipe

EPOCHS = EAGER_STEPS + 6


class Tape(TorchDispatchMode):
    """Records every operator with its arguments, which are arrays at fixed places."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        views = any(one.alias_info and not one.alias_info.is_write for one in func._schema.returns)
        if not views:  # a view is of its array, whatever that holds
            self.calls.append((func, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        """Run all operators again; put their results where the first ones are."""
        for func, args, kwargs, out in self.calls:
            again = func(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old is not new:
                    old.copy_(new)


def taped(stage: BatchedStage) -> Callable[[Callable[[Tensor | None], None], Any], Replay]:
    """Return what records a stage's step on a tape; weights and Adam's state stay as they are."""

    def recorder(step: Callable[[Tensor | None], None], rows: Tensor | None) -> Replay:
        own = None if rows is None else rows.clone()
        kept = [*stage.trained.values(), *stage.state().values()]
        before = [value.clone() for value in kept]
        tape: Any = Tape()
        with tape:
            step(own)
        for value, former in zip(kept, before, strict=True):
            value.copy_(former)
        return Graph(tape, own)

    return recorder


@pytest.fixture
def like_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the CPU take the code paths of a GPU."""
    for name in ("adam", "optimizer"):
        module = sys.modules[f"torch.optim.{name}"]
        for kind in ("capturable", "foreach_kernels"):
            function = f"_get_{kind}_supported_devices"
            if hasattr(module, function):
                monkeypatch.setattr(module, function, lambda *a, **k: ["cpu"])
    monkeypatch.setattr(matmul, "_has_onednn", lambda: False)
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda tensor: True))


def trained(
    recipe: Recipe, replayed: bool, spoil: Callable[[BatchedStage], None] | None = None
) -> tuple[dict[str, Tensor], list[Any]]:
    """Train a stage of two runs for some epochs; return its weights and what was measured."""
    tasks = tasks_of(recipe, 2)
    drawn = [initial_weights(recipe, t.seed, t.x.shape[1], t.n_labels) for t in tasks]
    weights = {name: torch.stack([own[name] for own in drawn]) for name in drawn[0]}
    stage = BatchedStage(tasks, weights, 1 if recipe.spec.layerwise else 0, 16)
    stage.steps.capture, stage.steps.recorder = replayed, taped(stage)
    if spoil is not None:
        spoil(stage)
    seen = [stage.epoch(epoch) for epoch in range(EPOCHS)]
    assert bool(stage.steps.replays) == replayed
    return {name: value.clone() for name, value in stage.trained.items()}, seen


def recipes() -> list[Recipe]:
    """Return every model by protocol, negatives and batch; and what was added later."""
    kinds = ("once", "each-epoch", "pooled")
    every = [
        recipe_of(model, **BASE, **PROTOCOLS[protocol], negatives=kind, batch_size=size)
        for model, protocol, kind, size in itertools.product(
            MODELS, ("sigmoid-linf", "relu-l2"), kinds, (None, 20)
        )
        if not (model == "BP" and kind != "once")
    ]
    phased = [one.but(phases="2-1") for one in every if one.spec.reads_labels]
    sparse = [one.but(l1_penalty=0.01) for one in every if one.model == "BP"]
    return [*every, *phased, *sparse, *recipes_later()]


def name_of(recipe: Recipe) -> str:
    parts = (recipe.model, recipe.goodness, recipe.negatives, recipe.batch_size)
    return "-".join(map(str, (*parts, *later(recipe))))


@pytest.mark.slow
@pytest.mark.usefixtures("like_a_gpu")
@pytest.mark.parametrize("recipe", recipes(), ids=name_of)
def test_a_replayed_step_is_the_step(recipe: Recipe):
    steps, seen = trained(recipe, replayed=False)
    replayed, seen_again = trained(recipe, replayed=True)
    assert repr(seen) == repr(seen_again)  # what BP has none of is not a number
    for name, weight in steps.items():
        assert torch.equal(weight, replayed[name]), name


def counts_in_python(stage: BatchedStage) -> None:
    """Let the step depend on a number that Python counts."""
    real, count = stage.steps.update, itertools.count(1)

    def update() -> None:
        stage.gradients["layer1.bias"].mul_(1 / next(count))
        real()

    stage.steps.update = update


def replaces_an_array(stage: BatchedStage) -> None:
    """Put the negatives of each epoch into a new array."""

    def draw(index: int) -> None:
        drawn = [task.negatives(index) for task in stage.tasks]
        stage.wrong = torch.stack([labels for labels, _ in drawn])

    stage._draw_negatives = draw  # type: ignore[method-assign]


def shares_in_python(stage: BatchedStage) -> None:
    """Hold the half of the data that a step learns from in numbers of Python."""
    real = BatchedStage.dloss_dgoodness

    def dloss_dgoodness(goodness: Tensor, positive: bool, n: int, pooled: Any) -> Tensor:
        shares, stage.shares = stage.shares, stage.shares.tolist()  # type: ignore[union-attr]
        try:
            return real(stage, goodness, positive, n, pooled)
        finally:
            stage.shares = shares

    stage.dloss_dgoodness = dloss_dgoodness  # type: ignore[method-assign]


def counts_adams_steps_in_python(stage: BatchedStage) -> None:
    """Let Adam count its steps on the host, as it does on a CPU."""
    stage.adam.capturable = False


@pytest.mark.usefixtures("like_a_gpu")
@pytest.mark.parametrize(
    "fault",
    [counts_in_python, replaces_an_array, shares_in_python, counts_adams_steps_in_python],
)
def test_a_value_that_a_replay_does_not_see_is_found(fault: Callable[[BatchedStage], None]):
    parameters = {**BASE, **PROTOCOLS["relu-l2"], "negatives": "each-epoch", "phases": "2-1"}
    recipe = recipe_of("FF", **parameters, batch_size=None)
    steps, _ = trained(recipe, False, fault)
    replayed, _ = trained(recipe, True, fault)
    assert not all(torch.equal(weight, replayed[name]) for name, weight in steps.items())
