"""The kinds of figure, by name: what each needs, its parameters, its drawing and its caption.

A *figure* of an edition is a kind with parameters: figure 1 of 2023 is `activity` with Method 1,
that of 2025 the same with LOO. To add a kind, write its module in `ffensembles.plotting.kinds`,
with one line that calls `register`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.style import styled
from ffensembles.publication.numbers import Published
from ffensembles.runtime.keys import Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Lookup = Callable[[str, str | None, str | None, int | None], Published | None]
"""Finds the published number of a quantity, data set, model and layer."""


def nothing_published(
    quantity: str, dataset: str | None = None, model: str | None = None, layer: int | None = None
) -> Published | None:
    """Return None: the edition has no published numbers."""
    return None


@dataclass(frozen=True)
class Shown:
    """What a figure is drawn from.

    Attributes
    ----------
    figure
        Its name, `figure3`: the caption takes its number from it; a name without a number gives
        a caption without one.
    edition
        The edition of the study it belongs to, `2023`.
    labels
        The data sets shown, by name.
    sample
        Activations of the example run on some images of each class
        (`representations.sample.sample_activations`); None where the kind needs none.
    ensembles
        Ensembles of the example run, by method.
    frames
        Tidy frames by name, of the edition's protocol alone: `Needs.frames` of all runs,
        `Needs.run_frames` of the runs that differ from the example in their seed only.
    published
        Finds a published number of the edition.
    study
        What the study's own figure showed: `datasets` (names), `epochs` (by model), `images`
        (training images by data set), `runs` (their number). A missing key is not spoken of.
    """

    figure: str
    edition: str
    labels: Mapping[str, DatasetLabel]
    sample: xr.DataTree | None = None
    ensembles: Mapping[str, xr.DataTree] = field(default_factory=dict)
    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    published: Lookup = nothing_published
    study: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Needs:
    """What must be there before a figure can be drawn.

    Attributes
    ----------
    sample
        Whether it shows activations of the example run.
    methods
        Methods whose ensembles of the example run it shows.
    frames
        Tidy frames of all runs of the protocol.
    run_frames
        Tidy frames of the runs that differ from the example in their seed only.
    """

    sample: bool = False
    methods: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    run_frames: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    Attributes
    ----------
    name, title
        Its name in the configuration; what it shows, in print.
    parameters
        Its parameters with their defaults; the first, `kind`, is its name.
    by_dataset
        One file for each data set, each of one example run; False: one file for all data sets.
    needs
        Says what must be there, given the parameters.
    draw, caption
        Make the figure and its caption, in reStructuredText, from what is `Shown`.
    """

    name: str
    title: str
    parameters: type[Group]
    by_dataset: bool
    needs: Callable[[Any], Needs]
    draw: Callable[[Shown, Any], Figure]
    caption: Callable[[Shown, Any], str]


KINDS: dict[str, Kind] = {}
"""Every kind of figure by name; filled when `ffensembles.plotting` is imported."""


def register(
    title: str,
    parameters: type[Group],
    *,
    by_dataset: bool,
    needs: Callable[[Any], Needs],
    draw: Callable[[Shown, Any], Figure],
    caption: Callable[[Shown, Any], str],
) -> None:
    """Register a kind of figure under the name that its parameter `kind` has."""
    name = parameters.model_fields["kind"].default
    KINDS[name] = Kind(name, title, parameters, by_dataset, needs, styled(draw), caption)
