"""Check a machine before a study is trained on it.

    python -m ffensembles.training.check                # the GPU if there is one, else the CPU
    python -m ffensembles.training.check --device cpu   # in less than a minute

Takes steps of every model on the device and compares them with plain autograd on the CPU, captures
and replays them, trains twice and compares the bits, and times a block against the roofline that it
measures. Prints a table that ends in `ready`, or in what is wrong and what to set. The exit status
is 0 if the machine is ready.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from ffensembles.engine import GPU_BLOCKS, matmul
from ffensembles.engine.batched import BatchedStage
from ffensembles.engine.capture import EAGER_STEPS
from ffensembles.engine.stages import open_stage, stage_kind
from ffensembles.errors import FFEnsemblesError
from ffensembles.models.network import initial_weights
from ffensembles.models.plain import PlainStage, Task
from ffensembles.models.recipe import Recipe
from ffensembles.models.spec import MODELS
from ffensembles.runtime.random import random_stream
from ffensembles.training import budget, devices

Verdict = Literal["ok", "slow", "wrong", "-"]

SLOW = 2.0
"""A block should take no longer than so many times the roofline's time."""

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
"""Largest difference from plain autograd, as a share of the largest gradient."""

REPLAY = 1e-5
"""Largest mean difference of weights that steps with and without graphs may lead to."""

MEMORY = 0.2
"""By how much memory may differ from the computed one."""

