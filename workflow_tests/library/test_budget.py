"""Memory and time of a block: against torch's allocator, and what follows for jobs."""

import gc
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import recipes
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile, record_function

from ffensembles.datasets import DATASETS
from ffensembles.engine import matmul
from ffensembles.engine.batched import BatchedStage
from ffensembles.models.network import initial_weights
from ffensembles.models.plain import Task
from ffensembles.models.recipe import MODELS, Recipe
from ffensembles.training import budget
from ffensembles.training.budget import GPUS, Shape, shape_of

ROOT = Path(__file__).parents[2]
PROTOCOLS = {
    "sigmoid-linf": {"activation": "sigmoid", "goodness": "linf", "normalisation": "linf"},
    "relu-l2": {"activation": "relu", "goodness": "l2", "normalisation": "l2"},
    "sigmoid-l1": {"activation": "sigmoid", "goodness": "l1", "normalisation": "l1"},
}
MNIST = shape_of("mnist")


def recipe_of(model: str, protocol: str = "relu-l2", **changes: Any) -> Recipe:
    small = {"widths": (400, 500, 450), "theta": 1.5, "epochs": 6, "batch_size": None}
    return recipes.recipe_of(model, **{**small, **PROTOCOLS[protocol], **changes})


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


def allocated(recipe: Recipe, shape: Shape, layer: int, runs: int, block_size: int) -> int:
    """Train two steps of a stage; return the most bytes that torch's allocator had given out."""
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        g = torch.Generator().manual_seed(0)
        x = torch.randn(shape.train, shape.pixels, generator=g)
        labels = torch.randint(0, shape.labels, (shape.train,), generator=g)
        value, positions = torch.ones(shape.train), torch.arange(shape.labels)[None]
        task = Task(recipe, 0, x, labels, value, positions)
        drawn = [initial_weights(recipe, s, shape.pixels, shape.labels) for s in range(runs)]
        weights = {name: torch.stack([own[name] for own in drawn]) for name in drawn[0]}
        del drawn
        tasks = [replace(task, seed=seed) for seed in range(runs)]
        stage = BatchedStage(tasks, weights, layer, block_size)
        stage._draw_negatives(0)
        with record_function("STEPS"):
            for _ in range(2):
                size, rows = recipe.batch_size, None
                if size is not None:
                    order = [torch.randperm(shape.train, generator=g)[:size] for _ in tasks]
                    rows = torch.stack(order)
                stage.compute(rows)
                stage.update()
    assert seen.profiler is not None
    events = seen.profiler.kineto_results.events()
    began = next(event.start_ns() for event in events if event.name() == "STEPS")
    changes = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
    now, most = 0, 0
    for when, change in sorted(changes):
        now += change
        most = max(most, now if when >= began else 0)
    return most


CASES = [
    (model, protocol, negatives, batch, layer)
    for model in MODELS
    for protocol in PROTOCOLS
    for negatives in ("once", "pooled")
    for batch in (None, 512)
    for layer in ((1, 2) if model == "FF" else (0,))
    if not (model == "BP" and negatives == "pooled")
]


@pytest.mark.slow
@pytest.mark.usefixtures("like_a_gpu")
@pytest.mark.parametrize(("model", "protocol", "negatives", "batch", "layer"), CASES)
@pytest.mark.parametrize("runs", [1, 3])
def test_bytes_are_those_of_the_allocator(model, protocol, negatives, batch, layer, runs):
    recipe = recipe_of(model, protocol, negatives=negatives, batch_size=batch)
    shape, size = Shape(2000, 0, 300, 10), 1024
    found = allocated(recipe, shape, layer, runs, size)
    computed = budget.kept_bytes(recipe, shape, layer, runs, size)
    computed += budget.passing_bytes(recipe, shape, layer, runs, size)
    assert computed == pytest.approx(found, rel=0.2)


@pytest.mark.slow
@pytest.mark.usefixtures("like_a_gpu")
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("images", "widths"),
    [(1000, (3072, 1024, 512)), (4000, (256, 192, 128))],
    ids=["weights take most", "images take most"],
)
def test_bytes_of_colour_images_and_their_widths(model, images, widths):
    recipe = recipe_of(model, widths=widths, negatives="pooled", batch_size=512)
    shape = Shape(images, 0, 3072, 10)
    for layer in (1, 2) if model == "FF" else (0,):
        found = allocated(recipe, shape, layer, 1, 2048)
        computed = budget.kept_bytes(recipe, shape, layer, 1, 2048)
        computed += budget.passing_bytes(recipe, shape, layer, 1, 2048)
        assert computed == pytest.approx(found, rel=0.2)


@pytest.mark.usefixtures("like_a_gpu")
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("model", "changes"),
    [("BP", {"l1_penalty": 0.01}), ("FF", {"phases": "2-1"}), ("BPFF", {"phases": "2-1"})],
    ids=["penalty", "phases of FF", "phases of BPFF"],
)
def test_bytes_of_what_was_added_later(model, changes, protocol):
    recipe = recipe_of(model, protocol, batch_size=512, negatives="pooled", **changes)
    shape, layer = Shape(2000, 0, 300, 10), 1 if model == "FF" else 0
    found = allocated(recipe, shape, layer, 3, 1024)
    computed = budget.kept_bytes(recipe, shape, layer, 3, 1024)
    computed += budget.passing_bytes(recipe, shape, layer, 3, 1024)
    assert computed == pytest.approx(found, rel=0.2)


