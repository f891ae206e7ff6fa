"""Figure 2: sizes of ensembles by class, model and layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from ffensembles.analyses.tidy import over_seeds
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
    INK,
    MODEL_COLOURS,
    category_ticks,
    new_figure,
    styled,
)

_FLOOR: dict[str, Any] = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 2))}
_BAR = 0.27  # of the distance between two categories


@styled
def figure2(
    sizes: pd.DataFrame,
    labels: Mapping[str, DatasetLabel],
    *,
    quantile: float = 0.95,
    layers: Sequence[int] = (1, 2, 3),
) -> Figure:
    """Draw figure 2: a row of panels per data set, a column per layer.

    Bars are means over runs, on a logarithmic axis; a mean of exactly 0 has no place there and
    is an open triangle at its foot, a class that is lost in every run a cross.

    Parameters
    ----------
    sizes
        Rows of `analyses.sizes.sizes_frame` of all runs, with their keys.
    labels
        The data sets to show, in this order.
    quantile
        Method 1's quantile.
    layers
        The layers to show.
    """
    rows = _rows(sizes, labels, quantile, layers)
    foot, top = _limits(rows)
    width = FULL_WIDTH if len(layers) > 1 else COLUMN_WIDTH
    figure = new_figure(width, 0.3 + 1.9 * len(labels))
    grid = figure.subplots(len(labels), len(layers), sharey=True, squeeze=False)
    for line, (dataset, label) in zip(grid, labels.items(), strict=True):
        for axes, layer in zip(line, layers, strict=True):
            here = rows[(rows.dataset == dataset) & (rows.layer == layer)]
            _bars(axes, here, len(label.categories), foot)
            axes.set_yscale("log")
            axes.set_ylim(foot, top)
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_title(f"{label.title}, layer {layer}")
            category_ticks(axes, label.categories)
            axes.tick_params(axis="x", length=0)
        line[0].set_ylabel("Active units")
    models = [Patch(color=MODEL_COLOURS[m], label=MODEL_TITLES[m]) for m in models_in(rows)]
    floor = Line2D([], [], label="Floor of Method 1", **_FLOOR)
    figure.legend(handles=[*models, floor], loc="outside upper center", ncols=4)
    return figure


def caption2(
    sizes: pd.DataFrame,
    labels: Mapping[str, DatasetLabel],
    *,
    quantile: float = 0.95,
    layers: Sequence[int] = (1, 2, 3),
) -> str:
    """Write figure 2's caption for these runs."""
    rows = _rows(sizes, labels, quantile, layers)
    models = models_in(rows)
    runs = rows.groupby(["dataset", "model"])["seed"].nunique()
    n_runs = sorted(set(runs))
    said = listed(map(str, n_runs)) if len(n_runs) < 3 else f"{n_runs[0]} to {n_runs[-1]}"
    means = []
    for dataset, label in labels.items():
        for layer in layers:
            here = rows[(rows.dataset == dataset) & (rows.layer == layer)]
            parts = []
            for model in models:
                per_run = here[here.model == model].groupby("seed")["size"].mean()
                parts.append(
                    f"{MODEL_TITLES[model]} {mean_and_error(per_run, 1, count=len(n_runs) > 1)}"
                )
            means.append(f"{escape(label.title)}, layer {layer}: {listed(parts)}.")
    missing, zero = int(rows["size"].isna().sum()), _averages(rows)["mean"].eq(0).any()
    floors = rows[["units", "floor"]].drop_duplicates().sort_values("units")
    return paragraph(
        2,
        "Size of ensembles by class",
        f"Number of active units by Method 1 at quantile {quantile:g}, on a logarithmic axis; "
        f"bars are means over {said} {'run' if n_runs == [1] else 'runs'} per model"
        f"{'' if n_runs == [1] else ', whiskers one standard error'} (the study: 15 runs).",
        "The dashed line is the method's floor, the number of units it finds where activations do "
        "not depend on the image: "
        f"{listed(f'{number(f, 1)} of {u}' for u, f in floors.itertuples(index=False))}.",
        "An open triangle at the foot is a mean of 0." if zero else "",
        f"Of {len(rows):,} ensembles, {missing:,} {'is' if missing == 1 else 'are'} missing, the "
        "class having no correctly classified image (a cross where that is so in every run)."
        if missing
        else "",
        "Means over classes:",
        *means,
        differences(labels, models, rows["protocol"].iloc[0], ["mnist"]) if len(rows) else "",
    )


def _rows(
    sizes: pd.DataFrame,
    labels: Mapping[str, DatasetLabel],
    quantile: float,
    layers: Sequence[int],
) -> pd.DataFrame:
    rows = whole(sizes)
    return rows[
        (rows.method == "method1")
        & np.isclose(rows["quantile"].astype(float), quantile)
        & rows.dataset.isin(list(labels))
        & rows.layer.isin(list(layers))
    ]


def _averages(rows: pd.DataFrame) -> pd.DataFrame:
    return over_seeds(rows, "size", ["dataset", "model", "layer", "category"])


def _limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the axis: a little below the smallest mean above 0, above the largest."""
    averages = _averages(rows)
    means = averages["mean"][averages["mean"] > 0]
    if means.empty:
        return 0.5, 10.0
    top = float((averages["mean"] + averages["se"].fillna(0)).max())
    return min(0.5, float(means.min()) / 2), 2 * max(6, top, float(rows["floor"].max()))


def _bars(axes: Axes, rows: pd.DataFrame, n_categories: int, foot: float) -> None:
    models = models_in(rows)
    for i, model in enumerate(models):
        found = _averages(rows[rows.model == model]).set_index("category")
        found = found.reindex(range(n_categories))
        x = np.arange(n_categories) + (i - (len(models) - 1) / 2) * _BAR
        mean, se = (found[name].to_numpy(dtype=float) for name in ("mean", "se"))
        colour = MODEL_COLOURS[model]
        shown = mean > 0
        axes.bar(
            x[shown], mean[shown] - foot, _BAR, bottom=foot, color=colour, linewidth=0,
        )  # fmt: skip
        whiskers = shown & (se > 0)
        low = np.minimum(se, mean - foot)
        axes.errorbar(
            x[whiskers], mean[whiskers], [low[whiskers], se[whiskers]], fmt="none",
            ecolor=INK, elinewidth=0.6,
        )  # fmt: skip
        for here, marker in ((mean == 0, "^"), (np.isnan(mean), "x")):
            if not here.any():
                continue  # an empty line that may leave its axes unsettles the layout
            axes.plot(
                x[here], np.full(here.sum(), foot * 1.25), marker, color=colour, markersize=3.5,
                markerfacecolor="none", markeredgewidth=0.8, clip_on=False,
            )  # fmt: skip
    if len(rows):
        floor = float(rows["floor"].iloc[0])
        axes.axhline(floor, **_FLOOR)
    axes.set_xlim(-0.6, n_categories - 0.4)
