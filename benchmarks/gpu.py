"""The engine on a GPU: is it exact, how fast, and how near to what the machine can do.

    python benchmarks/gpu.py --out gpu.json                  # at most 8 minutes
    python benchmarks/gpu.py --device cpu --images 2000 --runs 1 2 --minutes 2

Needs Python, torch, numpy and xarray, and this folder; no installation and no Snakemake. Images
are MNIST's where `FFENSEMBLES_DATA` names a folder that has them, else random ones of the same
density. It prints one table and writes the same numbers as JSON:

1. exactness: gradients of every model and protocol against plain autograd, in float64 and float32,
   and weights after a few epochs; a seed's bits twice, and inside a block and alone;
2. seconds per epoch and run of every model and protocol, for blocks of 1 to 16 runs, beside the
   plain implementation and the roofline (measured float32 peak and copy bandwidth);
3. seconds that a whole run takes at the protocol's number of epochs, and memory.

Where time runs out, what is left is named as skipped.
"""

import argparse
import json
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from common import (
    PROTOCOLS,
    copy_peak,
    images,
    layers_of,
    product_peak,
    products,
    stacked_weights,
    task,
    timed,
)

from ffensembles.engine.batched import BatchedStage
from ffensembles.engine.stages import open_stage
from ffensembles.models.plain import PlainStage, Task
from ffensembles.models.recipe import Recipe
from ffensembles.training import devices


def train(tasks: list[Task], epochs: int, block_size: int) -> dict[str, torch.Tensor]:
    """Train a block for some epochs of every layer; return its weights."""
    weights = stacked_weights(tasks)
    for layer in layers_of(tasks[0].recipe):
        stage = BatchedStage(tasks, weights, layer, block_size)
        for index in range(epochs):
            stage.epoch(index)
        stage.close()
    return weights


def train_plainly(run: Task, epochs: int) -> dict[str, torch.Tensor]:
    """Do the same by plain autograd, for one run."""
    weights = {name: w[0] for name, w in stacked_weights([run]).items()}
    for layer in layers_of(run.recipe):
        stage = PlainStage(run, weights, layer)
        for index in range(epochs):
            stage.epoch(index)
        stage.close()
    return weights


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Return the largest difference between two nets' weights."""
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def exactness(recipe: Recipe, data: Any, device: torch.device) -> dict[str, Any]:
    """Compare with plain autograd on few images, in both precisions."""
    pixels, labels = data[0][:600], data[1][:600]
    found: dict[str, Any] = {}
    for dtype, epochs in ((torch.float64, 3), (torch.float32, 3)):
        run = task(recipe, pixels, labels, device)
        run = replace(run, x=run.x.to(dtype), label_value=run.label_value.to(dtype))
        tasks = [replace(run, seed=seed) for seed in (0, 1, 2)]
        block = train(tasks, epochs, 512)
        plain = train_plainly(tasks[1], epochs)
        again = train(tasks, epochs, 512)
        alone = train(tasks[1:2], epochs, 512)
        name = str(dtype).removeprefix("torch.")
        second = {key: w[1] for key, w in block.items()}
        found[name] = {
            "epochs": epochs,
            "largest_difference_to_autograd": furthest(second, plain),
            "in_a_block_and_alone": furthest(second, {key: w[0] for key, w in alone.items()}),
            "same_bits_twice": all(torch.equal(block[key], again[key]) for key in block),
        }
    return found


def measure(
    recipe: Recipe, data: Any, device: torch.device, runs: int, epochs: int
) -> dict[str, Any]:
    """Time the epochs of every layer for a block of runs."""
    tasks = [replace(task(recipe, *data, device), seed=seed) for seed in range(runs)]
    tasks = [
        replace(other, x=tasks[0].x, label_value=tasks[0].label_value, labels=tasks[0].labels)
        for other in tasks
    ]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    weights, seconds = stacked_weights(tasks), {}
    for layer in layers_of(recipe):
        began = time.perf_counter()
        stage = open_stage(BatchedStage, tasks, weights, layer, 2048)
        for index in range(5):  # the first compute eagerly, then a graph is captured
            stage.epoch(index)
        opening = time.perf_counter() - began
        seconds[str(layer)] = {"epoch": timed(stage.epoch, epochs, 5, device), "opening": opening}
        stage.close()
        del stage
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {"layers": seconds, "memory": memory}


RECIPES = [(p, m, r) for p, models in PROTOCOLS.items() for m, r in models.items()]