N_LABELS = 10
PROTOCOLS: dict[str, dict[str, Any]] = {
    "sigmoid-linf": {
        "activation": "sigmoid", "goodness": "linf", "normalisation": "linf", "negatives": "once",
        "theta": 0.5,
    },
    "sigmoid-linf, pooled": {
        "activation": "sigmoid", "goodness": "linf", "normalisation": "linf",
        "negatives": "pooled", "theta": 0.5,
    },
    "relu-l2": {
        "activation": "relu", "goodness": "l2", "normalisation": "l2", "negatives": "pooled",
        "theta": 3.0,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """One row of the table.

    Attributes
    ----------
    check, found
        What was looked at, and what was found.
    verdict
        `ok`; `slow`, which is no obstacle; `wrong`; `-` where there is nothing to compare.
    advice
        What to set, where the verdict is `wrong` or `slow`.
    """

    check: str
    found: str
    verdict: Verdict = "ok"
    advice: str = ""


def recipe_of(model: str, protocol: str, **changes: Any) -> Recipe:
    """Return a small recipe of a model."""
    content = {
        "model": model, "widths": (96, 64, 48), "normalise_input": True, "label_value": "dataset",
        "prediction": "goodness", "held_out_negatives": "exclude", "learning_rate": 0.01,
        "epochs": 6, "batch_size": None, **PROTOCOLS[protocol],
    }  # fmt: skip
    return Recipe.from_json({**content, **changes})


def tasks_of(
    recipe: Recipe,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    runs: int = 1,
    images: int = 600,
    pixels: int = 144,
) -> list[Task]:
    """Return runs on random images, which share them."""
    stream = random_stream(0, "check", 0)
    drawn = stream.standard_normal((images, pixels))
    if recipe.spec.reads_labels:
        drawn[:, :N_LABELS] = 0
    x = torch.from_numpy(drawn).to(device, dtype)
    labels = torch.from_numpy(stream.integers(0, N_LABELS, images)).to(device)
    value = torch.full((images,), 2.5, dtype=dtype, device=device)
    positions = torch.arange(N_LABELS, device=device)[None]
    task = Task(recipe, 0, x, labels, value, positions)
    return [replace(task, seed=seed) for seed in range(runs)]


def weights_of(tasks: Sequence[Task]) -> dict[str, Tensor]:
    """Return the runs' first weights, stacked."""
    drawn = [initial_weights(t.recipe, t.seed, t.x.shape[1], N_LABELS) for t in tasks]
    x = tasks[0].x
    return {name: torch.stack([own[name] for own in drawn]).to(x.device, x.dtype)
            for name in drawn[0]}  # fmt: skip


def first_gradients(
    kind: Any, recipe: Recipe, layer: int, device: torch.device, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Return the gradients of a stage's first step, on the CPU, from Adam's first mean."""
    tasks = tasks_of(recipe, device, dtype)
    stage = open_stage(kind, tasks, weights_of(tasks), layer, block_size=256)
    stage.epoch(0)
    means = {
        key.removesuffix(".exp_avg").removeprefix(f"layer{layer}."): value.cpu().squeeze(0)
        for key, value in stage.state().items()
        if key.endswith(".exp_avg")
    }
    stage.close()
    return means


def largest(values: Iterable[float]) -> float:
    """Return the largest value; if one is not a number, that, which Python's `max` may skip."""
    return float(torch.tensor(list(values), dtype=torch.float64).max())


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the largest difference as a share of the largest number, of all arrays."""
    return largest(
        float((one[name] - value).abs().max() / value.abs().max().clamp_min(1e-30))
        for name, value in other.items()
    )


def check_devices(device: torch.device) -> Iterable[Finding]:
    """Name the devices."""
    yield Finding("torch", f"{torch.__version__}, CUDA {torch.version.cuda or 'not built in'}", "-")
    yield Finding("device", devices.describe(device), "-")
    for index in range(torch.cuda.device_count()):
        free, total = (size / 1e9 for size in torch.cuda.mem_get_info(index))
        name = torch.cuda.get_device_name(index)
        yield Finding(f"GPU {index}", f"{name}, {free:.0f} of {total:.0f} GB free", "-")


def check_steps(device: torch.device) -> Iterable[Finding]:
    """Compare the first step of every stage with plain autograd on the CPU."""
    cpu = torch.device("cpu")
    for dtype, limit in TOLERANCE.items():
        for model in MODELS:
            shares = {}
            for protocol in PROTOCOLS:
                recipe = recipe_of(model, protocol)
                for layer in (1, 2) if recipe.spec.layerwise else (0,):
                    plain = first_gradients(PlainStage, recipe, layer, cpu, dtype)
                    task = tasks_of(recipe, device, dtype)[0]
                    for kind in {BatchedStage, PlainStage, stage_kind(task, "fast")}:
                        if kind is PlainStage and device == cpu:
                            continue
                        ours = first_gradients(kind, recipe, layer, device, dtype)
                        shares[f"{protocol}, {kind.__name__}"] = difference(ours, plain)
            worst = largest(shares.values())
            where = next(name for name, share in shares.items() if not share < worst)
            name = str(dtype).removeprefix("torch.")
            found = f"gradients differ by {worst:.1e} of the largest ({where})"
            right = worst <= limit
            yield Finding(
                f"{MODELS[model].title}, {name}", found, "ok" if right else "wrong",
                "" if right else "training.engine: plain",
            )  # fmt: skip


def trained(device: torch.device, recipe: Recipe, capture: bool) -> tuple[list[Tensor], bool]:
    """Train a block of two runs for some epochs; return its weights, and whether it captured."""
    tasks = tasks_of(recipe, device, runs=2)
    stage = BatchedStage(tasks, weights_of(tasks), 1 if recipe.spec.layerwise else 0, 256)
    stage.steps.capture = capture
    for epoch in range(EAGER_STEPS + 5):
        stage.epoch(epoch)
    captured = bool(stage.steps.replays)
    found = [weight.cpu().clone() for weight in stage.trained.values()]
    stage.close()
    return found, captured


def check_capture(device: torch.device) -> Iterable[Finding]:
    """Compare captured steps with the same steps taken one kernel after another."""
    if device.type != "cuda":
        yield Finding("CUDA graphs", "none on a CPU", "-")
        return
    for model in MODELS:
        apart, refused = [0.0], 0
        for protocol in PROTOCOLS:
            for size in (None, 250):  # 600 images: the last batch is a smaller one
                recipe = recipe_of(model, protocol, batch_size=size)
                replayed, captured = trained(device, recipe, True)
                eager, _ = trained(device, recipe, False)
                refused += not captured
                pairs = zip(replayed, eager, strict=True)
                apart += [float((one - other).abs().mean()) for one, other in pairs]
        worst = largest(apart)
        name = f"{MODELS[model].title}, CUDA graphs"
        if not worst <= REPLAY:
            found = f"replayed weights differ by {worst:.1e} on average"
            yield Finding(name, found, "wrong", "training.engine: plain")
        elif refused:
            found = f"refused {refused} times, see the log; training works without them"
            yield Finding(name, found, "slow", "a newer torch or driver")
        else:
            bits = "same bits as without" if worst == 0 else f"{worst:.1e} from those without"
            yield Finding(name, f"captured and replayed, {bits}")


def check_bits(device: torch.device) -> Iterable[Finding]:
    """Train twice and compare every bit."""
    for model in MODELS:
        same = True
        for protocol in PROTOCOLS:
            recipe = recipe_of(model, protocol, batch_size=250)
            (one, _), (other, _) = (trained(device, recipe, device.type == "cuda") for _ in "12")
            same &= all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
        found = "same bits" if same else "other bits: a seed does not fix the result"
        yield Finding(
            f"{MODELS[model].title}, trained twice", found, "ok" if same else "wrong",
            "" if same else "training.device: cpu, or accept that results are not repeatable",
        )  # fmt: skip


def seconds_of(call: Callable[[], Any], device: torch.device, times: int) -> float:
    """Return the least of some timings of a call, after one that is not counted."""
    found = []
    for _ in range(times + 1):
        began = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append(time.perf_counter() - began)
    return min(found[1:])


def measured(device: torch.device) -> budget.Gpu:
    """Measure a device's copy bandwidth and its peak of float32 products."""
    large = device.type == "cuda"
    n = 1 << (28 if large else 24)
    source = torch.ones(n // 4, device=device)
    target = torch.empty_like(source)
    bandwidth = 2 * n / seconds_of(lambda: target.copy_(source), device, 5)
    side = 8192 if large else 1024
    a, b = (torch.ones(side, side, device=device) for _ in range(2))
    peak = 2 * side**3 / seconds_of(lambda: matmul.product(a, b), device, 3)
    memory = torch.cuda.mem_get_info(device)[1] if large else 0.0
    return budget.Gpu(devices.describe(device), memory, bandwidth, peak)


def check_speed(device: torch.device) -> Iterable[Finding]:
    """Time an epoch of a block against the roofline measured on the same device."""
    large = device.type == "cuda"
    gpu = measured(device)
    yield Finding("copy bandwidth", f"{gpu.bandwidth / 1e9:,.0f} GB/s", "-")
    yield Finding("float32 products", f"{gpu.peak / 1e12:,.2f} TFLOP/s", "-")
    images, pixels, width, runs = (30_000, 784, 1000, 4) if large else (1500, 784, 300, 1)
    for model in MODELS:
        recipe = recipe_of(model, "relu-l2", widths=(width,) * 3)
        layer = 2 if recipe.spec.layerwise else 0
        tasks = tasks_of(recipe, device, runs=runs, images=images, pixels=pixels)
        size = 2048 * (GPU_BLOCKS if large else 1)
        if large:
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
        stage = BatchedStage(tasks, weights_of(tasks), layer, size)
        for epoch in range(EAGER_STEPS + 1 if large else 1):
            stage.epoch(epoch)
        taken = seconds_of(partial(stage.epoch, EAGER_STEPS + 1), device, 3)
        shape = budget.Shape(images, 0, pixels, N_LABELS)
        operations, traffic = budget.epoch_costs(recipe, shape, layer, runs, size)
        ideal = max(operations / gpu.peak, traffic / gpu.bandwidth)
        found = f"{taken:.2g} s an epoch of {runs} run{'s' * (runs > 1)}, {taken / ideal:.1f} times"
        slow = large and taken > SLOW * ideal
        yield Finding(
            f"{MODELS[model].title}, speed", f"{found} the roofline's", "slow" if slow else "ok",
            "benchmarks/gpu.py shows where the time goes" if slow else "",
        )  # fmt: skip
        if large:
            yield _memory(
                device, before, budget.stage_bytes(recipe, shape, layer, runs, size), model
            )
        stage.close()


def _memory(device: torch.device, before: int, computed: float, model: str) -> Finding:
    """Compare the memory that a block took with the computed one."""
    taken = torch.cuda.max_memory_allocated(device) - before
    right = taken <= (1 + MEMORY) * computed
    return Finding(
        f"{MODELS[model].title}, memory", f"{taken / 1e9:.2f} GB, computed {computed / 1e9:.2f} GB",
        "ok" if right else "wrong", "" if right else "a lower training.runs_per_job",
    )  # fmt: skip


CHECKS = (check_devices, check_steps, check_capture, check_bits, check_speed)


def check(device: torch.device) -> list[Finding]:
    """Make all checks; one that fails is a finding, and the others are made."""
    findings: list[Finding] = []
    for each in CHECKS:
        name = each.__name__.removeprefix("check_")
        try:
            findings += each(device)
        except torch.OutOfMemoryError as error:
            text = str(error).splitlines()[0]
            findings.append(Finding(name, text, "wrong", "a lower training.block_size"))
        except (RuntimeError, FFEnsemblesError) as error:
            text = (str(error).splitlines() or [type(error).__name__])[0]
            findings.append(Finding(name, text, "wrong", "training.engine: plain; if it still "
                                    "fails, training.device: cpu"))  # fmt: skip
    return findings


def table(findings: Sequence[Finding]) -> str:
    """Write findings as a table; its last line says whether the machine is ready."""
    rows = [(f.check, f.found, f.verdict) for f in findings]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows]
    wrong = [f for f in findings if f.verdict == "wrong"]
    slow = [f for f in findings if f.verdict == "slow"]
    lines += [f"slower than it could be: {f.check}: {f.found}. See {f.advice}." for f in slow]
    lines += [f"wrong: {f.check}: {f.found}. Set {f.advice}." for f in wrong]
    return "\n".join([*lines, "not ready" if wrong else "ready"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a device and print the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m ffensembles.training.check",
        description="Check a machine before a study is trained on it.",
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args(arguments)
    try:
        device = devices.choose(options.device, options.threads)
    except FFEnsemblesError as error:
        print(f"wrong: {error}\nnot ready")
        return 1
    findings = check(device)
    print(table(findings))
    return int(any(finding.verdict == "wrong" for finding in findings))


if __name__ == "__main__":
    raise SystemExit(main())
