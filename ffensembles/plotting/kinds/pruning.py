"""Pruning: accuracy and time of nets of some units alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from ffensembles.extensions.kinds.pruning import RULES, WHOLE
from ffensembles.extensions.results import found_by
from ffensembles.plotting.captions import differences, n_of_runs, paragraph
from ffensembles.plotting.models import colour_of, models_in, title_of
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import labels_in, whole
from ffensembles.plotting.style import (
    FULL_WIDTH,
    GREY,
    INK,
    log_axis,
    new_figure,
    note,
    plain,
)
from ffensembles.runtime.keys import Field, Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOOKS: dict[str, dict[str, Any]] = {
    "ensemble": {"linestyle": "-", "marker": "o", "markersize": 3},
    "random": {"linestyle": (0, (2, 2)), "marker": None},
    "mean": {"linestyle": (0, (5, 2)), "marker": None},
    "norm": {"linestyle": (0, (1, 1.5)), "marker": None},
}


class PruningFigure(Group):
    """Nets of some units alone."""

    kind: Literal["pruning"] = Field("pruning", description="kind of figure")


def needs(parameters: PruningFigure) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("pruning",))


def draw(shown: Shown, parameters: PruningFigure) -> Figure:
    """Draw a row for each data set: accuracy by model against parameters kept, then times."""
    frame = _rows(shown)
    models, labels = models_in(frame), labels_in(shown, frame)
    figure = new_figure(FULL_WIDTH, 0.5 + 2.0 * len(labels))
    grid = figure.subplots(len(labels), len(models) + 1, squeeze=False)
    for line, (dataset, label) in zip(grid, labels.items(), strict=True):
        rows = frame[frame.dataset == dataset]
        for axes, model in zip(line, models, strict=False):
            of_model = rows[rows.model == model]
            _accuracies(axes, of_model, colour_of(model))
            n = of_model["seed"].nunique()
            axes.set_title(plain(f"{label.title}\n{title_of(model)} (n = {n})"))
            axes.set_xlabel("Share of parameters kept")
            axes.set_ylim(0, 1.02)
        line[0].set_ylabel("Accuracy")
        for model in models:
            _times(line[-1], rows[rows.model == model], colour_of(model), title_of(model))
        line[-1].set_title(plain(f"{label.title}\nTime to predict an image"))
        line[-1].set_xlabel("Share of parameters kept")
        line[-1].set_ylabel("Microseconds")
        if line[-1].get_legend_handles_labels()[0]:
            line[-1].legend()
    figure.legend(handles=_handles(), loc="outside upper center", ncols=3)
    return figure


def _accuracies(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    """Draw accuracy against the share of parameters, a line for each rule, thin ones for runs."""
    if rows.empty:
        note(axes, "no runs")
        axes.set_xticks([])
        return
    full = rows.loc[rows.rule == WHOLE, "accuracy"].mean()
    axes.axhline(full, color=GREY, linewidth=0.6)
    for rule, look in _LOOKS.items():
        here = rows[(rows.rule == rule) & rows.strongest.notna()]
        means, tint = _means(here, "accuracy"), colour if rule == "ensemble" else INK
        for _, run in here.sort_values("parameters_fraction").groupby("seed"):
            one = {**look, "marker": None, "color": tint, "linewidth": 0.5, "alpha": 0.4}
            axes.plot(run["parameters_fraction"], run["accuracy"], **one)
        axes.plot(means.index, means, color=tint, linewidth=1.0, **look)
    union = rows[(rows.rule == "ensemble") & rows.strongest.isna()]
    axes.plot(
        union.parameters_fraction, union.accuracy, "*", color=colour, markersize=7,
        markeredgecolor=INK, markeredgewidth=0.4, linestyle="",
    )  # fmt: skip
    log_axis(axes)


def _times(axes: Axes, rows: pd.DataFrame, colour: str, title: str) -> None:
    """Draw the time to predict an image against the share of parameters."""
    here = rows[rows.rule.isin(["ensemble", WHOLE])]
    here = here[here.strongest.notna() | (here.rule == WHOLE)]
    means = 1e6 * _means(here, "seconds")
    axes.plot(means.index, means, color=colour, marker="o", markersize=2.5, label=title)
    log_axis(axes)
    log_axis(axes, "y")


def _means(rows: pd.DataFrame, value: str) -> pd.Series[float]:
    """Return means over runs by the mean share of parameters, for each number of units."""
    levels = rows["strongest"].astype(float).fillna(float("inf"))
    means = rows.groupby(levels)[["parameters_fraction", value]].mean()
    return means.set_index("parameters_fraction")[value].astype(float)


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D

    names = {**RULES, "ensemble": "strongest units of each class"}
    handles = [
        Line2D([], [], color=INK, label=names[rule], **look) for rule, look in _LOOKS.items()
    ]
    star = Line2D([], [], color=INK, marker="*", markersize=7, linestyle="", label="all ensembles")
    return [*handles, star, Line2D([], [], color=GREY, linewidth=0.6, label="whole net")]


def _rows(shown: Shown) -> pd.DataFrame:
    rows = whole(shown.frames["pruning"])
    return rows[rows.dataset.isin(list(shown.labels))]


def caption(shown: Shown, parameters: PruningFigure) -> str:
    """Write the caption for these runs."""
    rows = _rows(shown)
    models = models_in(rows)
    runs = rows.groupby(["dataset", "model"])["seed"].nunique()
    levels = sorted(map(int, rows["strongest"].dropna().unique()))
    return paragraph(
        shown.figure,
        "Nets of some units alone",
        "Accuracy of nets from which all hidden units are removed but the strongest of each class "
        f"in each layer ({', '.join(map(str, levels))} of each class), against the share of "
        "parameters that stay; controls keep as many units in each layer. Nothing is trained "
        "again. Accuracy is that on some images of each class, the same in every run, and so not "
        "quite that of all test images. Stars: the union of all ensembles, one for each run. Thin "
        f"lines are runs, {n_of_runs(runs, {})} per model and data set, thick lines their means.",
        "*Right*: time to predict an image in a batch, the least of several timings, of the nets "
        "of the strongest units and of the whole net.",
        found_by(rows),
        differences(shown, models),
    )


register(
    "Nets of some units alone",
    PruningFigure,
    by_dataset=False,
    needs=needs,
    draw=draw,
    caption=caption,
)
