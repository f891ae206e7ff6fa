"""Activation maps: a layer's activity on every image, sorted by class (figures 1C, 4A, 5, 6)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ffensembles.ensembles import matrices
from ffensembles.plotting.activity import activity_bar, activity_colours, unit_axis, upper_limit
from ffensembles.plotting.captions import (
    DatasetLabel,
    differences,
    escape,
    listed,
    lost,
    of_run,
    paragraph,
    spoken,
)
from ffensembles.plotting.runs import attributes, layer_of, names_of
from ffensembles.plotting.style import ACCENT, FULL_WIDTH, GREY, INK, SMALL, new_figure
from ffensembles.runtime.text import plural

MAX_ROWS = 500
"""Rows of a map; more could be told apart neither on a page nor on a screen."""

_LEAST_SHARE = 0.06  # of a map's height, for each category: room for its name


@dataclass(frozen=True)
class SortedMap:
    """Activations of one layer, presentations sorted by category, ready to be shown.

    Attributes
    ----------
    image
        Shape (rows, units); NaN where a category has no presentation.
    edges
        First row of each category, and the number of rows at the end.
    counts
        Presentations of each category.
    block
        A row is the mean of at most so many presentations of one category.
    stretched
        Categories with so few presentations that their rows are repeated to be seen and named.
    """

    image: NDArray[np.float32]
    edges: tuple[int, ...]
    counts: tuple[int, ...]
    block: int
    stretched: tuple[int, ...]


def sorted_map(
    layer: xr.Dataset, n_categories: int, unseen: int | None = None, max_rows: int = MAX_ROWS
) -> SortedMap:
    """Put the presentations that analyses read in order, and average neighbours if there are many.

    Parameters
    ----------
    layer
        Activations of one layer; correctly classified presentations count, and all of the
        `unseen` category.
    n_categories
        Number of categories.
    unseen
        Label of a class the net was not trained on.
    max_rows
        Rows to show; beyond it, each row is the mean of consecutive presentations.
    """
    found = [x for _, x in matrices(layer, range(n_categories), unseen)]
    counts = [len(x) for x in found]
    block = max(1, -(-sum(counts) // max_rows))
    rows = [
        np.add.reduceat(x, np.arange(0, len(x), block), axis=0)
        / np.diff([*range(0, len(x), block), len(x)])[:, np.newaxis]
        if len(x)
        else x
        for x in found
    ]
    least = max(1, round(_LEAST_SHARE * max(1, sum(map(len, rows)))))
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


def draw_map(
    axes: Axes,
    layer: xr.Dataset,
    names: Sequence[str],
    unseen: int | None = None,
    limit: float | None = None,
) -> AxesImage:
    """Show a layer's activations on all images: units across, images down, sorted by category.

    The `unseen` category is framed and named in the accent colour; a category without an image
    keeps a blank band that says so.
    """
    shown = sorted_map(layer, len(names), unseen)
    rows, units = shown.image.shape
    limit = upper_limit(shown.image) if limit is None else limit
    image = axes.imshow(
        shown.image, aspect="auto", cmap=activity_colours(), vmin=0, vmax=limit, rasterized=True
    )
    edges = np.asarray(shown.edges) - 0.5
    axes.hlines(edges[1:-1], -0.5, units - 0.5, color=INK, linewidth=0.4)
    centres = (edges[:-1] + edges[1:]) / 2
    said = [f"{name} (unseen)" if i == unseen else name for i, name in enumerate(names)]
    axes.set_yticks(centres, said)
    axes.tick_params(axis="y", length=0)
    for centre, count in zip(centres, shown.counts, strict=True):
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
    axes.set_xlabel("Neuroid (index)")
    axes.set_ylabel("Test images, sorted by category")
    return image


def drawn(shown: SortedMap, names: Sequence[str]) -> str:
    """Say in a caption how a map's rows come from images: averaged, or repeated to be seen."""
    said = ""
    if shown.block > 1:
        said = f"; each row is the mean of up to {shown.block} consecutive images"
    if shown.stretched:
        few = listed(escape(spoken(names[category])) for category in shown.stretched)
        said += f"; the few rows of {few} are drawn taller"
    return said


def map_figure(activations: xr.DataTree, layer: int) -> Figure:
    """Draw a layer's activations on all correctly classified images, sorted by class."""
    figure = new_figure(FULL_WIDTH, 3.4)
    axes = figure.subplots()
    image = draw_map(axes, layer_of(activations, layer), names_of(activations))
    axes.set_title(f"Activation on all correctly classified images, layer {layer}", loc="left")
    activity_bar(figure, image, axes, "Activation", pad=0.01, aspect=25)
    return figure


def map_caption(number: int, activations: xr.DataTree, label: DatasetLabel, layer: int) -> str:
    """Write the caption of a layer's activation map for this run."""
    names, attrs = names_of(activations), attributes(activations)
    activity = layer_of(activations, layer)
    shown = sorted_map(activity, len(names))
    return paragraph(
        number,
        f"Activation map of layer {layer}",
        f"{of_run(attrs, label)}.",
        f"Activations of the layer's {shown.image.shape[1]} units (columns) on the "
        f"{sum(shown.counts):,} correctly classified test images (rows), sorted by class"
        f"{drawn(shown, names)}; darker is more active. A dark vertical stripe inside a class's "
        "band is a unit of its ensemble.",
        _strongest(activity, len(names)),
        lost([name for name, count in zip(names, shown.counts, strict=True) if not count]),
        differences({attrs["dataset"]: label}, [attrs["model"]], attrs["protocol"], ["mnist"]),
    )


def _strongest(layer: xr.Dataset, n_categories: int) -> str:
    """Say how many classes have the same unit as their most active one."""
    units = [
        int(x.mean(axis=0).argmax()) for _, x in matrices(layer, range(n_categories)) if len(x)
    ]
    if len(units) < 2:
        return ""
    unit, count = Counter(units).most_common(1)[0]
    if count == 1:
        return "No two classes have the same most active unit."
    if count == len(units):
        return f"Unit {unit} is the most active on average for every class."
    different = plural(len(set(units)), "unit")
    return (
        f"Unit {unit} is the most active on average for {count} of {len(units)} classes; "
        f"all classes' most active ones are {different}."
    )
