"""Memory and time of a block of runs on a GPU, computed from the recipe and the data's shape.

`runs_per_job`, the memory and the time that a training job asks for follow from here. The module
does not import torch, so that the workflow can use it while rules are read.

Memory is counted array by array as `engine.batched` allocates them; a test compares the sum with
what torch's allocator reports. Time is a roofline: matrix products at a share of the GPU's peak,
other passes over activations at a share of its bandwidth, and a fixed time for each step. The
shares are assumptions until `training.check` has measured them on the GPU in question.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ffensembles.datasets.registry import DATASETS
from ffensembles.engine import GPU_BLOCKS
from ffensembles.models.recipe import Recipe

FLOAT = 4  # bytes
LABEL = 8


@dataclass(frozen=True)
class Gpu:
    """A GPU by its data sheet.

    Attributes
    ----------
    title
        Its name.
    memory
        Bytes.
    bandwidth
        Of its memory, bytes per second.
    peak
        float32 operations per second, without tensor cores.
    """

    title: str
    memory: float
    bandwidth: float
    peak: float


GPUS = {
    "A100": Gpu("A100 40 GB", 40e9, 1.555e12, 19.5e12),
    "H100": Gpu("H100 80 GB", 80e9, 3.35e12, 67e12),
    "H200": Gpu("H200 141 GB", 141e9, 4.8e12, 67e12),
}
"""Known GPUs; bandwidths and peaks are the vendor's."""

USABLE = 0.85  # of a GPU's memory: the rest is lost to fragments
CONTEXT = 0.6e9  # bytes that CUDA and its libraries take on a GPU
PEAK_SHARE, BANDWIDTH_SHARE = 0.6, 0.7  # assumed, see the module's first lines
STEP_SECONDS = 50e-6  # to start a captured step and read what it measured
TIME_MARGIN = 3.0  # a job asks for so many times the computed time
START_MINUTES = 10  # for starting, reading data, evaluation and writing
HOST_BYTES = 3e9  # Python, torch and CUDA's libraries in the host's memory


@dataclass(frozen=True)
class Shape:
    """How large a run's data are: images, pixels of an image, labels."""

    train: int
    test: int
    pixels: int
    labels: int


def shape_of(dataset: str, images: Mapping[str, Any] | None = None) -> Shape:
    """Return the shape of a data set.

    Parameters
    ----------
    dataset
        Its name.
    images
        The configuration's `train_images` and `test_images`, where fewer are used.
    """
    entry, given = DATASETS[dataset], images or {}
    train, test = (
        n if given.get(key) is None else min(n, int(given[key]))
        for key, n in zip(("train_images", "test_images"), DATASETS[dataset].images, strict=True)
    )
    return Shape(train, test, math.prod(entry.shape), len(entry.classes))


@dataclass(frozen=True)
class _Block:
    """One stage of a recipe, in units of one run: widths, presentations, routes taken."""

    recipe: Recipe
    shape: Shape
    layer: int
    block_size: int

    @property
    def batch(self) -> int:
        """Images in a batch."""
        return min(self.recipe.batch_size or self.shape.train, self.shape.train)

    @property
    def whole(self) -> bool:
        """Whether an epoch is one batch."""
        return self.batch == self.shape.train

    @property
    def rows(self) -> int:
        """Images in a block."""
        return min(self.batch, self.block_size)

    @property
    def layers(self) -> list[tuple[int, int]]:
        """Inputs and units of every trained layer, the readout among them."""
        units = list(self.recipe.widths)
        if self.recipe.spec.readout:
            units.append(self.shape.labels)
        pairs = list(zip([self.shape.pixels, *units[:-1]], units, strict=True))
        return pairs[self.layer - 1 : self.layer] if self.layer else pairs

    @property
    def paired(self) -> bool:
        """Whether positive and negative presentations share the first layer's products."""
        return self.layer <= 1 and (self.recipe.negatives != "pooled" or self.whole)

    @property
    def winners(self) -> bool:
        """Whether only the strongest unit of a presentation has a gradient."""
        return self.recipe.spec.reads_labels and self.recipe.goodness == "linf"

    @property
    def slope(self) -> int:
        """Arrays that the non-linearity's derivative takes meanwhile."""
        return 2 if self.recipe.activation == "sigmoid" else 1

    @property
    def weights(self) -> int:
        """Numbers in the trained weights."""
        return sum(units * (inputs + 1) for inputs, units in self.layers)


