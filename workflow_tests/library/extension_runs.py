"""Small nets with random weights, read on random images, for tests of extensions."""

from typing import Any

import numpy as np

from ffensembles.datasets import DATASETS
from ffensembles.datasets.prepare import Presentations
from ffensembles.extensions.runs import ExtensionRun, halves
from ffensembles.models.network import initial_weights
from ffensembles.models.recipe import Recipe
from ffensembles.representations.readout import extract
from ffensembles.training.check import recipe_of

WIDTHS = (12, 9, 7)
KEYS = {"protocol": "p", "dataset": "digits", "held_out": None}
METHODS = {"loo": {"k": 0.0}, "method1": {"quantiles": [0.9, 0.95], "saturated": True}}


def images(seed: int = 0, per_class: int = 4, pixels: int = 20) -> Presentations:
    """Return random images of ten classes, each class brighter in one pixel of its own."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(10), per_class)
    x = rng.normal(size=(len(labels), pixels)).astype(np.float32)
    x[:, :10] = 0
    x[np.arange(len(labels)), 10 + labels] += 3
    on = np.full(len(labels), 2.5, np.float32)
    return Presentations(x, labels, np.arange(len(labels)), on, np.arange(10)[None])


def run_of(
    model: str, protocol: str = "relu-l2", seed: int = 0, per_class: int = 4, **changes: Any
) -> ExtensionRun:
    """Return an untrained run as an extension meets it, with nothing on disk."""
    recipe: Recipe = recipe_of(model, protocol, widths=WIDTHS, **changes)
    shown = images(seed, per_class)
    drawn = initial_weights(recipe, seed, shown.x.shape[1], 10)
    weights = {name: 3 * values.numpy() for name, values in drawn.items()}
    run = ExtensionRun(
        {**KEYS, "model": model, "seed": seed}, recipe=recipe, data={}, methods=METHODS
    )
    tree = extract(
        weights, recipe, shown.x, shown.labels, shown.stimulus_id,
        categories=DATASETS["digits"].classes, on_value=shown.on, positions=shown.positions,
    )  # fmt: skip
    # every presentation counts: a random net classifies few of them correctly
    for name, layer in tree.children.items():
        tree[name] = layer.to_dataset().assign_coords(
            correct=("presentation", np.ones(len(shown.labels), bool))
        )
    run.__dict__.update(weights=weights, activations=tree, test_images=shown)
    return run


def disturbed(run: ExtensionRun) -> ExtensionRun:
    """Spoil what an extension must not look at: activations of one half, images of the other.

    Units are chosen on the activations of the first half, effects measured on images of the second.
    """
    chosen, measured = halves(run.test_images.labels)
    tree = run.activations
    for name, layer in tree.children.items():
        content = layer.to_dataset().copy(deep=True)
        noise = np.random.default_rng(9).random((len(measured), content.sizes["neuroid"]))
        content["activation"][measured] = noise.astype(np.float32)
        tree[name] = content
    run.test_images.x[chosen] = 0
    return run
