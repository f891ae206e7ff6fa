"""Distribution over units of the fraction of negative or positive weights they receive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd

from ffensembles.plotting.captions import (
    as_published,
    differences,
    escape,
    mean_and_error,
    n_of_runs,
    number,
    paragraph,
)
from ffensembles.plotting.models import colour_of, models_in, title_of
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import whole
from ffensembles.plotting.style import (
    COLUMN_WIDTH,
    FULL_WIDTH,
    SMALL,
    count_axis,
    new_figure,
    note,
    plain,
)
from ffensembles.runtime.keys import Count, Field, Group
from ffensembles.runtime.text import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FRAME = "positive_weights_by_unit"


class Weights(Group):
    """Distribution over units of the fraction of negative or positive weights they receive."""

    kind: Literal["weights"] = Field("weights", description="kind of figure")
    layer: Count = Field(2, description="layer")
    bins: Count = Field(50, description="bins of the histogram")
    sign: Literal["negative", "positive"] = Field("negative", description="sign of the weights")
    scale: Literal["log", "linear"] = Field(
        "log", description="axis of units: logarithmic, linear up to one unit; or linear"
    )


def needs(parameters: Weights) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=(FRAME,))


def draw(shown: Shown, parameters: Weights) -> Figure:
    """Draw a histogram for each model and data set, the models one below the other."""
    rows = _rows(shown, parameters)
    models = models_in(rows)
    width = FULL_WIDTH if len(shown.labels) > 1 else COLUMN_WIDTH
    figure = new_figure(width, 0.7 + 0.85 * max(len(models), 2))
    grid = figure.subplots(
        max(len(models), 1), len(shown.labels), sharex=True, squeeze=False,
        sharey=parameters.scale == "log",
    )  # fmt: skip
    for i, (dataset, label) in enumerate(shown.labels.items()):
        grid[0, i].set_title(plain(f"{label.title}, layer {parameters.layer}"))
        if not models:
            note(grid[0, i], "no runs")
        for axes, model in zip(grid[:, i], models, strict=False):
            here = rows[(rows.dataset == dataset) & (rows.model == model)]
            if here.empty:
                note(axes, f"no run of {title_of(model)}")
            else:
                _distribution(axes, here, model, parameters)
            axes.set(xlabel="", ylabel="")
    if parameters.scale == "log":
        units = rows.groupby(["dataset", "model", "seed"]).size().max() if len(rows) else 1
        count_axis(grid[0, 0], 2 * units)
    for axes in grid.flat:
        # room for the model's name
        axes.set_ylim(0, None if parameters.scale == "log" else 1.3 * axes.get_ylim()[1])
    grid[0, 0].set_xlim(-0.01, 1.01)
    figure.supylabel(f"Units per bin of {1 / parameters.bins:g}, mean over runs")
    figure.supxlabel(f"Fraction of {parameters.sign} weights among those a unit receives")
    return figure


def caption(shown: Shown, parameters: Weights) -> str:
    """Write the caption for these runs."""
    rows, sign = _rows(shown, parameters), parameters.sign
    models = models_in(rows)
    runs = rows.groupby(["dataset", "model"])["seed"].nunique()
    said = []
    for dataset, label in shown.labels.items():
        parts = []
        for model in models:
            here = rows[(rows.dataset == dataset) & (rows.model == model)]
            if len(here):
                units = here.groupby("seed").size().iloc[0]
                parts.append(
                    f"{title_of(model)} {mean_and_error(_all(here, sign), 1)} of {units}, "
                    f"median fraction over units {number(float(here[sign].median()))}"
                )
        said.append(f"{escape(label.title)}: {'; '.join(parts) or 'no run'}.")
    found = [
        f"{title_of(model)}{text}"
        for model in models
        for quantity in (f"all_{sign}_units", f"{sign}_peak")
        if (text := as_published(shown.published(quantity, None, model, parameters.layer)))
    ]
    return paragraph(
        shown.figure,
        f"Fraction of {sign} weights by unit in layer {parameters.layer}",
        f"Distribution over units of the fraction of incoming weights that are {sign}, biases "
        f"left out, for {listed(title_of(model) for model in models)}: number of units per bin, "
        f"mean over {n_of_runs(runs, shown.study)} per model and data set, "
        f"{_AXIS[parameters.scale]}.",
        f"Units whose incoming weights are all {sign}:",
        *said,
        f"Published: {'; '.join(found)}." if found else "",
        differences(shown, models),
    )


_AXIS = {
    "log": "on an axis that is linear up to one unit and logarithmic beyond",
    "linear": "each on an axis of its own",
}


def _rows(shown: Shown, parameters: Weights) -> pd.DataFrame:
    rows = whole(shown.frames[FRAME])
    return rows[(rows.layer == parameters.layer) & rows.dataset.isin(list(shown.labels))]


def _all(rows: pd.DataFrame, sign: str) -> pd.Series:
    """Count, in each run, the units that receive weights of one sign alone."""
    return (rows[sign] == 1).groupby(rows["seed"]).sum()


def _distribution(axes: Axes, rows: pd.DataFrame, model: str, parameters: Weights) -> None:
    """Draw one model's histogram, with its name and how many units have one sign alone."""
    import seaborn as sns

    sign, runs = parameters.sign, rows["seed"].nunique()
    sns.histplot(
        x=rows[sign].to_numpy(dtype=float), weights=[1 / runs] * len(rows), bins=parameters.bins,
        binrange=(0, 1), element="step", color=colour_of(model), alpha=0.55, linewidth=0.9,
        ax=axes,
    )  # fmt: skip
    alone = number(float(_all(rows, sign).mean()), 1)
    axes.text(
        0.5, 0.96, rf"$\bf{{{title_of(model)}}}$   {alone} units with {sign} weights alone"
        f" (n = {runs})", transform=axes.transAxes, ha="center", va="top", fontsize=SMALL,
    )  # fmt: skip


register(
    "Signs of weights by unit", Weights, by_dataset=False, needs=needs, draw=draw, caption=caption
)