def stages(recipe: Recipe) -> list[int]:
    """Return the stages of a recipe: its layers from 1, or 0 for the whole net."""
    return list(range(1, len(recipe.widths) + 1)) if recipe.spec.layerwise else [0]


def kept_bytes(recipe: Recipe, shape: Shape, layer: int, runs: int, block_size: int) -> int:
    """Return the bytes of arrays that stay while a stage trains, test images apart."""
    block = _Block(recipe, shape, layer, block_size)
    spec = recipe.spec
    images = shape.train * (shape.pixels * FLOAT + LABEL + FLOAT)
    if layer <= 1 and spec.normalises and recipe.normalise_input:
        images += shape.train * (shape.pixels + 1) * FLOAT  # a normalised copy
    everything = _Block(recipe, shape, 0, block_size).weights
    own = (everything + 3 * block.weights) * FLOAT  # and gradients, and Adam's two means
    if spec.reads_labels:
        own += shape.train * LABEL
        if recipe.negatives == "pooled":
            own += shape.train * LABEL
            if layer <= 1 and block.whole:
                own += shape.train * (3 * LABEL + 1)
        if layer > 1:
            own += 2 * shape.train * recipe.widths[layer - 2] * FLOAT
    return images + runs * own


def passing_bytes(recipe: Recipe, shape: Shape, layer: int, runs: int, block_size: int) -> int:
    """Return the bytes of arrays that a step allocates and frees again, at most at one time."""
    block = _Block(recipe, shape, layer, block_size)
    kind = _net if recipe.spec.reads_labels else _classifier
    numbers = (_layer if layer else kind)(block) * block.rows
    if block.winners:
        inputs, units = block.layers[-1]
        numbers = max(numbers, _rows_in_pieces(block) * block.rows + 2 * inputs * units)
    return runs * FLOAT * max(numbers, 2 * block.weights)


def _layer(block: _Block) -> int:
    """Return the numbers for each image of a block in a layer of FF, without winners' rows."""
    (inputs, units) = block.layers[0]
    read = 0 if block.whole else inputs
    if block.winners:
        arrays = 3 if block.paired else 2
    else:
        arrays = (5 if block.paired else 3) + (2 if block.slope == 2 else 0)
    if block.paired and block.recipe.negatives == "pooled" and block.winners:
        arrays += 1
    return read + arrays * units


def _rows_in_pieces(block: _Block) -> int:
    """Return the numbers for each image of a block while winners' rows are added."""
    if not block.layer:
        return 0
    (inputs, units) = block.layers[0]
    read = 0 if block.whole else inputs
    if block.paired and block.recipe.negatives == "pooled":
        read += inputs
    return read + (2 if block.paired else 1) * units + 2 * inputs


def _up_and_down(block: _Block, widths: list[int]) -> int:
    """Return the numbers on the way down through a net, of the layer that takes most."""
    above = [*widths[1:], 0]
    if block.winners and len(widths) > 1:  # of the last layer, winners' rows alone
        rows = 2 * widths[-2]
        widths, above = widths[:-1], [*widths[1:-1], 0]
    else:
        rows = 0
    return max(rows, *(u + a + block.slope * u for u, a in zip(widths, above, strict=True)))


def _net(block: _Block) -> int:
    """Return the numbers for each image of a block in a net that is trained on goodness."""
    widths = list(block.recipe.widths)
    first = (3 if block.paired else 2) * widths[0]
    read = 0 if block.whole else block.shape.pixels
    return read + first + 2 * sum(widths) - widths[-1] + _up_and_down(block, widths)


def _classifier(block: _Block) -> int:
    """Return the numbers for each image of a block in a net with a readout."""
    widths = list(block.recipe.widths)
    read = 0 if block.whole else block.shape.pixels
    return read + sum(widths) + _up_and_down(block, widths)


