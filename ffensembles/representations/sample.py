"""A sample of a run's activations: some images of each class, for figures of examples."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ffensembles.representations.layers import layer_names, matrices


def sample_activations(tree: xr.DataTree, per_class: int | None, seed: int = 0) -> xr.DataTree:
    """Draw images of each class from a run's activations, and mark one example of each.

    Only correctly classified images are drawn; any of a class that the net was not trained on.

    Parameters
    ----------
    tree
        Activations of all test images, one group for each layer; attributes `categories` and
        `held_out`.
    per_class
        Images of each class, at most; None takes all of them.
    seed
        Seed of the draw.

    Returns
    -------
    xarray.DataTree
        The layout of `tree`: presentations sorted by class, in a class as in `tree`, with one
        more coordinate, `example` (presentation), bool. It marks one image of each class, the one
        whose activations in all layers are nearest to the mean over all images that count. Root
        attributes: those of `tree`, `counts` (images that count, for each class: all the test
        images from which the sample is drawn) and `per_class` (0 for all).

    Raises
    ------
    ValueError
        If `per_class` is below 1.
    """
    if per_class is not None and per_class < 1:
        raise ValueError(f"per_class: found {per_class}, allowed is a number from 1, or None.")
    rng = np.random.default_rng(seed)
    unseen = tree.attrs.get("held_out")
    names = layer_names(tree)
    first = tree[names[0]].to_dataset()
    categories = range(len(tree.attrs["categories"]))
    rows = [_rows(first, category, unseen) for category in categories]
    distance = [np.zeros(len(one)) for one in rows]
    for name in names:
        for category, x in matrices(tree[name].to_dataset(), categories, unseen):
            if len(x):
                squares = (x - x.mean(axis=0, dtype=np.float64)) ** 2
                distance[category] += squares.sum(axis=1)
    picked: list[NDArray[np.intp]] = []
    example: list[NDArray[np.bool_]] = []
    for one, away in zip(rows, distance, strict=True):
        nearest = one[away.argmin()] if len(one) else -1
        drawn = one
        if per_class is not None and len(one) > per_class:
            others = one[one != nearest]
            drawn = np.sort([nearest, *rng.choice(others, per_class - 1, replace=False)])
        picked.append(drawn)
        example.append(drawn == nearest)
    places, marked = np.concatenate(picked).astype(np.intp), np.concatenate(example).astype(bool)
    layers = {
        name: tree[name]
        .to_dataset()
        .isel(presentation=places)
        .assign_coords(example=("presentation", marked))
        for name in names
    }
    attrs = {**tree.attrs, "counts": [len(one) for one in rows], "per_class": per_class or 0}
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=attrs), **layers})


def _rows(layer: xr.Dataset, category: int, unseen: int | None) -> NDArray[np.intp]:
    """Return the presentations of a class that count."""
    of_class = layer["label"].values == category
    return np.flatnonzero(of_class if category == unseen else of_class & layer["correct"].values)
