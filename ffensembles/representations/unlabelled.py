"""Representations of images that carry no label: what a linear probe may read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ffensembles.datasets.loading import stratified
from ffensembles.datasets.prepare import prepare
from ffensembles.datasets.registry import DATASETS
from ffensembles.models.network import hidden, initial_weights
from ffensembles.models.recipe import Recipe
from ffensembles.representations.weights import load_weights
from ffensembles.runtime.random import random_stream
from ffensembles.training.metadata import fingerprint, read_run

PROBED = 2000
"""Test images that probes read, stratified by class."""


@dataclass(frozen=True)
class Unlabelled:
    """A run's representations of images without a label.

    Attributes
    ----------
    layers
        By number of the layer (presentations, units), float32; 0 are the images as the net reads
        them, with blank label pixels where the net is trained on labelled images.
    labels, stimulus_id
        Class and index in the official split, (presentations,), sorted by class.
    """

    layers: dict[int, NDArray[np.float32]]
    labels: NDArray[np.int64]
    stimulus_id: NDArray[np.int64]


def hidden_unlabelled(
    weights: Mapping[str, NDArray[np.float32]],
    recipe: Recipe,
    x: NDArray[np.float32],
    block_size: int = 2048,
    device: str = "cpu",
) -> dict[int, NDArray[np.float32]]:
    """Read every hidden layer on images as they are, with no label pixel lit.

    Parameters
    ----------
    weights
        `layer1.weight` (out, in), `layer1.bias` (out,), ...
    recipe
        The mathematics of the net.
    x
        Standardised images (presentations, pixels); blank label pixels for a net that is trained
        on labelled images.
    block_size
        Presentations computed at once.
    device
        Where to compute, as torch calls it.

    Returns
    -------
    dict
        By number of the layer its activations (presentations, units), after the non-linearity and
        before normalisation.
    """
    net = {name: torch.from_numpy(values).to(device) for name, values in weights.items()}
    layers = {k: np.empty((len(x), n), np.float32) for k, n in enumerate(recipe.widths, 1)}
    with torch.inference_mode():
        for start in range(0, len(x), block_size):
            rows = slice(start, start + block_size)
            block = torch.from_numpy(np.ascontiguousarray(x[rows])).to(device)
            for k, values in enumerate(hidden(net, recipe, block), 1):
                layers[k][rows] = values.cpu().numpy()
    return layers


def read_unlabelled(
    run: Mapping[str, Any],
    recipe: Recipe,
    data: Mapping[str, Any],
    weights: str | Path,
    *,
    images: int | None = None,
    threads: int = 1,
) -> Unlabelled:
    """Read a trained run's hidden layers on test images that carry no label.

    See also `read_with_untrained`.

    Parameters
    ----------
    run
        protocol, dataset, model, held_out and seed; the images do not depend on the latter two.
    recipe, data
        As for `training.run_training`.
    weights
        File of the run's weights; `run.json` beside it must be of this run, if it is there.
    images
        Test images, stratified by class; None for all.
    threads
        Threads to compute with.

    Raises
    ------
    StoreError
        If the weights are damaged, or of another run or recipe.
    DataError
        If the data set could not be downloaded or found.
    """
    torch.set_num_threads(max(1, threads))
    metadata = Path(weights).with_name("run.json")
    if metadata.exists():
        read_run(metadata, fingerprint([run], recipe, data))
    return _read(run["dataset"], recipe, data, load_weights(weights), images)


def read_with_untrained(
    run: Mapping[str, Any],
    recipe: Recipe,
    data: Mapping[str, Any],
    weights: str | Path,
    *,
    images: int | None = PROBED,
    threads: int = 1,
) -> dict[str, Unlabelled]:
    """Read the same of the net with its first weights too, a baseline of what training adds.

    Returns
    -------
    dict
        `trained` and `untrained`, on the same images; parameters and errors as for
        `read_unlabelled`.
    """
    trained = read_unlabelled(run, recipe, data, weights, images=images, threads=threads)
    inputs, n_labels = trained.layers[0].shape[1], len(DATASETS[run["dataset"]].classes)
    first = initial_weights(recipe, int(run["seed"]), inputs, n_labels)
    net = {name: values.numpy() for name, values in first.items()}
    layers = hidden_unlabelled(net, recipe, trained.layers[0])
    return {"trained": trained, "untrained": replace(trained, layers=layers)}


def _read(
    dataset: str,
    recipe: Recipe,
    data: Mapping[str, Any],
    weights: Mapping[str, NDArray[np.float32]],
    images: int | None,
) -> Unlabelled:
    """Read the hidden layers of a net on test images that carry no label."""
    test = prepare(dataset, "test", data, **recipe.images)
    drawn = np.arange(len(test.labels))
    if images is not None and images < len(drawn):
        drawn = stratified(test.labels, images, random_stream(0, "images of probes"))
    drawn = drawn[np.argsort(test.labels[drawn], kind="stable")]
    x = test.x[drawn]
    layers = {0: x, **hidden_unlabelled(weights, recipe, x)}
    return Unlabelled(layers, test.labels[drawn], test.stimulus_id[drawn])
