"""What every method must fulfil, tested on data made here."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from ffensembles.ensembles.common import ensemble_sizes


def check_method(find: Callable[..., xr.Dataset], *, seed: int = 0, **parameters: Any) -> None:
    """Check a function that finds ensembles against what results rely on.

    Checked are: the promised variables, their dimensions and types; that the order of
    presentations does not matter; that permuted units give permuted results; that a class
    without a correctly classified presentation is lost; that every presentation of an unseen
    class counts.

    Parameters
    ----------
    find
        The method, see `ffensembles.ensembles`.
    seed
        Draws the data.
    parameters
        What else `find` is called with.

    Raises
    ------
    AssertionError
        With what does not hold.
    """
    rng = np.random.default_rng(seed)
    layer = _layer(rng)
    n_categories = 4  # the last one is lost
    found = find(layer, categories=range(n_categories), **parameters)

    for name in ("active", "mean", "n_presentations"):
        assert name in found, f"the result has no variable {name}"
    assert found["active"].dtype == bool, f"active is {found['active'].dtype}, not bool"
    assert {"category", "neuroid"} <= set(found["active"].dims), "active lacks a dimension"
    assert found["mean"].dims == ("category", "neuroid"), f"mean has {found['mean'].dims}"
    assert found["n_presentations"].values.tolist() == _counts(layer, n_categories)
    assert found["category"].values.tolist() == list(range(n_categories))
    lost = found.isel(category=-1)
    assert not lost["active"].any(), "a lost class has active units"
    assert np.isnan(lost["mean"]).all(), "a lost class has means"
    assert np.isnan(ensemble_sizes(found).isel(category=-1)).all(), "a lost class has a size"

    order = rng.permutation(layer.sizes["presentation"])
    again = find(layer.isel(presentation=order), categories=range(n_categories), **parameters)
    assert bool((again["active"] == found["active"]).all()), "the order of presentations matters"
    xr.testing.assert_allclose(again["mean"], found["mean"])

    units = rng.permutation(layer.sizes["neuroid"])
    moved = find(layer.isel(neuroid=units), categories=range(n_categories), **parameters)
    same = moved["active"].values == found["active"].isel(neuroid=units).values
    assert same.all(), "permuted units do not give permuted results"

    unseen = find(layer, categories=range(n_categories), unseen=3, **parameters)
    everything = int((layer["label"] == 3).sum())
    assert int(unseen["n_presentations"].sel(category=3)) == everything, (
        "presentations of an unseen class do not all count"
    )


def _layer(rng: np.random.Generator) -> xr.Dataset:
    """Return a layer in which each of four classes drives some units; the last is never correct."""
    labels = np.repeat(np.arange(4), 12)
    activation = 0.2 * rng.random((labels.size, 30))
    for category in range(4):
        activation[np.ix_(labels == category, [2 * category, 2 * category + 1])] += 0.7
    correct = (labels != 3) & (rng.random(labels.size) < 0.9)
    return xr.Dataset(
        {"activation": (("presentation", "neuroid"), activation.astype(np.float32))},
        coords={
            "label": ("presentation", labels),
            "correct": ("presentation", correct),
            "neuroid_id": ("neuroid", np.arange(30)),
        },
    )


def _counts(layer: xr.Dataset, n_categories: int) -> list[int]:
    labels = layer["label"].values[layer["correct"].values]
    return np.bincount(labels, minlength=n_categories).tolist()
