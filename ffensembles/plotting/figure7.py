"""Figure 7: the distribution over units of the fraction of negative weights they receive."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ffensembles.analyses.weights import weights_histogram
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
    MODEL_LINES,
    new_figure,
    note,
    styled,
)
from ffensembles.published import PROTOCOL, published
from ffensembles.recipe import MODEL_TITLES


@styled
def figure7(
    by_unit: pd.DataFrame,
    labels: Mapping[str, DatasetLabel],
    *,
    layer: int = 2,
    bins: int = 50,
) -> Figure:
    """Draw figure 7, one panel per data set.

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
    rows = whole(by_unit)
    figure = new_figure(FULL_WIDTH if len(labels) > 1 else COLUMN_WIDTH, 2.5)
    grid = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
    handles: dict[str, object] = {}
    for axes, (dataset, label) in zip(grid, labels.items(), strict=True):
        here = rows[(rows.dataset == dataset) & (rows.layer == layer)]
        axes.set_title(f"{label.title}, layer {layer}")
        axes.set_xlim(-0.02, 1.02)
        if here.empty:
            note(axes, "no run")
            continue
        handles |= _steps(axes, weights_histogram(here, layer, bins))
    units = rows[rows.layer == layer].groupby(["dataset", "model", "seed"]).size().max()
    grid[0].set_yscale("symlog", linthresh=1, linscale=0.5)
    grid[0].set_ylim(0, 1.6 * units)
    grid[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    grid[0].set_ylabel(f"Units per bin of {1 / bins:g} (mean over runs)")
    figure.supxlabel("Fraction of negative weights a unit receives")
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3)
    return figure


def caption7(by_unit: pd.DataFrame, labels: Mapping[str, DatasetLabel], *, layer: int = 2) -> str:
    """Write figure 7's caption for these runs."""
    rows = whole(by_unit)
    rows = rows[(rows.layer == layer) & rows.dataset.isin(list(labels))]
    models, protocol = models_in(rows), rows["protocol"].iloc[0]
    said = []
    for dataset, label in labels.items():
        parts = []
        for model in models:
            here = rows[(rows.dataset == dataset) & (rows.model == model)]
            if here.empty:
                continue
            per_run = here.groupby("seed")["negative"]
            all_negative = per_run.agg(lambda values: (values == 1).sum())
            parts.append(
                f"{MODEL_TITLES[model]} {mean_and_error(all_negative, 1)} of {per_run.size().iloc[0]}, "
                f"median fraction {number(float(here['negative'].median()))}"
            )
        said.append(f"{escape(label.title)}: {'; '.join(parts) or 'no run'}.")
    study = ""
    theirs = {model: published("all_negative_units", None, model, layer) for model in ("FF", "BP")}
    peak = published("negative_peak", None, "BPFF", layer)
    if protocol == PROTOCOL and peak and theirs["FF"] and theirs["BP"]:
        study = (
            f"The study reports {theirs['FF'].value:g} of 784 such units for FF, about "
            f"{theirs['BP'].value:g} for BP, and a peak near {peak.value:g} for BP/FF."
        )
    return paragraph(
        7,
        f"Fraction of negative weights by unit in layer {layer}",
        f"Distribution over units of the fraction of incoming weights that are negative, biases "
        f"aside, for {listed(MODEL_TITLES[model] for model in models)}; number of units per bin, "
        "mean over runs, on an axis that is linear below one unit and logarithmic above.",
        "Units whose incoming weights are all negative:",
        *said,
        study,
        differences(labels, models, protocol, []) if False else "",
    )


def _steps(axes: Axes, histogram: pd.DataFrame) -> dict[str, object]:
    """Draw each model's histogram as an outline; return the lines by title."""
    lines = {}
    for model in models_in(histogram):
        bins = histogram[histogram.model == model]
        edges = np.append(bins["left"].to_numpy(), bins["right"].iloc[-1])
        lines[MODEL_TITLES[model]] = axes.stairs(
            bins["units"].to_numpy(), edges, color=MODEL_COLOURS[model], linewidth=1.2,
            linestyle=MODEL_LINES[model], fill=False, baseline=None,
        )  # fmt: skip
    return lines
