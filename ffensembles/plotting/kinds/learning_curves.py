"""Loss, goodness and winners against epochs of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from ffensembles.plotting.captions import (
    differences,
    escape,
    mean_and_error,
    n_of_runs,
    paragraph,
)
from ffensembles.plotting.models import models_in, title_of
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import whole
from ffensembles.plotting.style import (
    CYCLE,
    FULL_WIDTH,
    GREY,
    INK,
    SMALL,
    log_axis,
    new_figure,
    note,
    plain,
)
from ffensembles.runtime.keys import Field, Group
from ffensembles.runtime.text import listed, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NET = 0
"""`layer` in a history where a net is trained end to end."""

_PANELS: tuple[tuple[str, dict[str, str]], ...] = (
    ("Loss", {"loss": "-"}),
    ("Goodness", {"goodness_positive": "-", "goodness_negative": ":"}),
    ("Units that win", {"winners": "-"}),
)
"""Title of each column of panels, and its columns of the frame with their line styles."""


class LearningCurves(Group):
    """Loss, goodness and winners against epochs of training."""

    kind: Literal["learning_curves"] = Field("learning_curves", description="kind of figure")


def needs(parameters: LearningCurves) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("history",))


def draw(shown: Shown, parameters: LearningCurves) -> Figure:
    """Draw a row of panels for each data set and model, with a thin line for each run."""
    from matplotlib.lines import Line2D

    rows = _rows(shown)
    groups = [(d, m) for d in shown.labels for m in models_in(rows[rows.dataset == d])]
    figure = new_figure(FULL_WIDTH, 0.9 + 1.05 * max(len(groups), 1))
    grid = figure.subplots(max(len(groups), 1), len(_PANELS), sharex=True, squeeze=False)
    layers = sorted(map(int, rows["layer"].unique()))
    for line, (dataset, model) in zip(grid, groups, strict=False):
        here = rows[(rows.dataset == dataset) & (rows.model == model)]
        for axes, (_, columns) in zip(line, _PANELS, strict=True):
            _curves(axes, here, columns)
        title = f"{title_of(model)}, {shown.labels[dataset].title}"
        line[0].set_ylabel(plain(title.replace(", ", "\n")), fontsize=SMALL)
    if not groups:
        for axes in grid[0]:
            note(axes, "no runs")
    for axes, (name, _) in zip(grid[0], _PANELS, strict=True):
        axes.set_title(name)
    if groups:
        log_axis(grid[0, 0])
    figure.supxlabel("Epoch (logarithmic axis)")
    handles = [
        Line2D([], [], color=_colour(layer), label="all layers" if layer == _NET else
               f"layer {layer}") for layer in layers
    ]  # fmt: skip
    handles += [
        Line2D([], [], color=GREY, linestyle="-", label="positive data"),
        Line2D([], [], color=GREY, linestyle=":", label="negative data"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def caption(shown: Shown, parameters: LearningCurves) -> str:
    """Write the caption for these runs."""
    rows = _rows(shown)
    models = models_in(rows)
    runs = rows.groupby(["dataset", "model"])["seed"].nunique()
    said = []
    for dataset, label in shown.labels.items():
        of_dataset = rows[rows.dataset == dataset]
        parts = []
        for model in models_in(of_dataset):
            last = of_dataset[of_dataset.model == model].sort_values("epoch")
            last = last.groupby(["seed", "layer"]).last().reset_index()
            ends = [
                f"{mean_and_error(of_layer['loss'], 3, count=False)}"  # n is said once
                f"{'' if layer == _NET else f' in layer {layer}'}"
                for layer, of_layer in last.groupby("layer")
            ]
            n = plural(last["seed"].nunique(), "run")
            parts.append(f"{title_of(model)} ({n}) {listed(ends)}")
        if parts:
            said.append(f"{escape(label.title)}: {'; '.join(parts)}.")
    return paragraph(
        shown.figure,
        "Learning curves",
        f"Loss on the training data, goodness of positive (solid) and negative data (dotted), and "
        f"number of units that win for some image of a step (have the largest activation of their "
        "layer; of a net trained as a whole, of the last one; the most in any step of an epoch), "
        f"against epochs of training; a line is a run, {n_of_runs(runs, {})} per model "
        "and data set. Layers that are trained one by one have a colour each. Where goodness or "
        "winners have no part in training the panel says so.",
        "Loss at the end:" if said else "There are no runs.",
        *said,
        differences(shown, models),
    )


def _rows(shown: Shown) -> pd.DataFrame:
    rows = whole(shown.frames["history"])
    return rows[rows.dataset.isin(list(shown.labels))]


def _colour(layer: int) -> str:
    return INK if layer == _NET else CYCLE[(layer - 1) % len(CYCLE)]


def _curves(axes: Axes, rows: pd.DataFrame, columns: dict[str, str]) -> None:
    """Draw the columns of one panel: one line for each run and layer."""
    import seaborn as sns
    from matplotlib.ticker import MaxNLocator

    drawn = False
    for column, style in columns.items():
        known = rows.dropna(subset=[column])
        if known.empty:
            continue
        drawn = True
        layers = sorted(map(int, known["layer"].unique()))
        options: dict[str, Any] = {"palette": [_colour(layer) for layer in layers]}
        sns.lineplot(
            known.astype({column: float, "epoch": float, "layer": int}), x="epoch", y=column,
            hue="layer", hue_order=layers, units="seed", estimator=None, linestyle=style,
            linewidth=0.8, alpha=0.8, legend=False, ax=axes, **options,
        )  # fmt: skip
    axes.set(xlabel="", ylabel="")
    if not drawn:
        note(axes, "no part in training")
        axes.set_yticks([])
    else:
        axes.margins(y=0.08)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer="winners" in columns))


register(
    "Learning curves", LearningCurves, by_dataset=False, needs=needs, draw=draw, caption=caption
)
