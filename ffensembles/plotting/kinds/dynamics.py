"""Accuracy, ensembles and sparsity against epochs of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from ffensembles.extensions.kinds.dynamics import curves
from ffensembles.extensions.results import found_by
from ffensembles.plotting.captions import differences, escape, n_of_runs, paragraph
from ffensembles.plotting.models import models_in, title_of
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import whole
from ffensembles.plotting.style import (
    BLUE,
    FULL_WIDTH,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SMALL,
    new_figure,
    note,
    plain,
)
from ffensembles.runtime.keys import Field, Group
from ffensembles.runtime.text import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CURVES: dict[str, tuple[str, dict[str, Any]]] = {
    "accuracy": ("accuracy", {"color": BLUE}),
    "jaccard": ("ensembles: Jaccard index with the final ones", {"color": ORANGE}),
    "jaccard_chance": ("Jaccard index by chance", {"color": GREY, "linestyle": (0, (1, 2))}),
    "formed": ("classes with an ensemble", {"color": GREEN}),
    "sparsity": ("Hoyer sparsity", {"color": PURPLE}),
}
"""Columns of `curves` that are drawn, all between 0 and 1: their words and their lines."""


class DynamicsCurves(Group):
    """Accuracy, ensembles and sparsity against epochs of training."""

    kind: Literal["dynamics"] = Field("dynamics", description="kind of figure")


def needs(parameters: DynamicsCurves) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("dynamics",))


def draw(shown: Shown, parameters: DynamicsCurves) -> Figure:
    """Draw a row of panels for each data set and model, a column for each layer."""
    from matplotlib.lines import Line2D

    rows = _rows(shown)
    groups = [(d, m) for d in shown.labels for m in models_in(rows[rows.dataset == d])]
    layers = sorted(map(int, rows["layer"].unique())) or [1]
    figure = new_figure(FULL_WIDTH, 0.9 + 1.3 * max(len(groups), 1))
    grid = figure.subplots(
        max(len(groups), 1), len(layers), sharex="row", sharey=True, squeeze=False
    )
    for line, (dataset, model) in zip(grid, groups, strict=False):
        here = rows[(rows.dataset == dataset) & (rows.model == model)]
        for axes, layer in zip(line, layers, strict=True):
            _panel(axes, here[here.layer == layer])
        title = f"{title_of(model)}\n{shown.labels[dataset].title}"
        line[0].set_ylabel(plain(title), fontsize=SMALL)
    if not groups:
        note(grid[0, 0], "no run was read while it trained")
    for axes, layer in zip(grid[0], layers, strict=True):
        axes.set_title(f"layer {layer}")
    figure.supxlabel("Epoch (logarithmic from 1 on; 0: untrained)")
    handles = [Line2D([], [], label=words, **style) for words, style in _CURVES.values()]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def caption(shown: Shown, parameters: DynamicsCurves) -> str:
    """Write the caption for these runs."""
    rows = _rows(shown)
    models = models_in(rows)
    runs = rows.groupby(["dataset", "model"])["seed"].nunique()
    last = rows.groupby(["dataset", "model"], sort=False, as_index=False)["epoch"].max()
    epochs = [
        f"{title_of(model)} on {escape(shown.labels[dataset].title)} {int(n):,}"
        for dataset, model, n in zip(last["dataset"], last["model"], last["epoch"], strict=True)
    ]
    return paragraph(
        shown.figure,
        "Ensembles while a net trains",
        f"Thin lines are runs, {n_of_runs(runs, {})} per model and data set, thick lines their "
        f"means. {found_by(shown.frames['dynamics'])} Jaccard indices are means over the classes "
        "with an ensemble to compare with, and 1 at the last epoch by definition; by chance: what "
        "two sets of units of these sizes, drawn at random, have. Read on a fixed sample of test "
        "images of each class, whether or not they are classified correctly. Epochs are those of "
        "a layer's own training where layers train one after another (FF), else of the net's. "
        "Accuracy is that of the layer alone (FF) or of the network (nets trained as a whole).",
        f"Last epochs: {listed(epochs)}." if epochs else "There are no readings.",
        differences(shown, models),
    )


def _rows(shown: Shown) -> pd.DataFrame:
    rows = whole(shown.frames["dynamics"])
    return curves(rows[rows.dataset.isin(list(shown.labels))])


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the curves of one layer."""
    for column, (_, style) in _CURVES.items():
        for _, run in rows.groupby("seed"):
            axes.plot(run["epoch"], run[column], linewidth=0.5, alpha=0.5, **style)
        mean = rows.groupby("epoch")[column].mean()
        axes.plot(mean.index, mean, linewidth=1.3, **style)
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.set_xlim(left=0)
    axes.set_ylim(-0.03, 1.03)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


register(
    "Ensembles while a net trains", DynamicsCurves, by_dataset=False, needs=needs, draw=draw,
    caption=caption,
)  # fmt: skip
