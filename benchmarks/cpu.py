"""Epoch times of the engine beside the plain reference, in one run, on the same data and state.

    python benchmarks/cpu.py                       # 60,000 images, every layer and model
    python benchmarks/cpu.py --images 6000 --warm-up 10 --epochs 3 --reference-epochs 1
    python benchmarks/cpu.py --weights run/weights.safetensors   # in the state of a trained net

Images are MNIST's where `FFENSEMBLES_DATA` names a folder or `data/` has them, else random ones
of the same density. A layer is warmed up by some epochs of the engine (or starts from the given
weights), so that both are timed in a state that training really is in. The share of the peak says
how many multiply-adds of the *plain* algorithm the engine gets through per second, over the
processor's measured float32 peak: above 100 % it does less than the plain algorithm would.
"""

import argparse
import resource
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from ffensembles.datasets.prepare import Presentations, prepare
from ffensembles.engine import Settings, devices
from ffensembles.engine.training import stage_kind
from ffensembles.errors import DataError
from ffensembles.models.network import initial_weights
from ffensembles.models.reference import ReferenceStage, Task
from ffensembles.recipe import Recipe

FF = Recipe(
    model="FF",
    widths=(784, 784, 784),
    activation="sigmoid",
    goodness="linf",
    normalisation="linf",
    normalise_input=True,
    label_value="dataset",
    prediction="goodness",
    negatives="once",
    held_out_negatives="exclude",
    theta=0.5,
    learning_rate=0.01,
    epochs=1000,
    batch_size=None,
)
BPFF = FF.but(model="BPFF", theta=1.5)


def images(n: int, source: str | None) -> tuple[str, Presentations]:
    """Return MNIST's first training images if they are at hand, random ones otherwise."""
    data = {
        "standardisation": "mnist",
        "source": source,
        "folder": "data",
        "train_images": None if n == 60_000 else n,
        "split_seed": 0,
    }
    try:
        return "MNIST", prepare("mnist", "train", FF, data)
    except DataError as error:
        print(f"random images, since {error}")
    rng = np.random.default_rng(0)
    x = np.where(rng.random((n, 784)) < 0.19, rng.random((n, 784)), 0)  # a fifth of MNIST is ink
    x = ((x - 0.1307) / 0.3081).astype(np.float32)
    x[:, :10] = 0
    on = np.full(n, 2.82, np.float32)
    labels = rng.integers(0, 10, n)
    return "random", Presentations(x, labels, np.arange(n), on, np.arange(10)[None])


def peak(rows: int = 2048, seconds: float = 2.0) -> float:
    """Return the float32 matrix product's rate in cache-sized blocks, multiply-adds a second."""
    a, b = torch.randn(rows, 784), torch.randn(784, 784)
    out, best, until = torch.empty(rows, 784), 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        for _ in range(5):
            torch.mm(a, b.t(), out=out)
        best = max(best, 5 * rows * 784 * 784 / (time.perf_counter() - began))
    return best


def timed(stage: object, epochs: int, first: int) -> float:
    """Return the median time of some epochs."""
    times = []
    for index in range(first, first + epochs):
        began = time.perf_counter()
        stage.epoch(index)  # type: ignore[attr-defined]
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def work(recipe: Recipe, n: int, layer: int) -> float:
    """Return the multiply-adds of one plain epoch: forwards, and backwards for every gradient."""
    one = 2 * n * 784 * 784
    if layer:
        return 2 * one  # forwards, weights
    return (3 + 3 + 2) * one  # forwards, weights, inputs of layers 2 and 3


def main() -> None:
    """Time everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--warm-up", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--reference-epochs", type=int, default=2)
    parser.add_argument("--weights", type=Path, help="a trained FF run's weights.safetensors")
    parser.add_argument("--models", nargs="+", default=["FF", "BPFF"])
    options = parser.parse_args()
    device = devices.choose("cpu", options.threads)
    kind, data = images(options.images, None)
    top = peak()
    print(
        f"{len(data.labels)} {kind} images, {options.threads} threads, {devices.describe(device)}"
    )
    print(f"peak of the float32 matrix product: {2 * top / 1e9:.0f} GFLOP/s\n")
    print("| model | layer | engine | engine s/epoch | plain s/epoch | ratio | share of peak |")
    print("|---|---|---|---|---|---|---|")
    totals = [0.0, 0.0]
    for recipe in (FF, BPFF):
        if recipe.model not in options.models:
            continue
        task = devices.task(data, recipe, 0, None, device)
        weights = initial_weights(recipe, 0, 784, 10)
        if options.weights and recipe.model == "FF":
            weights = {name: w.clone() for name, w in load_file(options.weights).items()}
        for layer in (1, 2, 3) if recipe.model == "FF" else (0,):
            stage = open_stage(stage_kind(task, Settings()), task, weights, layer)
            for index in range(options.warm_up):
                stage.epoch(index)  # type: ignore[attr-defined]
            fast = timed(stage, options.epochs, options.warm_up)
            name = type(stage).__name__
            del stage
            plain_weights = {key: w.clone() for key, w in weights.items()}
            plain = timed(ReferenceStage(task, plain_weights, layer), options.reference_epochs, 0)
            del plain_weights
            share = work(recipe, len(data.labels), layer) / fast / top
            print(
                f"| {recipe.model} | {layer or 'all'} | {name} | {fast:.3f} | {plain:.3f} "
                f"| {plain / fast:.1f} | {share:.0%} |",
                flush=True,
            )
            if layer:
                totals = [totals[0] + fast, totals[1] + plain]
    if totals[0]:
        print(
            f"| FF | 1 to 3 | | {totals[0]:.3f} | {totals[1]:.3f} | {totals[1] / totals[0]:.1f} | |"
        )
    print(f"\npeak memory of this process, reference included: {memory():.2f} GB")


def open_stage(kind: type, task: Task, weights: dict[str, torch.Tensor], layer: int) -> object:
    """Open a stage of whatever kind."""
    return kind(task, weights, layer) if layer else kind(task, weights)


def memory() -> float:
    """Return this process's largest resident memory, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
