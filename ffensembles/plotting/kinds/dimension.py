"""Intrinsic dimension by layer and scale, and beside the size and sparsity of ensembles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from ffensembles.extensions.classes import IMAGES
from ffensembles.extensions.kinds.dimension import mostly_known
from ffensembles.extensions.results import found_by
from ffensembles.plotting.captions import escape, n_of_runs, paragraph
from ffensembles.plotting.models import (
    colour_of,
    marker_of,
    model_handles,
    models_in,
    title_of,
)
from ffensembles.plotting.points import mean_handle, null_symbols, points_by_model, runs_text
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import whole
from ffensembles.plotting.style import (
    FULL_WIDTH,
    GREY,
    SMALL,
    count_axis,
    log_axis,
    new_figure,
    note,
    plain,
)
from ffensembles.runtime.keys import Field, Group
from ffensembles.runtime.text import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_STYLES: tuple[Literal["-", "--", ":", "-."], ...] = (
    "-",
    "--",
    ":",
    "-.",
)  # of layers, the first after the images


class Dimension(Group):
    """Intrinsic dimension by layer and scale, and beside the size and sparsity of ensembles."""

    kind: Literal["dimension"] = Field("dimension", description="kind of figure")


def needs(parameters: Dimension) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("dimension",))


def draw(shown: Shown, parameters: Dimension) -> Figure:
    """Draw a row for each data set: by layer (A), by scale (B), against ensembles (C, D)."""
    frame = _rows(shown)
    models = models_in(frame)
    layers = sorted(map(int, frame["layer"].unique())) or [IMAGES]
    figure = new_figure(FULL_WIDTH, 0.6 + 1.9 * len(shown.labels))
    grid = figure.subplots(len(shown.labels), 4, squeeze=False, width_ratios=[1.25, 1, 1, 1])
    for (by_layer, by_scale, by_size, by_sparsity), (dataset, label) in zip(
        grid, shown.labels.items(), strict=True
    ):
        here = frame[frame.dataset == dataset]
        main = here[here.main]
        by_layer.set_title(rf"$\mathbf{{A}}$   {plain(label.title)}", loc="left")
        by_layer.set_ylabel("Intrinsic dimension")
        if main["dimension"].isna().all():
            note(by_layer, "nothing to estimate")
            continue
        _by_layer(by_layer, main, layers, models)
        _by_scale(by_scale, here, layers, models)
        _against(by_size, main, "size", models)
        _against(by_sparsity, main, "sparsity", models)
        for axes in (by_size, by_sparsity):  # A is beside them, since its null is far above
            axes.sharey(by_scale)
            axes.tick_params(labelleft=False)
        by_scale.set_ylim(bottom=0)
        by_scale.set_ylabel("Intrinsic dimension")
        by_layer.set_xlabel(runs_text(main.dropna(subset=["dimension"]), models), fontsize=SMALL)
        count_axis(by_size, float(main["size"].max()), "x")
        for axes, letter, text in (
            (by_scale, "B", "Order n of the neighbour"),
            (by_size, "C", "Units in the ensemble"),
            (by_sparsity, "D", "Hoyer sparsity"),
        ):
            axes.set_title(rf"$\mathbf{{{letter}}}$", loc="left")
            axes.set_xlabel(text)
    handles = [*model_handles(models), mean_handle(), _null_handle(), *_layer_handles(layers)]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _by_layer(axes: Axes, main: pd.DataFrame, layers: list[int], models: list[str]) -> None:
    """Draw the mean over classes of each run, with that of shuffled units in grey."""
    from matplotlib.ticker import LogLocator

    runs = _over_classes(main, ["layer"])
    null = runs.groupby(["layer", "model"])["shuffled"].mean()
    null_symbols(axes, null, layers, models, size=3.5)
    points_by_model(axes, runs, "dimension", "layer", layers, models, bar=7)
    log_axis(axes, "y")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.set_ylabel("Intrinsic dimension")
    names = ["images" if layer == IMAGES else f"layer {layer}" for layer in layers]
    axes.set_xticks(range(len(layers)), names)
    axes.set_xlim(-0.6, len(layers) - 0.4)


def _by_scale(axes: Axes, rows: pd.DataFrame, layers: list[int], models: list[str]) -> None:
    """Draw the mean over runs at each scale, with the spread between runs."""
    hidden = [layer for layer in layers if layer != IMAGES]
    runs = _over_classes(rows[rows["layer"] != IMAGES], ["layer", "order"])
    for model in models:
        for layer, style in zip(hidden, _STYLES, strict=False):
            here = runs[(runs.model == model) & (runs.layer == layer)]
            curve = here.groupby("order")["dimension"].agg(["mean", "min", "max"]).dropna()
            axes.plot(curve.index, curve["mean"], style, color=colour_of(model))
            axes.fill_between(
                curve.index, curve["min"], curve["max"], color=colour_of(model), alpha=0.15,
                linewidth=0,
            )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _against(axes: Axes, main: pd.DataFrame, column: str, models: list[str]) -> None:
    """Draw a point for each class and hidden layer, the mean over runs."""
    hidden = main[main["layer"] != IMAGES].dropna(subset=[column, "dimension"])
    for model in models:
        here = hidden[hidden.model == model]
        means = here.groupby(["layer", "category"])[[column, "dimension"]].mean()
        for layer, points in means.groupby("layer"):
            filled = layer == hidden["layer"].min()
            axes.plot(
                points[column], points["dimension"], marker_of(model), markersize=3,
                color=colour_of(model), markerfacecolor=None if filled else "none",
                markeredgewidth=0.6, alpha=0.8,
            )  # fmt: skip


def _over_classes(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Average over the classes of a run; missing where most of them have no dimension."""
    counted = mostly_known(rows).dropna(subset="dimension")
    means = counted.groupby([*by, "model", "seed"])[["dimension", "shuffled"]].mean()
    return means.reset_index()