def block_bytes(recipe: Recipe, shape: Shape, runs: int, block_size: int = 2048) -> int:
    """Return the bytes that a block of runs takes on a GPU, in its largest stage.

    Parameters
    ----------
    recipe, shape
        The mathematics, and the data.
    runs
        How many are trained at once.
    block_size
        The configuration's `training.block_size`.
    """
    size = GPU_BLOCKS * block_size
    test = shape.test * (shape.pixels * FLOAT + LABEL + FLOAT)
    most = max(stage_bytes(recipe, shape, layer, runs, size) for layer in stages(recipe))
    return round(most + test + CONTEXT)


def stage_bytes(recipe: Recipe, shape: Shape, layer: int, runs: int, block_size: int) -> int:
    """Return the bytes that a stage of a block of runs takes on a GPU, its images among them."""
    # each captured step keeps memory of its own; a last, smaller batch makes a second one
    batch = min(recipe.batch_size or shape.train, shape.train)
    graphs = 1 if shape.train % batch == 0 else 2
    passing = passing_bytes(recipe, shape, layer, runs, block_size)
    return kept_bytes(recipe, shape, layer, runs, block_size) + graphs * passing


def epoch_costs(
    recipe: Recipe, shape: Shape, layer: int, runs: int, block_size: int
) -> tuple[float, float]:
    """Return the float operations and the bytes read and written in an epoch of a stage."""
    block = _Block(recipe, shape, layer, block_size)
    sides = 2 if block.recipe.spec.reads_labels else 1
    operations = traffic = 0.0
    for place, (inputs, units) in enumerate(block.layers):
        one = 2.0 * block.shape.train * inputs * units
        first = place == 0 and block.layer <= 1
        top = place == len(block.layers) - 1
        own = 1 if first and block.paired else sides
        backwards = 0 if block.winners and top else own
        inwards = 0 if first or block.layer or (block.winners and top) else sides
        operations += one * (own + backwards + inwards)
        passes = 6 if block.winners and block.layer else 14
        traffic += sides * passes * FLOAT * block.shape.train * units
        traffic += sides * 4 * FLOAT * block.shape.train * inputs
    steps = math.ceil(block.shape.train / block.batch)
    traffic += steps * 10 * FLOAT * block.weights
    return runs * operations, runs * traffic


def seconds(recipe: Recipe, shape: Shape, runs: int, gpu: Gpu, block_size: int = 2048) -> float:
    """Return the time to train a block of runs, from its operations and bytes."""
    total = 0.0
    for layer in stages(recipe):
        size = GPU_BLOCKS * block_size
        operations, traffic = epoch_costs(recipe, shape, layer, runs, size)
        steps = math.ceil(shape.train / _Block(recipe, shape, layer, size).batch)
        epoch = operations / (PEAK_SHARE * gpu.peak) + traffic / (BANDWIDTH_SHARE * gpu.bandwidth)
        total += recipe.epochs * (epoch + steps * STEP_SECONDS)
    return total


def runs_per_job(
    recipe: Recipe, shape: Shape, wanted: int, gpu: Gpu, block_size: int = 2048
) -> int:
    """Return how many runs to train at once: as many as wanted and as memory allows, at least 1."""
    fits = (
        runs
        for runs in range(wanted, 1, -1)
        if block_bytes(recipe, shape, runs, block_size) <= USABLE * gpu.memory
    )
    return next(fits, 1)


def resources(
    recipe: Recipe, shape: Shape, runs: int, gpu: Gpu, block_size: int = 2048
) -> dict[str, int]:
    """Return what a job that trains a block of runs asks for.

    Returns
    -------
    dict
        `mem_mb`, the host's memory in megabytes; `runtime`, minutes, with a margin.
    """
    images = (shape.train + shape.test) * shape.pixels * (2 * FLOAT + 1)
    # weights, gradients and Adam's means; two copies of weights and means while they are saved
    state = 1 + 2 / (len(recipe.widths) if recipe.spec.layerwise else 1)
    weights = (4 + 2 * state) * runs * _Block(recipe, shape, 0, block_size).weights * FLOAT
    together = runs_per_job(recipe, shape, runs, gpu, block_size)
    needed = math.ceil(runs / together) * seconds(recipe, shape, together, gpu, block_size)
    return {
        "mem_mb": math.ceil((HOST_BYTES + images + weights) / 1e6 / 100) * 100,
        "runtime": math.ceil(TIME_MARGIN * needed / 60) + START_MINUTES,
    }
