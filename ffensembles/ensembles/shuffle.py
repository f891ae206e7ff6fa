"""The null of every statement on ensembles: labels permuted over presentations."""

import numpy as np
import xarray as xr

from ffensembles.representations.layers import layer_names


def shuffled(tree: xr.DataTree, seed: int) -> xr.DataTree:
    """Permute the labels of the presentations that count; activations stay.

    These are a run's correctly classified ones, and all of a class that it was not trained on.

    What ensembles are found then is the null of every statement on them: what they would be if
    activations did not depend on the category.

    Parameters
    ----------
    tree
        A run's activations: one group per layer, with coordinates `label` and, where it is
        known, `correct`.
    seed
        Draws the permutation, the same for every layer.
    """
    layers = {}
    for name in layer_names(tree):
        layer = tree[name].to_dataset()
        label = layer["label"].values.copy()
        there = layer["correct"].values if "correct" in layer.coords else np.ones(len(label), bool)
        there = there | (label == tree.attrs.get("held_out"))
        label[there] = np.random.default_rng(seed).permutation(label[there])
        layer = layer.assign_coords(label=("presentation", label))
        if "correct" in layer.coords:  # what counts is what was permuted
            layer = layer.assign_coords(correct=("presentation", there))
        layers[name] = layer
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=tree.attrs), **layers})