def _null_handle() -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], linestyle="", marker="o", markersize=4, color=GREY, markerfacecolor="none",
        label="units shuffled",
    )  # fmt: skip


def _layer_handles(layers: list[int]) -> list[Line2D]:
    from matplotlib.lines import Line2D

    hidden = [layer for layer in layers if layer != IMAGES]
    return [
        Line2D([], [], color=GREY, linestyle=style, label=f"layer {layer} (B)")
        for layer, style in zip(hidden, _STYLES, strict=False)
    ]


def caption(shown: Shown, parameters: Dimension) -> str:
    """Write the caption for these runs."""
    rows = _rows(shown)
    main = rows[rows.main]
    runs = main.groupby(["dataset", "model"])["seed"].nunique()
    order = int(main["order"].iloc[0]) if len(main) else 0
    counted = main[main["n_presentations"] > 0]
    hidden = int((~counted["resolved"] & counted["radius"].notna()).sum())
    equal, silent = int(counted["duplicates"].sum()), int(counted["silent"].sum())
    few = int((counted["dimension"].isna() & counted["radius"].isna()).sum())
    errors = [
        f"{escape(shown.labels[str(dataset)].title)} {100 * float(share):.0f} %"
        for dataset, share in (main["se"] / main["dimension"])
        .groupby(main["dataset"], sort=False)
        .median()
        .items()
        if not np.isnan(share)
    ]
    return paragraph(
        shown.figure,
        "Intrinsic dimension of classes",
        "Dimension of a class's correctly classified images in the space of a layer's units (and "
        f"of their pixels), estimated by Gride from the distances to the neighbours {order} and "
        f"{2 * order} of each image, over {n_of_runs(runs, {})} per model and data set. "
        "*A*: means over classes; points are runs, bars their means, grey symbols the same with "
        "each unit shuffled over images; a run is left out, here and in *B*, where most of its "
        "classes have no dimension. *B*: by the order n of the nearer neighbour, the farther "
        "one's being 2n (n = 1: TwoNN); bands are the range over runs. *C*, *D*: classes in the "
        "first (filled) and further layers (open), means over runs, against the size of the "
        "ensemble and the sparsity.",
        found_by(rows),
        f"Median standard error of one class, from half samples: {'; '.join(errors)}."
        if errors
        else "",
        f"Left out, counted over runs, layers and classes: {silent:,} silent and {equal:,} "
        "repeated representations.",
        f"{hidden:,} of {len(counted):,} dimensions are missing since distances are less than 10 "
        "times what the store's rounding adds to them"
        f"{_mostly_missing(counted, shown)}."
        if hidden
        else "",
        f"{few:,} of {len(counted):,} are missing since the class has too few images."
        if few
        else "",
    )


def _mostly_missing(counted: pd.DataFrame, shown: Shown) -> str:
    """Say in which layers most classes of a model have no dimension, with how many have one."""
    said, by = [], ["dataset", "model", "layer"]
    for (dataset, model, layer), rows in counted.groupby(by, sort=False):
        known = int(rows["dimension"].count())
        if 2 * known < len(rows):
            title = escape(shown.labels[str(dataset)].title)
            where = "images" if layer == IMAGES else f"layer {layer}"
            of = f"{where} of {title_of(str(model))} on {title}"
            said.append(f"{known} of {len(rows)} are left in {of}")
    return f" ({listed(said)})" if said else ""


def _rows(shown: Shown) -> pd.DataFrame:
    rows = whole(shown.frames["dimension"])
    rows = rows[rows.dataset.isin(list(shown.labels))]
    # an empty frame knows no types
    rows = rows.astype({"main": bool, "resolved": bool, "dimension": float, "shuffled": float})
    return rows.assign(dimension=rows["dimension"].where(rows["resolved"]))


register(
    "Intrinsic dimension", Dimension, by_dataset=False, needs=needs, draw=draw, caption=caption
)
