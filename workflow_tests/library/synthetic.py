"""A small made-up study, shaped as the real one, for tests of figures, captions and scripts.

Activations imitate what the study reports: quiet units, a few loud ones per category in FF, many
in BP. Category 1 of every run can be lost, a class can be held out.
"""

import numpy as np
import pandas as pd
import xarray as xr

from ffensembles.analyses.dissimilarities import ceilings, compare, dissimilarity_frame
from ffensembles.analyses.sharing import sharing_frame
from ffensembles.analyses.sizes import sizes_frame
from ffensembles.analyses.tidy import with_keys
from ffensembles.analyses.unseen import unseen_frame
from ffensembles.analyses.weights import weights_by_unit
from ffensembles.ensembles import find_ensembles
from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.registry import KINDS, Shown
from ffensembles.representations.sample import sample_activations

CATEGORIES = ("T-shirt/top", "Bag", "Coat", "Ankle boot")
QUANTILES = [0.9, 0.95, 0.99]
LABELS = {
    "mnist": DatasetLabel("MNIST", ("0", "1", "2", "3"), 500, {"FF": 7, "BPFF": 7, "BP": 20}),
    "fashionmnist": DatasetLabel("FashionMNIST", CATEGORIES, 60_000, {"FF": 1000}),
}
LOUD = {"FF": 2, "BPFF": 4, "BP": 20}


def activations(
    dataset="mnist", model="FF", seed=0, held_out=None, lost=(), units=50, images=12, layers=3,
    relu=False,
) -> xr.DataTree:  # fmt: skip
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
        if relu:  # silent units, and one value far beyond all others
            x = 20 * np.maximum(x - 0.1, 0)
            x[0, 0] = 1e6
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


def found(tree: xr.DataTree) -> dict[str, xr.DataTree]:
    return {
        "method1": method1(tree), "method2": method2(tree), "loo": find_ensembles(tree, "loo"),
    }  # fmt: skip


def keys(tree: xr.DataTree) -> dict:
    return {key: tree.attrs[key] for key in ("protocol", "dataset", "model", "held_out", "seed")}


def weights(model: str, seed: int, units=50, layers=3) -> dict:
    rng = np.random.default_rng([seed, LOUD[model]])
    shift = {"FF": -3, "BPFF": -0.7, "BP": 0}[model]
    return {f"layer{k}.weight": rng.normal(shift, 1, (units, 20)) for k in range(1, layers + 1)}


def sparsity_frame(tree: xr.DataTree) -> pd.DataFrame:
    """Return made-up sparsity with the columns of the real frame; missing for lost classes."""
    rng = np.random.default_rng(tree.attrs["seed"])
    rows = []
    for layer in range(1, len(tree.children) + 1):
        data = tree[f"layer{layer}"].to_dataset()
        correct = data["label"].values[data["correct"].values]
        for category in (None, *range(len(tree.attrs["categories"]))):
            n = int((correct == category).sum()) if category is not None else correct.size
            value = rng.uniform(0.2, 0.9) if n else np.nan
            rows.append((layer, category, value, int(n > 20), n))
    columns = ["layer", "category", "sparsity", "silent", "n_presentations"]
    return pd.DataFrame(rows, columns=columns)


def history_frame(model: str, seed: int, layers=3) -> pd.DataFrame:
    """Return a made-up history: a net that learns layer by layer, one end to end, one without."""
    rng = np.random.default_rng(seed)
    frames = []
    for layer in range(1, layers + 1) if model == "FF" else (0,):
        epoch = np.array([1, 10, 20, 30])
        part = pd.DataFrame({"layer": layer, "epoch": epoch, "loss": rng.random(4) / epoch})
        if model == "BP":
            part[["goodness_positive", "goodness_negative", "winners"]] = np.nan
        else:
            part = part.assign(
                goodness_positive=rng.random(4) + 1, goodness_negative=rng.random(4), winners=7
            )
        frames.append(part.assign(accuracy=np.nan, seconds=1.0))
    return pd.concat(frames, ignore_index=True)


def probes_frame(layers=3, categories=4, held_out=0, seed=0) -> pd.DataFrame:
    """Return made-up scores of probes with the columns of the real frame."""
    rng, of_pixels = np.random.default_rng(seed), np.random.default_rng(0)  # the same for all nets
    nets = [
        ("pixels", 0),
        *((net, k) for net in ("trained", "untrained") for k in range(1, layers + 1)),
    ]
    return pd.DataFrame(
        {
            "net": net, "layer": layer, "category": category, "unseen": category == held_out,
            "balanced_accuracy": (of_pixels if net == "pixels" else rng).uniform(0.5, 1),
            "auc": (of_pixels if net == "pixels" else rng).uniform(0.5, 1),
            "null_balanced_accuracy": 0.5, "null_auc": 0.5, "n_positive": 12,
            "n_presentations": 48, "folds": 5,
        }
        for net, layer in nets
        for category in range(categories)
    )  # fmt: skip


