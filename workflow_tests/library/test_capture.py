"""Steps that a GPU records as CUDA graphs, checked without one; and what follows when that fails.

The steps are run on torch's `meta` device, which has shapes and no values, in a mode that refuses
what a CUDA graph cannot hold.
"""

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import torch
from recipes import recipe_of
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ffensembles.engine import capture
from ffensembles.engine.adam import Adam
from ffensembles.engine.batched import BatchedStage
from ffensembles.engine.capture import EAGER_STEPS, DeviceLost, Steps
from ffensembles.models.network import initial_weights
from ffensembles.models.plain import Task
from ffensembles.models.recipe import MODELS, Recipe
from ffensembles.models.spec import MODELS as SPECS

N_LABELS = 4
META = torch.device("meta")
PROTOCOLS = {
    "sigmoid-linf": {"activation": "sigmoid", "goodness": "linf", "normalisation": "linf"},
    "relu-linf": {"activation": "relu", "goodness": "linf", "normalisation": "linf"},
    "relu-l2": {"activation": "relu", "goodness": "l2", "normalisation": "l2"},
    "sigmoid-l1": {"activation": "sigmoid", "goodness": "l1", "normalisation": "l1"},
}
BASE: dict[str, Any] = {"widths": (13, 11, 7), "theta": 1.5, "epochs": 6}


class NotOnGraphError(Exception):
    """A step does what a CUDA graph cannot hold."""


class GraphRules(TorchDispatchMode):
    """Refuse operators that read values on the host, allocate by values, or mix devices."""

    READS = ("_local_scalar_dense", "is_nonzero", "equal", "item")
    ALLOCATES = ("nonzero", "nonzero_numpy", "masked_select", "bincount", "_unique", "_unique2",
                 "unique_dim", "unique_consecutive")  # fmt: skip

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, kwargs = func._schema.name.removeprefix("aten::"), kwargs or {}
        if name in self.READS:
            raise NotOnGraphError(f"{name} reads a value on the host")
        if name in self.ALLOCATES or str(func) == "aten.repeat_interleave.Tensor":
            raise NotOnGraphError(f"{name} allocates by values")
        if name in ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"):
            for index in args[1]:
                if index is not None and index.dtype in (torch.bool, torch.uint8):
                    raise NotOnGraphError(f"{name} with a mask allocates by values")
                if index is not None:
                    self.check(name, [index])
        self.check(name, tree_leaves((args, kwargs)))
        if kwargs.get("device", META) != META and name == "_to_copy":
            raise NotOnGraphError(f"{name} copies to {kwargs['device']}")
        if name == "segment_reduce":  # has no implementation for shapes alone
            data, offsets = args[0], kwargs["offsets"]
            return data.new_empty((len(offsets) - 1, *data.shape[1:]))
        out = func(*args, **kwargs)
        self.check(name, tree_leaves(out))
        return out

    @staticmethod
    def check(name: str, values: list[Any]) -> None:
        """Refuse arrays of other devices; single numbers may come from the host."""
        for value in values:
            if isinstance(value, Tensor) and value.device != META and value.dim():
                raise NotOnGraphError(f"{name} mixes devices: {value.device}")


