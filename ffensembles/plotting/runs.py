"""Which runs, classes and layers a figure reads from trees and tidy frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from ffensembles.analyses.sizes import at_quantile

if TYPE_CHECKING:
    from ffensembles.plotting.captions import DatasetLabel
    from ffensembles.plotting.parameters import Found
    from ffensembles.plotting.registry import Shown


def whole(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the runs that were trained on every class.

    Raises
    ------
    ValueError
        If the rows are of more than one protocol: those are figures of their own.
    """
    protocols = frame["protocol"].unique()
    if len(protocols) > 1:
        raise ValueError(f"one figure, one protocol; found {', '.join(map(str, protocols))}.")
    return frame[frame["held_out"].isna()]


def labels_in(shown: Shown, frame: pd.DataFrame) -> dict[str, DatasetLabel]:
    """Return the data sets shown of which a frame has rows; all of them if it has none."""
    found = {name: one for name, one in shown.labels.items() if frame["dataset"].eq(name).any()}
    return found or dict(shown.labels)


def by_method(frame: pd.DataFrame, method: str, quantile: float | None) -> pd.DataFrame:
    """Keep the rows of one method, and of one of its quantiles where it has several."""
    rows = frame[frame["method"] == method]
    if quantile is None:
        return rows[rows["quantile"].isna()]
    return rows[np.isclose(rows["quantile"].astype(float), quantile)]


def layer_of(tree: xr.DataTree, layer: int) -> xr.Dataset:
    """Return one layer of a run's tree, by its number.

    Raises
    ------
    ValueError
        If the net has no such layer.
    """
    name = f"layer{layer}"
    if name not in tree.children:
        raise ValueError(f"layer: found {layer}, the run has {', '.join(tree.children)}.")
    return tree[name].to_dataset()


def found_in(shown: Shown, parameters: Found, layer: int) -> xr.Dataset:
    """Return a layer's ensembles of the example run, by the method that a figure shows."""
    return at_quantile(layer_of(shown.ensembles[parameters.method], layer), parameters.at)


def names_of(tree: xr.DataTree) -> list[str]:
    """Return the names of a run's classes, in the order of their labels."""
    return [str(name) for name in tree.attrs["categories"]]


def unseen_of(tree: xr.DataTree) -> int | None:
    """Return the label of the class that a run was trained without; None if there is none."""
    held_out = tree.attrs.get("held_out")
    return None if held_out is None else int(held_out)


def attributes(tree: xr.DataTree) -> dict[str, Any]:
    """Return what a tree says of its run: keys, classes, provenance."""
    return {str(name): value for name, value in tree.attrs.items()}


def sample_of(shown: Shown) -> xr.DataTree:
    """Return the sample of activations that a figure shows.

    Raises
    ------
    ValueError
        If there is none.
    """
    if shown.sample is None:
        raise ValueError(f"{shown.figure}: its kind needs a sample of activations; found none.")
    return shown.sample
