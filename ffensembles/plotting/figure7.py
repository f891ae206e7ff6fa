"""Figure 7: the distribution over units of the fraction of negative weights they receive."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from ffensembles.analyses.weights import weights_histogram
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.plotting.captions import (
    DatasetLabel,
    differences,
    escape,
    listed,
    mean_and_error,
    number,
    paragraph,
)
from ffensembles.plotting.runs import models_in, whole
from ffensembles.plotting.style import (
    COLUMN_WIDTH,
    FULL_WIDTH,
    MODEL_COLOURS,
    SMALL,
    new_figure,
    note,
    styled,
)
from ffensembles.publication.numbers import PROTOCOL, published


@styled
def figure7(
    by_unit: pd.DataFrame,
    labels: Mapping[str, DatasetLabel],
    *,
    layer: int = 2,
    bins: int = 50,
) -> Figure:
    """Draw figure 7: one panel per data set, the models in it one below the other.

    The axis is linear up to one unit per bin and logarithmic above, so that a bin with nearly
    all units and bins with a few can both be read.

    Parameters
    ----------
    by_unit
        Rows of `analyses.weights.weights_by_unit` of all runs, with their keys.
    labels
        The data sets to show, in this order.
    layer
        The layer to show.
    bins
        Number of bins between fractions 0 and 1.
    """
    rows = _rows(by_unit, labels, layer)
    models = models_in(rows) or list(MODEL_TITLES)
    figure = new_figure(FULL_WIDTH if len(labels) > 1 else COLUMN_WIDTH, 0.7 + 0.8 * len(models))
    grid = figure.subplots(len(models), len(labels), sharex=True, sharey=True, squeeze=False)
    for i, (dataset, label) in enumerate(labels.items()):
        grid[0, i].set_title(f"{label.title}, layer {layer}")
        for axes, model in zip(grid[:, i], models, strict=True):
            here = rows[(rows.dataset == dataset) & (rows.model == model)]
            if here.empty:
                note(axes, f"no run of {MODEL_TITLES[model]}")
            else:
                _distribution(axes, here, model, layer, bins)
    units = rows.groupby(["dataset", "model", "seed"]).size().max() if len(rows) else 1
    first = grid[0, 0]
    first.set_yscale("symlog", linthresh=1, linscale=0.5)
    first.set_ylim(0, 2 * units)
    first.set_yticks([0, *(10**k for k in range(int(np.log10(max(units, 1))) + 1))])
    first.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    first.yaxis.set_minor_locator(NullLocator())
    first.set_xlim(-0.01, 1.01)
    figure.supylabel(f"Units per bin of {1 / bins:g}, mean over runs")
    figure.supxlabel("Fraction of negative weights among those a unit receives")
    return figure


def caption7(by_unit: pd.DataFrame, labels: Mapping[str, DatasetLabel], *, layer: int = 2) -> str:
    """Write figure 7's caption for these runs."""
    rows = _rows(by_unit, labels, layer)
    models = models_in(rows)
    said = []
    for dataset, label in labels.items():
        parts = []
        for model in models:
            here = rows[(rows.dataset == dataset) & (rows.model == model)]
            if len(here):
                units = here.groupby("seed").size().iloc[0]
                parts.append(
                    f"{MODEL_TITLES[model]} {mean_and_error(_all_negative(here), 1)} of {units}, "
                    f"median fraction over units {number(float(here['negative'].median()))}"
                )
        said.append(f"{escape(label.title)}: {'; '.join(parts) or 'no run'}.")
    study = ""
    theirs = {model: published("all_negative_units", None, model, layer) for model in ("FF", "BP")}
    peak = published("negative_peak", None, "BPFF", layer)
    protocol = PROTOCOL if rows.empty else str(rows["protocol"].iloc[0])
    if protocol == PROTOCOL and peak and theirs["FF"] and theirs["BP"]:
        study = (
            f"The study reports {theirs['FF'].value:g} of 784 such units for FF, about "
            f"{theirs['BP'].value:g} for BP, and a peak near {peak.value:g} for BP/FF."
        )
    return paragraph(
        7,
        f"Fraction of negative weights by unit in layer {layer}",
        "Distribution over units of the fraction of incoming weights that are negative, biases "
        f"aside, for {listed(MODEL_TITLES[model] for model in models)}: number of units per bin, "
        "mean over runs, on an axis that is linear below one unit and logarithmic above.",
        "Units whose incoming weights are all negative:",
        *said,
        study,
        differences(labels, models, protocol),
    )


def _rows(by_unit: pd.DataFrame, labels: Mapping[str, DatasetLabel], layer: int) -> pd.DataFrame:
    rows = whole(by_unit)
    return rows[(rows.layer == layer) & rows.dataset.isin(list(labels))]


def _all_negative(rows: pd.DataFrame) -> pd.Series:
    """Count, in each run, the units that receive negative weights alone."""
    return (rows["negative"] == 1).groupby(rows["seed"]).sum()


def _distribution(axes: Axes, rows: pd.DataFrame, model: str, layer: int, bins: int) -> None:
    """Draw one model's histogram, with its name and how many units receive no positive weight."""
    found = weights_histogram(rows, layer, bins)
    edges = np.append(found["left"].to_numpy(), found["right"].iloc[-1])
    colour = MODEL_COLOURS[model]
    axes.stairs(found["units"].to_numpy(), edges, fill=True, color=colour, alpha=0.55, linewidth=0)
    axes.stairs(found["units"].to_numpy(), edges, color=colour, linewidth=0.9)
    none = number(float(_all_negative(rows).mean()), 1)
    axes.text(
        0.5, 0.96, rf"$\bf{{{MODEL_TITLES[model]}}}$   {none} units with negative weights alone",
        transform=axes.transAxes, ha="center", va="top", fontsize=SMALL,
    )  # fmt: skip