def control_frames(frames: dict[str, list[pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Return accuracy and sparsity of made-up control runs: the study's own, and two settings."""
    base = pd.concat(frames["sparsity"], ignore_index=True)
    own = str(base["protocol"].iloc[0])
    varied = [own, f"{own}--BP.learning_rate-0.01", f"{own}--BP.l1_penalty-1e-07"]
    sparsity = pd.concat([base.assign(protocol=name) for name in varied], ignore_index=True)
    keys = ["protocol", "dataset", "model", "held_out", "seed"]
    net = sparsity[keys].drop_duplicates().assign(layer=0)
    accuracy = np.random.default_rng(0).uniform(0.7, 0.9, len(net))
    return {"control_sparsity": sparsity, "control_accuracy": net.assign(accuracy=accuracy)}


def study(
    datasets=("mnist", "fashionmnist"), models=("FF", "BPFF", "BP"), seeds=(0, 1), lost=(),
    layers=3, relu=False,
):  # fmt: skip
    """Return the tidy frames of all runs: sizes, weights by unit, sharing, unseen, and others."""
    names = (
        "sizes", "positive_weights_by_unit", "sharing", "unseen", "sparsity", "history",
        "dissimilarities", "probes",
    )  # fmt: skip
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in names}
    net = {"lost": lost, "layers": layers, "relu": relu}
    for dataset in datasets:
        for seed in seeds:
            for model in models:
                tree = activations(dataset, model, seed, **net)
                one, two, three = found(tree).values()
                frames["sizes"] += [
                    with_keys(sizes_frame(x), keys(tree)) for x in (one, two, three)
                ]
                for shared in (sharing_frame(one, 0.9), sharing_frame(three)):
                    frames["sharing"].append(with_keys(shared, keys(tree)))
                by_unit = weights_by_unit(weights(model, seed, layers=layers))
                frames["positive_weights_by_unit"].append(with_keys(by_unit, keys(tree)))
                frames["sparsity"].append(with_keys(sparsity_frame(tree), keys(tree)))
                apart = dissimilarity_frame(tree, images=24, pairs=60)
                frames["dissimilarities"].append(with_keys(apart, keys(tree)))
                history = history_frame(model, seed, layers)
                frames["history"].append(with_keys(history, keys(tree)))
            tree = activations(dataset, "FF", seed, held_out=0, **net)
            for x in (method2(tree), found(tree)["loo"]):
                frames["unseen"].append(with_keys(unseen_frame(x), keys(tree)))
            frames["sizes"].append(with_keys(sizes_frame(method2(tree)), keys(tree)))
            frames["probes"].append(with_keys(probes_frame(layers, seed=seed), keys(tree)))
    whole = {name: pd.concat(parts, ignore_index=True) for name, parts in frames.items()}
    apart = whole.pop("dissimilarities")
    return whole | {"rsa": compare(apart), "ceilings": ceilings(apart)} | control_frames(frames)


def shown(kind, parameters, frames, figure="figure1", held_out=None, labels=None, **net) -> Shown:
    """Return what a figure of this kind is drawn from: all that it needs, and no more."""
    needs = KINDS[kind].needs(parameters)
    tree = activations(getattr(parameters, "dataset", "mnist"), held_out=held_out, **net)
    kept = dict(frames)
    for name in needs.run_frames:
        kept[name] = like(frames[name], tree.attrs)
    if labels is None:
        labels = {tree.attrs["dataset"]: LABELS[tree.attrs["dataset"]]}
    return Shown(
        figure,
        "2023",
        labels,
        sample=sample_activations(tree, 5) if needs.sample else None,
        ensembles={name: found(tree)[name] for name in needs.methods},
        frames={name: kept[name] for name in (*needs.frames, *needs.run_frames)},
    )


def like(frame: pd.DataFrame, attrs: dict) -> pd.DataFrame:
    """Keep the runs that differ from the one described by `attrs` in their seed only."""
    held_out = frame["held_out"]
    same = held_out.isna() if attrs["held_out"] is None else held_out.eq(attrs["held_out"])
    for key in ("dataset", "model"):
        same &= frame[key].eq(attrs[key])
    return frame[same.fillna(False).astype(bool)]
