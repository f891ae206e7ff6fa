"""The tidy frames that are measured on one run, by name: one file for each run and frame."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ffensembles.analyses.tidy import with_keys, write_frame
from ffensembles.representations.store import open_activations, open_tree
from ffensembles.representations.weights import load_weights


@dataclass(frozen=True)
class RunResults:
    """What a run left behind, opened when it is asked for.

    Attributes
    ----------
    run
        The run's keys: protocol, dataset, model, held_out, seed.
    files
        Its files by what they hold, those that the analysis asks for: `weights`, `activations`.
    stores
        Its ensembles' files by method.
    unlabelled
        Representations of unlabelled images by net, `trained` and `untrained`: by number of the
        layer (images, units); 0 are the images themselves.
    labels
        Classes of these images, (images,).
    """

    run: Mapping[str, Any]
    files: Mapping[str, str | Path] = field(default_factory=dict)
    stores: Mapping[str, str | Path] = field(default_factory=dict)
    unlabelled: Mapping[str, Mapping[int, NDArray[np.floating]]] = field(default_factory=dict)
    labels: NDArray[np.integer] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @cached_property
    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The net's weights."""
        return load_weights(self.files["weights"])

    @cached_property
    def activations(self) -> xr.DataTree:
        """Activations on all test images, read and checked once for all frames."""
        return open_activations(self.files["activations"]).load()

    @cached_property
    def ensembles(self) -> dict[str, xr.DataTree]:
        """The ensembles that each method found, read likewise."""
        return {method: open_tree(path).load() for method, path in self.stores.items()}

    def over_methods(self, measure: Callable[[xr.DataTree], pd.DataFrame]) -> pd.DataFrame:
        """Apply `measure` to the ensembles of each method and put the frames one below another."""
        return pd.concat([measure(tree) for tree in self.ensembles.values()], ignore_index=True)


@dataclass(frozen=True)
class RunFrame:
    """A frame that is measured on one run.

    Attributes
    ----------
    name
        Its name.
    measure
        The function that measures it.
    of
        Of which runs the frame across runs is: all, those trained on the `whole` data set, or
        those with a class held out.
    shuffled
        Whether it is also measured with labels shuffled, as a null; its ensembles alone then count.
    untrained
        Whether it is also measured on untrained nets.
    ending
        Format of the frame across runs: `parquet` where it is large.
    on_demand
        Whether it is measured by a rule of its own, and only where a figure or a table of the
        runs' edition shows it. Otherwise it is measured on every run.
    """

    name: str
    measure: Callable[[RunResults], pd.DataFrame]
    of: Literal["all", "whole", "held_out"] = "all"
    shuffled: bool = False
    untrained: bool = True
    ending: Literal["csv", "parquet"] = "csv"
    on_demand: bool = False

    @property
    def file(self) -> str:
        """The name of the file across runs."""
        return f"{self.name}.{self.ending}"


RUN_FRAMES: dict[str, RunFrame] = {}
"""Every registered frame by name; filled when `ffensembles.analyses` is imported."""


def run_frame(
    name: str, **options: Any
) -> Callable[[Callable[[RunResults], pd.DataFrame]], Callable[[RunResults], pd.DataFrame]]:
    """Register a function that measures a frame of one run; options as for `RunFrame`."""

    def registered(
        measure: Callable[[RunResults], pd.DataFrame],
    ) -> Callable[[RunResults], pd.DataFrame]:
        RUN_FRAMES[name] = RunFrame(name, measure, **options)
        return measure

    return registered


def measure_run(results: RunResults, files: Mapping[str, str | Path]) -> None:
    """Measure frames of a run and write each, with the run's keys, to its file.

    Parameters
    ----------
    results
        What the run left behind.
    files
        The file of each frame by the frame's name.

    Raises
    ------
    StoreError
        If a result of the run cannot be read, or a frame cannot be written.
    """
    for name, path in files.items():
        write_frame(with_keys(RUN_FRAMES[name].measure(results), results.run), path)