@pytest.mark.parametrize("gpu", GPUS)
def test_every_data_set_and_wide_nets_fit(gpu):
    for dataset in DATASETS:
        shape = shape_of(dataset)
        for model in MODELS:
            for widths in ((784,) * 3, (1000,) * 3, (3072,) * 3):
                recipe = recipe_of(model, widths=widths, negatives="pooled", batch_size=2048)
                runs = budget.runs_per_job(recipe, shape, 16, GPUS[gpu])
                taken = budget.block_bytes(recipe, shape, runs)
                assert taken <= budget.USABLE * GPUS[gpu].memory
                more = budget.block_bytes(recipe, shape, runs + 1)
                assert runs == 16 or more > budget.USABLE * GPUS[gpu].memory


def test_svhn_counts_all_of_its_images():
    assert shape_of("svhn") == Shape(73_257, 26_032, 3072, 10)
    assert shape_of("svhn", {"train_images": 100, "test_images": None}).train == 100


def test_more_runs_take_more_and_a_faster_gpu_less_time():
    recipe = recipe_of("FF", widths=(1000,) * 3)
    sizes = [budget.block_bytes(recipe, MNIST, runs) for runs in (1, 2, 4)]
    assert sizes[2] - sizes[1] == pytest.approx(2 * (sizes[1] - sizes[0]), rel=1e-6)
    times = [budget.seconds(recipe, MNIST, 1, gpu) for gpu in GPUS.values()]
    assert times[0] > times[1] >= times[2]


@settings(deadline=None, max_examples=40)
@given(
    model=st.sampled_from(MODELS), runs=st.integers(1, 16), gpu=st.sampled_from(sorted(GPUS)),
    width=st.integers(10, 3072), batch=st.none() | st.integers(16, 4096),
)  # fmt: skip
def test_jobs_ask_for_something_that_can_be(model, runs, gpu, width, batch):
    recipe = recipe_of(model, widths=(width, width), batch_size=batch, epochs=100)
    asked = budget.resources(recipe, MNIST, runs, GPUS[gpu])
    assert asked["mem_mb"] <= 64_000
    together = budget.runs_per_job(recipe, MNIST, runs, GPUS[gpu])
    least = runs // together * budget.seconds(recipe, MNIST, together, GPUS[gpu]) / 60
    assert asked["runtime"] > least


def test_a_jobs_memory_by_hand():
    """3 GB; images as floats twice and as bytes; weights four times, and two copies of a state."""
    recipe = recipe_of("FF", widths=(3000,))  # one layer: weights and both of Adam's means
    asked = budget.resources(recipe, Shape(1000, 0, 3000, 10), 10, GPUS["A100"])
    by_hand = 3e9 + 1000 * 3000 * 9 + (4 + 2 * 3) * 10 * 3000 * 3001 * 4
    assert asked["mem_mb"] == math.ceil(by_hand / 1e8) * 100


def test_a_jobs_time_is_that_of_its_runs_with_a_margin():
    """Where memory takes all runs at once, three times the computed time and ten minutes more."""
    recipe = recipes.recipe_of("FF", "relu-l2")
    for runs in (1, 5):
        computed = budget.seconds(recipe, MNIST, runs, GPUS["A100"])
        asked = budget.resources(recipe, MNIST, runs, GPUS["A100"])
        assert 3 * computed / 60 + 10 <= asked["runtime"] < 3 * computed / 60 + 11
    # where it takes two of five, they train in three parts
    small = replace(GPUS["A100"], memory=budget.block_bytes(recipe, MNIST, 2) / budget.USABLE)
    assert budget.runs_per_job(recipe, MNIST, 5, small) == 2
    computed = 3 * budget.seconds(recipe, MNIST, 2, small)
    asked = budget.resources(recipe, MNIST, 5, small)
    assert 3 * computed / 60 + 10 <= asked["runtime"] < 3 * computed / 60 + 11


def test_operations_of_a_layer_by_hand():
    # one layer of FF, l2, paired: the images' product, and the summed gradients', 2 N I U each
    recipe = recipe_of("FF", widths=(50,))
    shape = Shape(100, 0, 30, 10)
    operations, _ = budget.epoch_costs(recipe, shape, 1, 3, 2048)
    assert operations == 3 * 2 * (2 * 100 * 30 * 50)
    linf = recipe_of("FF", "sigmoid-linf", widths=(50,))
    operations, _ = budget.epoch_costs(linf, shape, 1, 1, 2048)
    assert operations == 2 * 100 * 30 * 50  # winners' rows are no product


def test_the_budget_is_computed_without_torch():
    code = (
        "import sys; from ffensembles.training.budget import *; shape_of('mnist');"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"
