"""Reading a trained net's representations out: what each unit does on each test image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ffensembles.datasets import DATASETS
from ffensembles.datasets.prepare import prepare, present
from ffensembles.errors import StoreError
from ffensembles.models.network import embed, hidden, initial_weights, predict
from ffensembles.models.recipe import Recipe
from ffensembles.representations.store import save_tree
from ffensembles.representations.weights import load_weights
from ffensembles.runtime.provenance import provenance
from ffensembles.training import devices
from ffensembles.training.metadata import fingerprint, read_run

NO_LABEL = -1
"""What `embedded_label` says where no label is embedded (BP)."""


def extract(
    weights: Mapping[str, NDArray[np.float32]],
    recipe: Recipe,
    x: NDArray[np.float32],
    labels: ArrayLike,
    stimulus_id: ArrayLike,
    *,
    categories: Sequence[str],
    on_value: ArrayLike = 0.0,
    positions: ArrayLike | None = None,
    held_out: int | None = None,
    unseen_label: Literal["own", "predicted"] = "own",
    block_size: int = 2048,
    device: str = "cpu",
    attrs: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    """Read every hidden layer on every image, after the non-linearity, before normalisation.

    For FF and BP/FF each image carries its own label, and the net's prediction is the label
    whose embedding has the most goodness, by the recipe's rule, among all labels; for BP no
    label is embedded and the prediction is the readout's (Tosato et al. 2023, sec. 2.1, 3.4).

    Parameters
    ----------
    weights
        `layer1.weight` (out, in), `layer1.bias` (out,), ...; for BP also `readout.*`.
    recipe
        The mathematics of the net.
    x
        Standardised images of shape (presentations, pixels) as the net reads them: for FF and
        BP/FF with blank label pixels.
    labels, stimulus_id
        Class and identity of each image, shape (presentations,).
    categories
        Names of the classes; their number is that of the labels tried.
    on_value
        Value of a lit label pixel: one for all, or one per image.
    positions
        Pixel to light for each label in every channel, shape (channels, labels), as indices into
        a flattened image. Not needed for BP.
    held_out
        Label of the class the net was trained without.
    unseen_label
        Which label images of that class carry when read: their `own`, which the net never saw,
        or the `predicted` one.
    block_size
        Presentations computed at once.
    device
        Where to compute, as torch calls it.
    attrs
        Attributes of the tree: the run's keys and provenance.

    Returns
    -------
    xarray.DataTree
        One group per layer, `layer1` and so on, with `activation` (presentation, neuroid),
        float32; coordinates stimulus_id, label, embedded_label (-1 for none), predicted and
        correct on presentation, neuroid_id and layer on neuroid. Presentations are sorted by
        label, then as given; all are there, correct or not. `correct` compares with the
        prediction for a held-out class too, where it says little.

    Raises
    ------
    StoreError
        If the weights do not fit the recipe or the images.
    """
    labels = np.asarray(labels, dtype=np.int64)
    order = np.argsort(labels, kind="stable")
    labels = labels[order]
    on_values = np.broadcast_to(np.asarray(on_value, dtype=np.float32), labels.shape)[order]
    net = _tensors(weights, recipe, x.shape[1], len(categories), device)
    by_label = recipe.spec.reads_labels
    lit = np.atleast_2d(np.asarray([] if positions is None else positions, dtype=np.int64))
    if by_label and lit.shape[1] != len(categories):
        raise ValueError(
            f"positions: {len(categories)} labels need their pixel, found {positions!r}"
        )
    pixels = torch.from_numpy(lit).to(device)

    representations = [np.empty((len(labels), width), np.float32) for width in recipe.widths]
    predicted = np.empty(len(labels), np.int64)
    embedded = np.full(len(labels), NO_LABEL, np.int64)
    with torch.inference_mode():
        for start in range(0, len(labels), block_size):
            rows = slice(start, start + block_size)
            block = torch.from_numpy(x[order[rows]]).to(device)
            on = torch.from_numpy(on_values[rows].copy()).to(device)
            predicted[rows] = predict(net, recipe, block, on, pixels)[0].cpu().numpy()
            if by_label:
                embedded[rows] = labels[rows]
                if unseen_label == "predicted" and held_out is not None:
                    unseen = labels[rows] == held_out
                    embedded[rows][unseen] = predicted[rows][unseen]
                carried = torch.from_numpy(embedded[rows]).to(device)
                block = embed(block, carried, on, pixels)
            for whole, layer in zip(representations, hidden(net, recipe, block), strict=True):
                whole[rows] = layer.cpu().numpy()

    coords = {
        "stimulus_id": ("presentation", np.asarray(stimulus_id, dtype=np.int64)[order]),
        "label": ("presentation", labels),
        "embedded_label": ("presentation", embedded),
        "predicted": ("presentation", predicted),
        "correct": ("presentation", predicted == labels),
    }
    root = {**(attrs or {}), "categories": list(categories), "held_out": held_out}
    tree = {"/": xr.Dataset(attrs=root)}
    for k, representation in enumerate(representations, 1):
        width = representation.shape[1]
        neuroid = {
            "neuroid_id": ("neuroid", np.arange(width)),
            "layer": ("neuroid", np.full(width, k)),
        }
        activation = xr.DataArray(
            representation,
            dims=("presentation", "neuroid"),
            coords={**coords, **neuroid},
            attrs={
                "long_name": f"activation ({recipe.activation}), before normalisation",
                **recipe.valid_activations,
            },
        )
        tree[f"layer{k}"] = activation.to_dataset(name="activation")
    return xr.DataTree.from_dict(tree)


def _tensors(
    weights: Mapping[str, NDArray[np.float32]],
    recipe: Recipe,
    pixels: int,
    n_labels: int,
    device: str,
) -> dict[str, Tensor]:
    """Return the weights as tensors if they are those of the recipe's net."""
    wanted = initial_weights(recipe, 0, pixels, n_labels)
    for name, tensor in wanted.items():
        found = weights[name].shape if name in weights else None
        if found != tuple(tensor.shape):
            raise StoreError(
                f"weights: {name} is {found or 'missing'}, the recipe needs "
                f"{tuple(tensor.shape)}; train this run again."
            )
    return {name: torch.from_numpy(weights[name]).to(device) for name in wanted}


