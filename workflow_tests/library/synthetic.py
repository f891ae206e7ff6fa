"""A small made-up study, shaped as the real one, for tests of figures, captions and scripts.

Activations imitate what the study reports: quiet units, a few loud ones per category in FF, many
in BP. Category 1 of every run can be lost, a class can be held out.
"""

import numpy as np
import pandas as pd
import xarray as xr

from ffensembles.analyses.sharing import sharing_frame
from ffensembles.analyses.sizes import sizes_frame
from ffensembles.analyses.tidy import with_keys
from ffensembles.analyses.unseen import unseen_frame
from ffensembles.analyses.weights import weights_by_unit
from ffensembles.ensembles import find_ensembles
from ffensembles.plotting.captions import DatasetLabel

CATEGORIES = ("T-shirt/top", "Bag", "Coat", "Ankle boot")
QUANTILES = [0.9, 0.95, 0.99]
LABELS = {
    "mnist": DatasetLabel("MNIST", ("0", "1", "2", "3"), 500, {"FF": 7, "BPFF": 7, "BP": 20}),
    "fashionmnist": DatasetLabel("FashionMNIST", CATEGORIES, 60_000, {"FF": 1000}),
}
LOUD = {"FF": 2, "BPFF": 4, "BP": 20}


def activations(
    dataset="mnist", model="FF", seed=0, held_out=None, lost=(), units=50, images=12, layers=3
) -> xr.DataTree:
    names = LABELS[dataset].categories
    rng = np.random.default_rng([seed, len(dataset), LOUD[model]])
    labels = np.repeat(np.arange(len(names)), images)
    predicted = labels.copy()
    for category in lost:
        predicted[labels == category] = (category + 1) % len(names)
    attrs = {
        "protocol": "sigmoid-linf", "dataset": dataset, "model": model, "seed": seed,
        "held_out": held_out, "categories": list(names),
    }  # fmt: skip
    tree = {"/": xr.Dataset(attrs=attrs)}
    for layer in range(1, layers + 1):
        x = rng.uniform(0, 0.05, (labels.size, units))
        for category in range(len(names)):
            loud = rng.choice(units, min(units, LOUD[model]), replace=False)
            x[np.ix_(labels == category, loud)] = 0.4 if category == held_out else 0.8
        x += rng.uniform(0, 0.1, x.shape)
        coords = {
            "stimulus_id": ("presentation", np.arange(labels.size) + 100),
            "label": ("presentation", labels),
            "embedded_label": ("presentation", labels),
            "predicted": ("presentation", predicted),
            "correct": ("presentation", predicted == labels),
            "neuroid_id": ("neuroid", np.arange(units)),
            "layer": ("neuroid", np.full(units, layer)),
        }
        data = {"activation": (("presentation", "neuroid"), x.astype(np.float32))}
        tree[f"layer{layer}"] = xr.Dataset(data, coords=coords)
    return xr.DataTree.from_dict(tree)


def method1(tree: xr.DataTree) -> xr.DataTree:
    return find_ensembles(tree, "method1", quantiles=QUANTILES)


def method2(tree: xr.DataTree) -> xr.DataTree:
    return find_ensembles(tree, "method2")


def keys(tree: xr.DataTree) -> dict:
    return {key: tree.attrs[key] for key in ("protocol", "dataset", "model", "held_out", "seed")}


def weights(model: str, seed: int, units=50) -> dict:
    rng = np.random.default_rng([seed, LOUD[model]])
    shift = {"FF": -3, "BPFF": -0.7, "BP": 0}[model]
    return {f"layer{k}.weight": rng.normal(shift, 1, (units, 20)) for k in (1, 2, 3)}


def study(datasets=("mnist", "fashionmnist"), models=("FF", "BPFF", "BP"), seeds=(0, 1), lost=()):
    """Return the tidy frames of all runs: sizes, weights by unit, sharing, unseen."""
    frames: dict[str, list[pd.DataFrame]] = {"sizes": [], "weights": [], "sharing": []}
    frames["unseen"] = []
    for dataset in datasets:
        for seed in seeds:
            for model in models:
                tree = activations(dataset, model, seed, lost=lost)
                one, two = method1(tree), method2(tree)
                frames["sizes"] += [with_keys(sizes_frame(x), keys(tree)) for x in (one, two)]
                frames["sharing"].append(with_keys(sharing_frame(one, 0.9), keys(tree)))
                by_unit = weights_by_unit(weights(model, seed))
                frames["weights"].append(with_keys(by_unit, keys(tree)))
            tree = activations(dataset, "FF", seed, held_out=0)
            frames["unseen"].append(with_keys(unseen_frame(method2(tree)), keys(tree)))
            frames["sizes"].append(with_keys(sizes_frame(method2(tree)), keys(tree)))
    return {name: pd.concat(parts, ignore_index=True) for name, parts in frames.items()}