def report_exactness(data: Any, device: torch.device) -> dict[str, Any]:
    """Compare every model and protocol with plain autograd; print a table."""
    print("| protocol | model | float64 to autograd | float32 to autograd | same bits twice |")
    print("|---|---|---|---|---|")
    report = {}
    for protocol, model, recipe in RECIPES:
        found = exactness(
            recipe.but(batch_size=None if recipe.batch_size is None else 256), data, device
        )
        report[f"{protocol}/{model}"] = found
        bits = all(each["same_bits_twice"] for each in found.values())
        double, single = (
            found[name]["largest_difference_to_autograd"] for name in ("float64", "float32")
        )
        print(f"| {protocol} | {model} | {double:.1e} | {single:.1e} | {bits} |", flush=True)
    return report


def report_speed(
    data: Any, device: torch.device, options: argparse.Namespace, ends: float, peak: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Time every model, protocol and size of block; print a table; return it and what was left."""
    print("\n| protocol | model | runs | ms/epoch and run, by layer | whole run, s "
          "| plain, by layer | ratio | share of peak | memory, GB |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|")
    speed: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    for protocol, model, recipe in RECIPES:
        plain = plain_seconds(recipe, data, device, ends)
        for runs in options.runs:
            what = {"protocol": protocol, "model": model, "runs": runs}
            if time.monotonic() > ends:
                skipped.append({**what, "why": "no time"})
                continue
            try:
                found = measure(recipe, data, device, runs, options.epochs)
            except torch.OutOfMemoryError:
                skipped.append({**what, "why": "out of memory"})
                torch.cuda.empty_cache()
                continue
            each = {k: v["epoch"] / runs for k, v in found["layers"].items()}
            opening = sum(v["opening"] for v in found["layers"].values()) / runs
            work = sum(products(recipe, layer, len(data[1])) for layer in layers_of(recipe))
            row = {
                **what,
                **found,
                "plain_epoch": plain,
                "whole_run_seconds": recipe.epochs * sum(each.values()) + opening,
                "ratio_to_plain": sum(plain.values()) / sum(each.values()),
                "share_of_product_peak": work / sum(each.values()) / peak,
            }
            speed.append(row)
            memory = "" if found["memory"] is None else f"{found['memory'] / 1e9:.1f}"
            print(f"| {protocol} | {model} | {runs} | {milliseconds(each)} "
                  f"| {row['whole_run_seconds']:.1f} | {milliseconds(plain)} "
                  f"| {row['ratio_to_plain']:.1f} | {row['share_of_product_peak']:.0%} "
                  f"| {memory} |", flush=True)  # fmt: skip
    return speed, skipped


def plain_seconds(recipe: Recipe, data: Any, device: torch.device, ends: float) -> dict[str, float]:
    """Time plain autograd for one run, every layer."""
    seconds = {}
    for layer in layers_of(recipe):
        if time.monotonic() > ends:
            break
        run = task(recipe, *data, device)
        own = {name: w[0] for name, w in stacked_weights([run]).items()}
        stage = PlainStage(run, own, layer)
        stage.epoch(0)
        seconds[str(layer)] = timed(stage.epoch, 3 if device.type == "cuda" else 1, 1, device)
    return seconds


def main() -> None:
    """Measure all that time allows; print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--precision", default="float32", choices=["float32", "tf32", "bf16"])
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    options = parser.parse_args()
    ends = time.monotonic() + 60 * options.minutes
    device = devices.choose(options.device, torch.get_num_threads())
    kind, *data = images(options.images)
    peak = product_peak(device, 60_000 if device.type == "cuda" else 2048)
    report = {
        "device": devices.describe(device),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "images": f"{len(data[1])} {kind}",
        "precision": options.precision,
        "product_peak": peak,
        "copy_peak": copy_peak(device),
    }
    print(f"{report['device']}, torch {torch.__version__}; {report['images']} images")
    copied = report["copy_peak"]
    print(f"float32 product {2 * peak / 1e12:.2f} TFLOP/s, copy {copied / 1e9:.0f} GB/s\n")
    report["exactness"] = report_exactness(data, device)
    with devices.precision(options.precision):
        report["speed"], report["skipped"] = report_speed(data, device, options, ends, peak)
    for what in report["skipped"]:
        print("skipped:", what)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    print(f"\nwritten: {options.out}")


def milliseconds(seconds: dict[str, float]) -> str:
    """Write seconds by layer as milliseconds."""
    return " / ".join(f"{1000 * value:.1f}" for value in seconds.values())


if __name__ == "__main__":
    main()