def read_out(
    run: Mapping[str, Any],
    recipe: Recipe,
    data: Mapping[str, Any],
    weights: str | Path,
    store: str | Path,
    *,
    unseen_label: Literal["own", "predicted"] = "own",
    mantissa_bits: int | None = None,
    threads: int = 1,
    device: str = "auto",
    gpus: int = 0,
) -> None:
    """Read a trained run's representations of its test images into a store.

    Parameters
    ----------
    run
        protocol, dataset, model, held_out and seed.
    recipe, data
        As for `training.run_training`.
    weights, store
        Files to read and to write; the run's `run.json` lies beside its weights.
    unseen_label
        Which label images of a held-out class carry.
    mantissa_bits
        As for `store.save_tree`.
    threads
        Threads to compute with.
    device, gpus
        The configuration's `training.device`, and how many GPUs the job was given; see
        `training.devices.choose`. Without any the CPU reads.

    Raises
    ------
    StoreError
        If the weights are damaged, are of another run or recipe, or do not fit; or if the store
        cannot be written.
    """
    where = devices.choose(device, threads, gpus)
    metadata = Path(weights).with_name("run.json")
    read_run(metadata, fingerprint([run], recipe, data))
    images = prepare(run["dataset"], "test", data, **recipe.images)
    categories = DATASETS[run["dataset"]].classes
    tree = extract(
        load_weights(weights, metadata),
        recipe,
        images.x,
        images.labels,
        images.stimulus_id,
        categories=categories,
        on_value=images.on,
        positions=images.positions,
        held_out=run["held_out"],
        unseen_label=unseen_label,
        device=str(where),
        attrs={**provenance(recipe=recipe.as_json(), run=run, unseen_label=unseen_label), **run},
    )
    save_tree(tree, store, mantissa_bits)


def read_images(
    weights: Mapping[str, NDArray[np.float32]],
    recipe: Recipe,
    run: Mapping[str, Any],
    metadata: Mapping[str, Any],
    images: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    device: str = "cpu",
) -> xr.DataTree:
    """Read new images through a trained net; see `load.TrainedRun.activations`."""
    given = np.asarray(images)
    pixels = given.astype(np.uint8)
    if not np.array_equal(pixels, given):
        raise ValueError("images: found values that are no whole numbers in 0..255; scale them.")
    if pixels.ndim == 3:
        pixels = pixels[:, np.newaxis]
    identity = np.arange(len(pixels))

    def read(own: NDArray[np.int64]) -> xr.DataTree:
        kind = metadata["fingerprint"]["data"]["standardisation"]
        shown = present(run["dataset"], pixels, own, identity, kind, **recipe.images)
        return extract(
            weights, recipe, shown.x, shown.labels, shown.stimulus_id,
            categories=DATASETS[run["dataset"]].classes, on_value=shown.on,
            positions=shown.positions, held_out=run["held_out"], device=device, attrs=dict(run),
        )  # fmt: skip

    if labels is not None:
        return read(np.asarray(labels, dtype=np.int64))
    first = next(iter(read(np.zeros(len(pixels), np.int64)).children.values()))
    return read(first["predicted"].sortby("stimulus_id").values)
