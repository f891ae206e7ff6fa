"""Hoyer sparsity of representations by model and layer, and by class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd

from ffensembles.plotting.captions import (
    as_published,
    differences,
    escape,
    mean_and_error,
    n_of_runs,
    paragraph,
)
from ffensembles.plotting.models import model_handles, models_in, title_of
from ffensembles.plotting.points import mean_handle, points_by_model, runs_text
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import whole
from ffensembles.plotting.style import (
    FULL_WIDTH,
    SMALL,
    category_ticks,
    new_figure,
    plain,
)
from ffensembles.runtime.keys import Field, Group
from ffensembles.runtime.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ffensembles.publication.published import Published


class Sparsity(Group):
    """Hoyer sparsity of representations by model and layer, and by class."""

    kind: Literal["sparsity"] = Field("sparsity", description="kind of figure")


def needs(parameters: Sparsity) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("sparsity",))


def draw(shown: Shown, parameters: Sparsity) -> Figure:
    """Draw, for each data set, sparsity over all images (A) and by class (B)."""
    rows = _rows(shown)
    layers, models = sorted(map(int, rows["layer"].unique())) or [1], models_in(rows)
    figure = new_figure(FULL_WIDTH, 0.5 + 1.85 * len(shown.labels))
    grid = figure.subplots(
        len(shown.labels), 1 + len(layers), sharey=True, squeeze=False,
        width_ratios=[1.15, *(1 for _ in layers)],
    )  # fmt: skip
    for (axes, *line), (dataset, label) in zip(grid, shown.labels.items(), strict=True):
        here = rows[rows.dataset == dataset]
        of_all = here[here.category.isna()]
        points_by_model(axes, of_all, "sparsity", "layer", layers, models, bar=9)
        _limits(axes, len(layers))
        axes.set_xticks(range(len(layers)), [f"layer {layer}" for layer in layers])
        axes.set_title(rf"$\mathbf{{A}}$   {plain(label.title)}", loc="left")
        axes.set_xlabel(runs_text(of_all, models), fontsize=SMALL)
        axes.set_ylabel("Hoyer sparsity")
        for part, layer in zip(line, layers, strict=True):
            of_layer = here[(here.layer == layer) & here.category.notna()]
            classes = range(len(label.categories))
            points_by_model(
                part, of_layer, "sparsity", "category", classes, models, size=2.4, bar=3
            )
            _limits(part, len(classes))
            category_ticks(part, label.categories)
            letter = r"$\mathbf{B}$   " if layer == layers[0] else ""
            part.set_title(f"{letter}{plain(label.title)}, layer {layer}", loc="left")
            part.tick_params(axis="x", length=0)
    handles = [*model_handles(models), mean_handle()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def caption(shown: Shown, parameters: Sparsity) -> str:
    """Write the caption for these runs."""
    rows = _rows(shown)
    of_all = rows[rows.category.isna()]
    models = models_in(rows)
    runs = of_all.groupby(["dataset", "model"])["seed"].nunique()
    several = runs.nunique() > 1
    means, sources = [], []
    for dataset, label in shown.labels.items():
        of_dataset = of_all[of_all.dataset == dataset]
        for layer in sorted(of_dataset["layer"].unique()):
            parts = []
            for model in models:
                here = of_dataset[(of_dataset.layer == layer) & (of_dataset.model == model)]
                theirs = shown.published("sparsity", dataset, model, int(layer))
                said = mean_and_error(here["sparsity"], 3, count=several)
                parts.append(f"{title_of(model)} {said}{as_published(theirs, short=True)}")
                sources += [theirs] if theirs else []
            means.append(f"{escape(label.title)}, layer {layer}: {listed(parts)}.")
    silent, images = int(of_all["silent"].sum()), int(of_all["n_presentations"].sum())
    missing = int(of_all["sparsity"].isna().sum())
    return paragraph(
        shown.figure,
        "Sparsity of representations",
        "Hoyer sparsity of the activations of a layer, from 0 (all units equally active) to 1 (a "
        "single active unit), averaged over correctly classified test images: points are runs, "
        f"bars their means over {n_of_runs(runs, shown.study)} per model and data set. *A*: over "
        "all images; *B*: by class.",
        f"No unit at all is active in {silent:,} of {images:,} representations, counted over "
        "layers and runs; their sparsity is not defined and they are left out."
        if silent
        else "",
        f"Of {len(of_all):,} values of A, {missing:,} {'is' if missing == 1 else 'are'} missing."
        if missing
        else "",
        "Means of A:" if means else "There are no runs.",
        *means,
        f"The study's values: {listed(sorted({one.source for one in sources}))}{_known(sources)}."
        if sources
        else "",
        differences(shown, models),
    )


def _known(sources: Sequence[Published]) -> str:
    """Say of how many values the settings are not printed beside them."""
    inferred = sum(one.known != "printed" for one in sources)
    if not inferred:
        return ""
    return (
        f"; the settings of {inferred} of {len(sources)} are not printed beside them but follow "
        "from the order of a listing"
    )


def _rows(shown: Shown) -> pd.DataFrame:
    rows = whole(shown.frames["sparsity"])
    return rows[rows.dataset.isin(list(shown.labels))]


def _limits(axes: Axes, n: int) -> None:
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(-0.6, n - 0.4)


register(
    "Sparsity of representations", Sparsity, by_dataset=False, needs=needs, draw=draw,
    caption=caption,
)  # fmt: skip
