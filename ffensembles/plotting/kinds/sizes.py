"""Sizes of ensembles by class, model and layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from ffensembles.analyses.tidy import over_seeds
from ffensembles.plotting.captions import (
    differences,
    escape,
    mean_and_error,
    n_of_runs,
    number,
    paragraph,
)
from ffensembles.plotting.models import model_handles, models_in, title_of
from ffensembles.plotting.parameters import Found
from ffensembles.plotting.points import mean_handle, place_of, points_by_model, runs_text
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import by_method, whole
from ffensembles.plotting.style import (
    COLUMN_WIDTH,
    FULL_WIDTH,
    INK,
    PALE,
    category_ticks,
    count_axis,
    new_figure,
    plain,
)
from ffensembles.runtime.keys import Field, Quantile
from ffensembles.runtime.text import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FLOOR: dict[str, Any] = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 2))}


class Sizes(Found):
    """Sizes of ensembles by class, model and layer."""

    kind: Literal["sizes"] = Field("sizes", description="kind of figure")
    quantile: Quantile | None = Field(0.95, description="quantile, for methods that have one")


def needs(parameters: Sizes) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("sizes",))


def draw(shown: Shown, parameters: Sizes) -> Figure:
    """Draw a row of panels for each data set, a column for each layer: runs and their mean."""
    from matplotlib.lines import Line2D

    rows = _rows(shown, parameters)
    layers, models = sorted(map(int, rows["layer"].unique())) or [1], models_in(rows)
    width = FULL_WIDTH if len(layers) > 1 else COLUMN_WIDTH
    figure = new_figure(width, 0.4 + 2.0 * len(shown.labels))
    grid = figure.subplots(len(shown.labels), len(layers), sharey=True, squeeze=False)
    for line, (dataset, label) in zip(grid, shown.labels.items(), strict=True):
        for axes, layer in zip(line, layers, strict=True):
            here = rows[(rows.dataset == dataset) & (rows.layer == layer)]
            classes = range(len(label.categories))
            points_by_model(axes, here, "size", "category", classes, models, size=2.6, bar=4)
            count_axis(axes, max(rows["size"].max(), 1) if rows["size"].notna().any() else 10)
            _lost(axes, here, list(classes), models)
            for floor in here["floor"].dropna().unique()[:1]:
                axes.axhline(floor, **_FLOOR)
            axes.set_title(plain(f"{label.title}, layer {layer}"))
            category_ticks(axes, label.categories)
            axes.set_xlim(-0.5, len(classes) - 0.5)
            for between in list(classes)[1:]:
                axes.axvline(between - 0.5, color=PALE, linewidth=0.4, zorder=0)
            axes.tick_params(axis="x", length=0)
        line[0].set_ylabel(f"Active units\n{runs_text(rows[rows.dataset == dataset], models)}")
    handles = [*model_handles(models), mean_handle()]
    if rows["floor"].notna().any():
        handles.append(Line2D([], [], label="floor of the method", **_FLOOR))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def caption(shown: Shown, parameters: Sizes) -> str:
    """Write the caption for these runs."""
    rows = _rows(shown, parameters)
    models = models_in(rows)
    runs = rows.groupby(["dataset", "model"])["seed"].nunique()
    means = []
    for dataset, label in shown.labels.items():
        of_dataset = rows[rows.dataset == dataset]
        for layer in sorted(of_dataset["layer"].unique()):
            parts = []
            for model in models:
                here = of_dataset[(of_dataset.layer == layer) & (of_dataset.model == model)]
                per_run = here.groupby("seed")["size"].mean()
                several = runs.nunique() > 1
                parts.append(f"{title_of(model)} {mean_and_error(per_run, 1, count=several)}")
            means.append(f"{escape(label.title)}, layer {layer}: {listed(parts)}.")
    missing = int(rows["size"].isna().sum())
    floors = rows[["units", "floor"]].dropna().drop_duplicates().sort_values("units")
    floor = listed(f"{number(f, 1)} of {u}" for u, f in floors.itertuples(index=False))
    return paragraph(
        shown.figure,
        "Size of ensembles by class",
        f"Number of active units by {parameters.method_title}: points are runs, bars their means "
        f"over {n_of_runs(runs, shown.study)} per model and data set. The axis is linear up to 1 "
        "and logarithmic beyond.",
        "The dashed line is the method's floor, the number of units it finds where activations do "
        f"not depend on the image: {floor}."
        if len(floors)
        else "",
        f"Of {len(rows):,} ensembles, {missing:,} {'is' if missing == 1 else 'are'} missing, the "
        "class having no correctly classified image (a cross where that is so in every run)."
        if missing
        else "",
        "Means over classes:" if means else "There are no runs.",
        *means,
        differences(shown, models),
    )


def _rows(shown: Shown, parameters: Sizes) -> pd.DataFrame:
    rows = by_method(whole(shown.frames["sizes"]), parameters.method, parameters.at)
    return rows[rows.dataset.isin(list(shown.labels))]


def _lost(axes: Axes, rows: pd.DataFrame, classes: list[int], models: list[str]) -> None:
    """Mark with a cross each class that has no correctly classified image in any run."""
    if rows.empty:
        return
    from ffensembles.plotting.models import colour_of

    found = over_seeds(rows, "size", ["model", "category"])
    for model, category in found.loc[found["n_runs"] == 0, ["model", "category"]].to_numpy():
        x = classes.index(category) + place_of(models.index(model), len(models))
        axes.plot([x], [-0.12], "x", color=colour_of(model), markersize=3, markeredgewidth=0.8)


register(
    "Sizes of ensembles by class", Sizes, by_dataset=False, needs=needs, draw=draw, caption=caption
)
