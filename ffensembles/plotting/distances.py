"""Distances of runs to the publication: a row for each setting, a panel for each data set."""

from collections.abc import Collection, Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ffensembles.plotting.models import model_handles, models_in
from ffensembles.plotting.points import mean_handle, points_by_model
from ffensembles.plotting.style import FULL_WIDTH, GREY, PALE, new_figure, note
from ffensembles.publication.sweep import POOLED

_ROW = 0.26  # inches for each row of one line
_LINE = 0.12  # inches for each further line


def draw_distances(
    scores: pd.DataFrame, names: Sequence[str], parted: Collection[int], titles: Mapping[str, str]
) -> Figure:
    """Draw one point for each run, at its distance.

    Parameters
    ----------
    scores
        One row for each run: `dataset`, `model`, `distance` in tolerances, and `row`, its place.
    names
        What each row is called; it may have several lines.
    parted
        Rows with a stronger line above them.
    titles
        How data sets are called, in the order of their panels.
    """
    known = dict.fromkeys([*titles, *scores.dataset])
    datasets = [name for name in known if (scores.dataset == name).any()]
    models = models_in(scores)
    lines = sum(name.count("\n") for name in names)
    figure = new_figure(FULL_WIDTH, 0.8 + _ROW * len(names) + _LINE * lines)
    panels = figure.subplots(1, len(datasets), sharex=True, sharey=True, squeeze=False)[0]
    for axes, dataset in zip(panels, datasets, strict=True):
        points_by_model(
            axes, scores[scores.dataset == dataset], "distance", "row", range(len(names)), models,
            size=4, bar=6, horizontal=True, looks={POOLED: (GREY, "D")},
        )  # fmt: skip
        for place in range(1, len(names)):
            colour = GREY if place in parted else PALE
            axes.axhline(place - 0.5, color=colour, linewidth=0.5, zorder=0)
        axes.set_title(titles.get(dataset, dataset))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=PALE, linewidth=0.5)
        axes.set_axisbelow(True)
    panels[0].set_xlim(left=0)  # once all points are there: it ends the axes' own scaling
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    figure.supxlabel("Distance to the published values (tolerances, mean over numbers)")
    handles = model_handles(model for model in models if model != POOLED)
    if POOLED in models:
        handles.append(
            Line2D([], [], linestyle="", marker="D", color=GREY, markersize=4, label="all models")
        )
    if scores.duplicated(["dataset", "model", "row"]).any():
        handles.append(mean_handle(horizontal=True))
    figure.legend(handles=handles, loc="outside upper center", ncols=5)
    return figure


def draw_nothing(why: str) -> Figure:
    """Draw a figure that says why nothing is in it."""
    figure = new_figure(FULL_WIDTH, 1)
    axes = figure.subplots()
    axes.set_axis_off()
    note(axes, why)
    return figure