@pytest.fixture
def like_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tensors of the meta device take the code paths of a GPU."""
    for name in ("adam", "optimizer"):
        module = sys.modules[f"torch.optim.{name}"]
        for kind in ("capturable", "foreach_kernels"):
            function = f"_get_{kind}_supported_devices"
            if hasattr(module, function):
                monkeypatch.setattr(module, function, lambda *a, **k: ["meta", "cuda"])
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda tensor: tensor.device == META))


def recipes() -> Iterator[Recipe]:
    """Return every model by protocol, negatives and batch."""
    negatives = ("once", "each-epoch", "pooled")
    for model, protocol, kind, size in itertools.product(MODELS, PROTOCOLS, negatives, (None, 20)):
        content = {**BASE, **PROTOCOLS[protocol], "negatives": kind, "batch_size": size}
        recipe = recipe_of(model, **content)
        read = recipe.spec.reads_labels  # of the others neither negatives nor norms
        if not read and (kind != "once" or protocol not in ("sigmoid-linf", "relu-l2")):
            continue
        yield recipe
        if not recipe.spec.reads_labels:
            yield recipe.but(l1_penalty=0.01)
        elif kind != "each-epoch":
            yield recipe.but(phases="2-1")
    yield recipe_of("FF", **content, normalise_input=False)
    yield from recipes_later()


def recipes_later() -> Iterator[Recipe]:
    """Return what BP/FF can be compared with, the sum of losses, and permuted labels."""
    for content in PROTOCOLS.values():
        base = recipe_of("BPFF", **BASE, **content, negatives="pooled", batch_size=None)
        objectives = ("mean", "max", "layers", "local")
        yield from (base.but(objective=objective) for objective in objectives)
        yield base.but(loss="sum", batch_size=20)
        yield recipe_of("FF", **BASE, **content, negatives="permuted", batch_size=None, loss="sum")


def later(recipe: Recipe) -> list[str]:
    """Say which attributes that were added later a recipe sets."""
    said = [f"l1-{recipe.l1_penalty}"] if recipe.l1_penalty else []
    said += [recipe.objective] if recipe.objective != "sum" else []
    said += [f"loss-{recipe.loss}"] if recipe.loss != "mean" else []
    return [*said, f"phases-{recipe.phases}"] if any(recipe.steps_of_phases) else said


def name_of(value: Any) -> str:
    if not isinstance(value, Recipe):
        return str(value)
    parts = (value.model, value.activation, value.goodness, value.negatives, value.batch_size)
    return "-".join(map(str, (*parts, *later(value))))


def tasks_of(recipe: Recipe, runs: int, rows: int = 57) -> list[Task]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 30, generator=g)
    x[:, :N_LABELS] = 0
    labels = torch.randint(0, N_LABELS, (rows,), generator=g)
    value = torch.rand(rows, generator=g) + 1.5
    task = Task(recipe, 3, x, labels, value, torch.arange(N_LABELS)[None])
    return [replace(task, seed=seed) for seed in range(runs)]


def stage_of(tasks: list[Task], layer: int, block_size: int = 16) -> BatchedStage:
    """Open a stage on the CPU, its negatives drawn."""
    drawn = [initial_weights(t.recipe, t.seed, t.x.shape[1], N_LABELS) for t in tasks]
    weights = {name: torch.stack([own[name] for own in drawn]) for name in drawn[0]}
    stage = BatchedStage(tasks, weights, layer, block_size)
    stage._draw_negatives(0)
    return stage


def to_meta(value: Any, known: dict[int, Tensor]) -> Any:
    """Return the same thing with every tensor on the meta device; equal tensors stay one."""
    if isinstance(value, Tensor):
        if id(value) not in known:
            known[id(value)] = torch.empty_strided(
                value.shape, value.stride(), dtype=value.dtype, device=META
            )
        return known[id(value)]
    if isinstance(value, dict):
        return {key: to_meta(v, known) for key, v in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(to_meta(v, known) for v in value)
    if is_dataclass(value) and not isinstance(value, (type, Recipe)):
        return replace(value, **{f.name: to_meta(getattr(value, f.name), known)
                                 for f in fields(value) if f.init})  # fmt: skip
    return value


def on_meta(stage: BatchedStage) -> BatchedStage:
    """Move a stage to the meta device."""
    known: dict[int, Tensor] = {}
    apart = ("steps", "adam")
    moved = {k: to_meta(v, known) for k, v in vars(stage).items() if k not in apart}
    vars(stage).update(moved)
    stage.adam = Adam(stage.trained, stage.recipe.learning_rate)
    return stage


def take_steps(stage: BatchedStage) -> None:
    """Take two steps as a graph would hold them."""
    size = stage.recipe.batch_size
    rows = None
    if size is not None:
        rows = torch.zeros((stage.runs, size), dtype=torch.int64, device=META)
    for _ in range(2):
        with GraphRules():
            stage.compute(rows)
            stage.update()


@pytest.mark.slow
@pytest.mark.usefixtures("like_a_gpu")
@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("recipe", list(recipes()), ids=name_of)
def test_every_step_can_be_captured(recipe: Recipe, runs: int):
    for layer in (1, 2) if recipe.spec.layerwise else (0,):
        take_steps(on_meta(stage_of(tasks_of(recipe, runs), layer)))


ON_CPU = torch.zeros(3, dtype=torch.int64)
FAULTS: dict[str, Callable[[BatchedStage], Any]] = {
    "item": lambda stage: stage.seen[0, 0].item(),
    "tolist": lambda stage: stage.seen.tolist(),
    "if": lambda stage: bool(stage.seen.sum() > 0),
    "nonzero": lambda stage: stage.won.nonzero(),
    "unique": lambda stage: stage.won.unique(),
    "masked_select": lambda stage: stage.seen.masked_select(stage.seen > 0),
    "mask": lambda stage: stage.seen[stage.seen > 0],
    "mask assigned": lambda stage: stage.seen.__setitem__(stage.seen > 0, 0),
    "repeats": lambda stage: torch.repeat_interleave(stage.seen[0], stage.won[0, :1].long()),
    "to the host": lambda stage: stage.seen.cpu(),
    "array of the host": lambda stage: stage.seen + torch.zeros(stage.seen.shape),
    "index of the host": lambda stage: stage.seen[ON_CPU],
}


@pytest.mark.usefixtures("like_a_gpu")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("model", MODELS)
def test_a_fault_in_a_step_is_found(model: str, fault: str):
    content = {**BASE, **PROTOCOLS["relu-l2"], "negatives": "once", "batch_size": None}
    recipe = recipe_of(model, **content)
    stage = on_meta(stage_of(tasks_of(recipe, 2), 1 if recipe.spec.layerwise else 0))
    real = stage._add_gradients

    def faulty(own: BatchedStage, rows: Any, n: int) -> None:
        FAULTS[fault](own)
        real(own, rows, n)

    stage._add_gradients = faulty
    with pytest.raises(NotOnGraphError):
        take_steps(stage)


@pytest.mark.usefixtures("like_a_gpu")
def test_adam_that_counts_on_the_host_is_found():
    recipe = next(r for r in recipes() if r.spec.layerwise)
    stage = on_meta(stage_of(tasks_of(recipe, 1), 1))
    stage.adam.capturable = False
    with pytest.raises(NotOnGraphError):
        take_steps(stage)


# Failures, each brought about by a recorder or a step that fails.


def record_as_is(step: Callable[[Tensor | None], None], rows: Tensor | None) -> capture.Replay:
    """Stand in for a CUDA graph: a replay takes the step."""
    return step


def refuse(message: str, kind: type[RuntimeError] = RuntimeError) -> Any:
    def recorder(step: Any, rows: Any) -> capture.Replay:
        raise kind(message)

    return recorder


def trained(
    recorder: Any = None, spoil: Callable[[BatchedStage, int], None] | None = None,
    block_size: int = 16, rows: int = 57, **changes: Any,
) -> tuple[dict[str, Tensor], BatchedStage]:  # fmt: skip
    """Train a stage for ten epochs, its steps recorded; return its weights.

    `spoil` is called before gradients are computed, with how often that was done before.
    """
    content = {**BASE, **PROTOCOLS["relu-l2"], "negatives": "pooled", "batch_size": None}
    recipe = recipe_of("FF", **{**content, **changes})
    stage = stage_of(tasks_of(recipe, 2, rows), 1, block_size)
    calls = itertools.count()

    def gradients(own_rows: Tensor | None) -> None:
        if spoil is not None:
            spoil(stage, next(calls))
        stage.compute(own_rows)

    stage.steps = Steps(gradients, stage.update, torch.device("cpu"), stage._smaller_blocks,
                        capture=recorder is not None, recorder=recorder)  # fmt: skip
    for epoch in range(10):
        stage.epoch(epoch)
    return {name: weight.clone() for name, weight in stage.trained.items()}, stage


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("batch_size", [None, 20])
def test_recorded_steps_are_the_steps(batch_size: int | None):
    plain, _ = trained(batch_size=batch_size)
    recorded, stage = trained(record_as_is, batch_size=batch_size)
    assert same(plain, recorded)
    assert len(stage.steps.replays) == (1 if batch_size is None else 2)  # the last one is smaller
    assert set(stage.steps.replays) == ({-1} if batch_size is None else {20, 17})


@pytest.mark.parametrize(
    ("recorder", "reason"),
    [
        (refuse("operation not permitted when stream is capturing\nmore"), "operation not perm"),
        (refuse("CUDA out of memory", torch.OutOfMemoryError), "memory does not suffice"),
    ],
    ids=["refused", "memory"],
)
def test_training_continues_without_graphs_where_capture_fails(
    recorder: Any, reason: str, caplog: pytest.LogCaptureFixture
):
    plain, _ = trained()
    found, stage = trained(recorder)
    assert same(plain, found)
    assert not stage.steps.capture
    assert caplog.text.count("training continues without them, slower") == 1
    assert reason in caplog.text
    assert "more" not in caplog.text


def fails_once(at: int, kind: type[RuntimeError] = torch.OutOfMemoryError) -> Any:
    def spoil(stage: BatchedStage, call: int) -> None:
        if call == at:
            stage.gradients["layer1.weight"].fill_(7)  # what a broken step leaves
            raise kind("CUDA out of memory. Tried to allocate 2 GiB")

    return spoil


def test_out_of_memory_in_a_later_step_releases_the_graphs_and_repeats_the_step(
    caplog: pytest.LogCaptureFixture,
):
    plain, _ = trained()
    found, stage = trained(record_as_is, fails_once(EAGER_STEPS + 3))
    assert same(plain, found)
    assert not stage.steps.replays
    assert "CUDA graphs are released" in caplog.text


def test_out_of_memory_without_graphs_halves_the_blocks(caplog: pytest.LogCaptureFixture):
    plain, _ = trained(rows=600, block_size=1024)
    found, stage = trained(None, fails_once(4), rows=600, block_size=1024)
    assert stage.block_size == 300
    assert "blocks of 300 presentations" in caplog.text
    for name, weight in plain.items():
        torch.testing.assert_close(found[name], weight, atol=1e-5, rtol=1e-4)


def test_out_of_memory_with_the_smallest_blocks_is_passed_on():
    def always(stage: BatchedStage, call: int) -> None:
        if call > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        trained(record_as_is, always, rows=600, block_size=1024)


def watched_training(*how: Any) -> None:
    with capture.watched(torch.device("cpu")):
        trained(*how)


def lost_after(calls: int) -> Any:
    """Fail from a number of computed gradients on, as a GPU does that is lost."""

    def spoil(stage: BatchedStage, call: int) -> None:
        if call >= calls:
            raise RuntimeError("CUDA error: unspecified launch failure")

    return spoil


@pytest.mark.parametrize("place", ["step", "capture"])
def test_a_lost_device_is_told_from_other_errors(place: str, monkeypatch: pytest.MonkeyPatch):
    error = "CUDA error: unspecified launch failure"
    how: tuple[Any, ...] = (None, fails_once(2, RuntimeError))
    if place == "capture":
        how = (refuse(error), lost_after(EAGER_STEPS))
    else:
        with pytest.raises(RuntimeError, match="Tried to allocate") as other:
            watched_training(*how)  # the device still answers: another error
        assert not isinstance(other.value, DeviceLost)
    monkeypatch.setattr(capture, "answers", lambda device: False)
    with pytest.raises(DeviceLost, match="cpu no longer answers"):
        watched_training(*how)


def test_a_device_that_cannot_compute_does_not_answer():
    assert capture.answers(torch.device("cpu"))
    assert not capture.answers(META)  # has no values


def test_the_registry_has_no_model_that_is_not_tested_here():
    assert {recipe.model for recipe in recipes()} == set(SPECS)
