"""What an extension reads of a trained run: weights, recipe, test images, ensembles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from ffensembles.analyses.registry import RunResults
from ffensembles.datasets import DATASETS
from ffensembles.datasets.prepare import Presentations, prepare
from ffensembles.ensembles import METHODS, find_ensembles
from ffensembles.errors import StoreError
from ffensembles.models.recipe import Recipe
from ffensembles.runtime.keys import Allowed, Field, Group, Quantile

if TYPE_CHECKING:
    from ffensembles.extensions.observing import DynamicsObserver


def _known(name: str) -> str:
    if name not in METHODS:
        text = f"found {name!r}; allowed: {', '.join(METHODS)}, or null"
        raise PydanticCustomError("problem", "{text}", {"text": text})
    return name


MethodName = Annotated[str, AfterValidator(_known), Allowed("a method that finds ensembles")]


class OfEnsembles(Group):
    """Parameters that every extension about ensembles has: which ensembles.

    A null method is replaced by that of the table of sizes of the protocol's edition before a run
    is measured.
    """

    method: MethodName | None = Field(
        None, description="method that finds ensembles; null: that of the edition's table of sizes"
    )
    quantile: Quantile | None = Field(
        None, description="its quantile, for methods that have one; null likewise"
    )


@dataclass(frozen=True)
class ExtensionRun(RunResults):
    """What a trained run left behind, and how its images are read.

    Attributes
    ----------
    recipe
        The mathematics of the net.
    data
        Which images it reads, as `datasets.prepare` takes it.
    methods
        The configured parameters of every method that finds ensembles, by its name.
    observer
        What nets are read with while they train, as it is configured now; None where they are not.
    """

    recipe: Recipe = field(kw_only=True)
    data: Mapping[str, Any] = field(kw_only=True)
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, kw_only=True)
    observer: DynamicsObserver | None = field(default=None, kw_only=True)

    @cached_property
    def test_images(self) -> Presentations:
        """The test images as the net reads them, sorted by class as activations are."""
        found = prepare(str(self.run["dataset"]), "test", self.data, **self.recipe.images)
        return sorted_by_class(found)

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their labels."""
        return tuple(DATASETS[str(self.run["dataset"])].classes)

    def found(self, tree: xr.DataTree, method: str, quantile: float | None) -> xr.DataTree:
        """Find ensembles in activations by a method with its configured parameters.

        Parameters
        ----------
        tree
            Activations, or some presentations of them (`halves`).
        method, quantile
            The method; of one with several quantiles the one that is kept.
        """
        ensembles = find_ensembles(tree, method, **self.methods.get(method, {}))
        if quantile is None or not METHODS[method].has_quantiles:
            return ensembles
        return xr.DataTree.from_dict(
            {
                "/": xr.Dataset(attrs=ensembles.attrs),
                **{
                    name: layer.to_dataset().sel(quantile=quantile, method="nearest")
                    for name, layer in ensembles.children.items()
                },
            }
        )


def sorted_by_class(images: Presentations) -> Presentations:
    """Sort images by class, in the order that stores of activations have."""
    order = np.argsort(images.labels, kind="stable")
    return Presentations(
        images.x[order], images.labels[order], images.stimulus_id[order], images.on[order],
        images.positions,
    )  # fmt: skip


def aligned(run: ExtensionRun) -> NDArray[np.int64]:
    """Return the class of each test image, in the order that images and activations share.

    Raises
    ------
    StoreError
        If the activations are of other images.
    """
    layer = next(iter(run.activations.children.values())).to_dataset()
    if not np.array_equal(layer["stimulus_id"].values, run.test_images.stimulus_id):
        raise StoreError(
            f"{run.files['activations']}: is not of the test images that are configured; delete it "
            "and make it again."
        )
    return run.test_images.labels


def halves(labels: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide images into two halves with as many of each class: units are chosen on the first.

    What is then measured on the second does not depend on the images that units were chosen with.

    Returns
    -------
    tuple
        Positions in `labels`, ascending: every other image of each class.

    Examples
    --------
    >>> [half.tolist() for half in halves(np.array([0, 0, 0, 1, 1]))]
    [[0, 2, 3], [1, 4]]
    """
    labels = np.asarray(labels)
    rank = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        rank[here] = np.arange(len(here))
    return np.flatnonzero(rank % 2 == 0), np.flatnonzero(rank % 2 == 1)


def some_of_each(
    labels: NDArray[np.integer], rows: Iterable[int], per_class: int | None
) -> NDArray[np.int64]:
    """Return the first images of each class among some rows; None takes all of them.

    Examples
    --------
    >>> some_of_each(np.array([0, 0, 1, 1]), [0, 1, 2, 3], 1).tolist()
    [0, 2]
    """
    rows = np.asarray(list(rows), np.int64)
    if per_class is None:
        return rows
    kept = [rows[labels[rows] == label][:per_class] for label in np.unique(labels)]
    return np.sort(np.concatenate(kept)) if kept else rows


def part_of(tree: xr.DataTree, rows: NDArray[np.int64]) -> xr.DataTree:
    """Return some presentations of a run's activations."""
    layers = {
        name: layer.to_dataset().isel(presentation=rows) for name, layer in tree.children.items()
    }
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=tree.attrs), **layers})
