"""A trained run in one's own hands: weights, recipe, activations, ensembles, frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ffensembles.analyses.tidy import read_frame
from ffensembles.errors import StoreError
from ffensembles.models.recipe import Recipe
from ffensembles.representations.store import open_activations, open_tree
from ffensembles.representations.weights import load_weights
from ffensembles.runtime.text import listed
from ffensembles.training.metadata import read_run

_NO_METHODS = ("activations", "sample")


@dataclass(frozen=True)
class TrainedRun:
    """The results of one run, each read when it is asked for.

    Attributes
    ----------
    folder
        The run's folder.
    metadata
        Content of its `run.json`: accuracy, warnings, provenance and more.
    """

    folder: Path
    metadata: Mapping[str, Any]

    def __repr__(self) -> str:
        """Say which run it is, and how accurate its net."""
        keys = ", ".join(f"{key}={value!r}" for key, value in self.run.items())
        return f"TrainedRun({keys}, accuracy={self.metadata['accuracy']['network']:.3f})"

    @property
    def run(self) -> Mapping[str, Any]:
        """The run's keys: protocol, dataset, model, held_out, seed."""
        keys: Mapping[str, Any] = self.metadata["run"]
        return keys

    @cached_property
    def recipe(self) -> Recipe:
        """The mathematics of the run."""
        return Recipe.from_json(self.metadata["recipe"])

    @cached_property
    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Weights and biases by name: `layer1.weight` (units, inputs), `layer1.bias` (units,).

        Raises
        ------
        StoreError
            If they are damaged, or not kept: a repository keeps frames alone.
        """
        return load_weights(self._kept("weights.safetensors"))

    @cached_property
    def representations(self) -> xr.DataTree:
        """Activations of every hidden layer on the test images; see `open_activations`.

        Raises
        ------
        StoreError
            If they are damaged, or not kept.
        """
        return open_activations(self._kept("activations.zarr.zip"))

    @cached_property
    def ensembles(self) -> dict[str, xr.DataTree]:
        """The ensembles that are stored, by method, each with a group `layer1` and so on.

        The variables are those that the method returns (`METHODS`). Empty where none are kept.
        """
        paths = sorted(self.folder.glob("*.zarr.zip"))
        names = {path.name.removesuffix(".zarr.zip"): path for path in paths}
        return {
            name: open_tree(path)
            for name, path in names.items()
            if name not in _NO_METHODS and not name.startswith("shuffled-")
        }

    def frame(self, name: str) -> pd.DataFrame:
        """Return a tidy frame of this run, with the run's keys in every row.

        Parameters
        ----------
        name
            `sizes`, `sharing`, `sparsity`, `positive_weights`, `positive_weights_by_unit`; of a run
            without a class `unseen`. `dissimilarities` and `probes` where a figure has asked for
            them. `shuffled-sizes` and `shuffled-sharing` where labels were shuffled (the null). Of
            extensions `causality`, `pruning` and so on where they were measured.

        Returns
        -------
        pandas.DataFrame
            Columns and their units are described where the frame is made: in
            `ffensembles.analyses` (`weights_frame`, say), those of an extension in its module in
            `ffensembles.extensions.kinds`. `layer` counts hidden layers from 1; layer 0 is the
            images themselves (`dimension`, `microstructure`, `dissimilarities`, `probes`), and in
            the frame of accuracies across runs the whole net.

        Raises
        ------
        StoreError
            If there is no such frame, or it has changed since it was written.
        """
        kept = [*self.folder.glob("frames/*.parquet"), *self.folder.glob("extensions/*.parquet")]
        known = {path.stem: path for path in kept}
        if name not in known:
            raise StoreError(
                f"{self.folder}: has no frame {name}; there are: {listed(sorted(known))}. Others "
                "are measured where a table or a figure asks for them, or an extension."
            )
        return read_frame(known[name])

    def _kept(self, name: str) -> Path:
        """Return the path of one of the run's files; say so where it is not there."""
        path = self.folder / name
        if not path.exists():
            raise StoreError(
                f"{path}: is not there. A repository keeps frames alone: train the run, or import "
                "it (`ffensembles import`), to have its weights, activations and ensembles."
            )
        return path

    def activations(
        self, images: ArrayLike, labels: ArrayLike | None = None, *, device: str = "cpu"
    ) -> xr.DataTree:
        """Read new images through the net.

        Parameters
        ----------
        images
            Grey or colour values in 0..255, shape (images, channels, height, width) or
            (images, height, width), of the size that the net was trained on.
        labels
            Class of each image. A net that reads labels gets its own label embedded, as when
            test images are read; None embeds the label that the net predicts.
        device
            Where to compute, as torch calls it.

        Returns
        -------
        xarray.DataTree
            As `representations`.

        Raises
        ------
        ValueError
            If the images do not have the size that the net reads, or if a value is no whole
            number in 0..255.
        """
        from ffensembles.representations.readout import read_images

        return read_images(
            self.weights, self.recipe, self.run, self.metadata, images, labels, device=device
        )


def load_run(folder: str | Path) -> TrainedRun:
    """Open the results of one trained run.

    Parameters
    ----------
    folder
        The run's folder: `results/runs/PROTOCOL/DATASET/MODEL/held-out-none/seed-0`.

    Returns
    -------
    TrainedRun
        The run; its files are read when they are asked for.

    Raises
    ------
    StoreError
        If there is no run, or its metadata are damaged.
    """
    folder = Path(folder)
    if not (folder / "run.json").exists():
        raise StoreError(f"{folder}: holds no run.json; name the folder of a finished run.")
    return TrainedRun(folder, read_run(folder / "run.json"))
