"""What both benchmarks share: the study's recipes, images, and what a machine can do."""

import gzip
import itertools
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ffensembles.config import load_config
from ffensembles.datasets.labels import blank, label_positions, standardise
from ffensembles.engine.matmul import product
from ffensembles.models.network import initial_weights
from ffensembles.models.plain import Task
from ffensembles.models.recipe import MODELS, Recipe
from ffensembles.runs import Run
from ffensembles.study.grid import Grid

_ROOT = Path(__file__).resolve().parents[1]


def recipes(protocol: str, dataset: str = "mnist") -> dict[str, Recipe]:
    """Return the recipe of each model, as config.yaml states it."""
    grid = Grid(load_config(_ROOT / "config.yaml"))
    return {model: grid.recipe(Run(protocol, dataset, model, None, 0)) for model in MODELS}


PROTOCOLS = {protocol: recipes(protocol) for protocol in ("sigmoid-linf", "relu-l2")}

_MEAN, _STD = 0.1307, 0.3081  # MNIST's
_INK = 0.19  # of MNIST's pixels, so many are not black


def images(n: int) -> tuple[str, np.ndarray, np.ndarray]:
    """Return MNIST's first training images, or random ones of the same density, and labels.

    MNIST is read from the folder that `FFENSEMBLES_DATA` names, if there is one.
    """
    folder = Path(os.environ.get("FFENSEMBLES_DATA", "data")) / "mnist"
    try:
        pixels, labels = (
            np.frombuffer(gzip.decompress((folder / f"train-{name}-ubyte.gz").read_bytes()),
                          np.uint8, offset=offset)
            for name, offset in (("images-idx3", 16), ("labels-idx1", 8))
        )  # fmt: skip
        return "MNIST", pixels.reshape(-1, 1, 28, 28)[:n], labels[:n].astype(np.int64)
    except OSError:
        rng = np.random.default_rng(0)
        ink = rng.random((n, 1, 28, 28), np.float32) < _INK
        grey = rng.integers(1, 256, ink.shape, np.uint8)
        return "random", np.where(ink, grey, 0).astype(np.uint8), rng.integers(0, 10, n)


def task(recipe: Recipe, pixels: np.ndarray, labels: np.ndarray, device: torch.device) -> Task:
    """Return a run on these images."""
    positions = label_positions((1, 28, 28), 10)
    x = standardise(pixels, _MEAN, _STD)
    if recipe.model != "BP":
        x = blank(x, positions)
    on = np.full(len(x), (1 - _MEAN) / _STD, np.float32)
    arrays = (torch.from_numpy(a).to(device) for a in (x, labels, on, positions))
    return Task(recipe, 0, *arrays)


def stacked_weights(tasks: list[Task]) -> dict[str, Tensor]:
    """Return first weights of some runs, (runs, units, inputs)."""
    drawn = [initial_weights(t.recipe, t.seed, t.x.shape[1], t.n_labels) for t in tasks]
    like = tasks[0].x
    return {name: torch.stack([own[name] for own in drawn]).to(like) for name in drawn[0]}


def layers_of(recipe: Recipe) -> list[int]:
    """Return what is trained one after the other: layers from 1, or 0 for the whole net."""
    return list(range(1, len(recipe.widths) + 1)) if recipe.model == "FF" else [0]


def products(recipe: Recipe, layer: int, n: int) -> float:
    """Return the multiply-adds of one plain epoch: forwards, and backwards for every gradient."""
    sides = 1 if recipe.model == "BP" else 2
    sizes = [784, *recipe.widths]
    if recipe.model == "BP":
        sizes.append(10)
    pairs = [a * b for a, b in itertools.pairwise(sizes)]
    if layer:
        return sides * n * 2 * pairs[layer - 1]
    return sides * n * (3 * sum(pairs) - pairs[0])


def pause(device: torch.device) -> None:
    """Wait until a GPU has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(step: Callable[[int], object], times: int, first: int, device: torch.device) -> float:
    """Return the median seconds of a step."""
    seconds = []
    for index in range(first, first + times):
        pause(device)
        began = time.perf_counter()
        step(index)
        pause(device)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def product_peak(device: torch.device, rows: int, seconds: float = 2.0) -> float:
    """Return the measured rate of the float32 matrix product, multiply-adds a second."""
    a, b = torch.randn(rows, 784, device=device), torch.randn(784, 784, device=device)
    best, until = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        took = timed(lambda _: [product(a, b.t()) for _ in range(5)], 1, 0, device)
        best = max(best, 5 * rows * 784 * 784 / took)
    return best


def copy_peak(device: torch.device, seconds: float = 1.0) -> float:
    """Return the measured rate of copying memory, bytes read and written a second."""
    size = 1 << (30 if device.type == "cuda" else 27)
    a, b = (torch.zeros(size // 4, device=device) for _ in range(2))
    best, until = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        best = max(best, 2 * size / timed(lambda _: b.copy_(a), 1, 0, device))
    return best
