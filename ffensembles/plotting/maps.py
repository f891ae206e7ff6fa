"""Activation maps: a layer's activity on a sample of images, sorted by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ffensembles.ensembles import matrices
from ffensembles.plotting.captions import escape, lost, spoken
from ffensembles.plotting.pictures import (
    Scale,
    activity_bar,
    activity_colours,
    scale_of,
    unit_axis,
)
from ffensembles.plotting.runs import layer_of, names_of, unseen_of
from ffensembles.plotting.style import ACCENT, GREY, INK, SMALL, plain
from ffensembles.runtime.text import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.image import AxesImage

MAX_ROWS = 500
"""Rows of a map; more could be told apart neither on a page nor on a screen."""

_LEAST_SHARE = 0.06  # of a map's height, for each class: room for its name; half of it at most


@dataclass(frozen=True)
class SortedMap:
    """Activations of one layer, presentations sorted by class, ready to be shown.

    Attributes
    ----------
    image
        Shape (rows, units); NaN where a class has no presentation.
    edges
        First row of each class, and the number of rows at the end.
    counts
        Presentations of each class.
    block
        A row is the mean of at most so many presentations of one class.
    stretched
        Classes with so few presentations that their rows are repeated to be seen and named.
    """

    image: NDArray[np.float32]
    edges: tuple[int, ...]
    counts: tuple[int, ...]
    block: int
    stretched: tuple[int, ...]


def sorted_map(
    layer: xr.Dataset, n_classes: int, unseen: int | None = None, max_rows: int = MAX_ROWS
) -> SortedMap:
    """Put the presentations that analyses read in order, and average neighbours if there are many.

    Parameters
    ----------
    layer
        Activations of one layer; correctly classified presentations count, and all of the
        `unseen` class.
    n_classes
        Number of classes.
    unseen
        Label of a class the net was not trained on.
    max_rows
        Rows to show; beyond it, each row is the mean of consecutive presentations.
    """
    found = [x for _, x in matrices(layer, range(n_classes), unseen)]
    counts = [len(x) for x in found]
    block = max(1, -(-sum(counts) // max_rows))
    rows = [
        np.add.reduceat(x, np.arange(0, len(x), block), axis=0)
        / np.diff([*range(0, len(x), block), len(x)])[:, np.newaxis]
        if len(x)
        else x
        for x in found
    ]
    share = min(_LEAST_SHARE, 0.5 / n_classes)
    least = max(1, round(share * max(1, sum(map(len, rows)))))
    few = [c for c, x in enumerate(rows) if 0 < len(x) < least]
    blank = np.full((1, layer.sizes["neuroid"]), np.nan)
    shown = [
        x if len(x) >= least else np.repeat(x if len(x) else blank, -(-least // max(1, len(x))), 0)
        for x in rows
    ]
    edges = np.cumsum([0, *map(len, shown)])
    return SortedMap(
        np.concatenate(shown).astype(np.float32),
        tuple(edges.tolist()),
        tuple(counts),
        block,
        tuple(few),
    )


def draw_map(part: Figure | SubFigure, sample: xr.DataTree, layer: int) -> None:
    """Draw the activation map of one layer: units across, images down, sorted by class.

    The class that the net was not trained on is framed and named in the accent colour; a class
    without an image keeps a blank band that says so.
    """
    names, unseen = names_of(sample), unseen_of(sample)
    found = sorted_map(layer_of(sample, layer), len(names), unseen)
    scale = scale_of(found.image)
    axes = part.subplots()
    image = _bands(axes, found, names, unseen, scale)
    activity_bar(part, image, axes, "Activation", scale, pad=0.01, aspect=25)


def map_text(sample: xr.DataTree, layer: int) -> tuple[str, str]:
    """Say which images a map shows, of how many, and what else there is to know of it.

    Returns
    -------
    tuple of str
        What can follow "activations on"; sentences.
    """
    names, unseen = names_of(sample), unseen_of(sample)
    found = sorted_map(layer_of(sample, layer), len(names), unseen)
    counts = [int(count) for count in sample.attrs.get("counts", found.counts)]
    number, of = sum(found.counts), sum(counts)
    seen = "correctly classified test images"
    which = f"all {of:,} {seen}" if number == of else f"{number:,} of the {of:,} {seen}"
    if unseen is not None:
        seen_number, seen_of = number - found.counts[unseen], of - counts[unseen]
        which = (
            f"{seen_number:,} of the {seen_of:,} {seen} of the classes seen in training and on "
            f"{found.counts[unseen]:,} of the {counts[unseen]:,} test images of "
            f"{escape(spoken(names[unseen]))} (framed)"
        )
    most = int(sample.attrs.get("per_class", 0))
    if number < of and most:
        which += f", up to {most} of each class, drawn at random"
    which += ", sorted by class"
    if found.block > 1:
        which += f"; each row is the mean of up to {found.block} consecutive images"
    if found.stretched:
        few = listed(escape(spoken(names[category])) for category in found.stretched)
        which += f"; the few rows of {few} are drawn taller"
    empty = [name for name, count in zip(names, found.counts, strict=True) if not count]
    return which, " ".join(filter(None, [scale_of(found.image).said, lost(empty)]))


def _bands(
    axes: Axes, found: SortedMap, names: Sequence[str], unseen: int | None, scale: Scale
) -> AxesImage:
    from matplotlib.patches import Rectangle

    rows, units = found.image.shape
    image = axes.imshow(
        found.image, aspect="auto", cmap=activity_colours(), vmin=0, vmax=scale.limit,
        rasterized=True,
    )  # fmt: skip
    edges = np.asarray(found.edges) - 0.5
    axes.hlines(edges[1:-1], -0.5, units - 0.5, color=INK, linewidth=0.4)
    centres = (edges[:-1] + edges[1:]) / 2
    said = [plain(f"{name} (unseen)" if i == unseen else name) for i, name in enumerate(names)]
    axes.set_yticks(centres, said)
    axes.tick_params(axis="y", length=0)
    for centre, count in zip(centres, found.counts, strict=True):
        if not count:
            axes.text(
                (units - 1) / 2, centre, "no correctly classified image", ha="center",
                va="center", fontsize=SMALL, style="italic", color=GREY,
            )  # fmt: skip
    if unseen is not None:
        top, bottom = edges[unseen], edges[unseen + 1]
        axes.add_patch(
            Rectangle(
                (-0.5, top), units, bottom - top, fill=False, edgecolor=ACCENT, linewidth=1.5,
                clip_on=False, zorder=3,
            )
        )  # fmt: skip
        axes.get_yticklabels()[unseen].set(color=ACCENT, fontweight="bold")
    unit_axis(axes, units)
    axes.set_xlim(-0.5, units - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    for spine in axes.spines.values():
        spine.set_visible(True)
    axes.set_xlabel("Unit")
    axes.set_ylabel("Test images, sorted by class")
    return image
