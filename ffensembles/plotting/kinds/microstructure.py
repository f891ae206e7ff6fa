"""Microstructure of classes: how many have several patterns, and one class's patterns shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ffensembles.datasets import DATASETS
from ffensembles.extensions.classes import IMAGES
from ffensembles.extensions.results import found_by
from ffensembles.plotting.captions import (
    DatasetLabel,
    escape,
    n_of_runs,
    paragraph,
    spoken,
)
from ffensembles.plotting.models import model_handles, models_in, title_of
from ffensembles.plotting.pictures import Scale, activity_bar, activity_colours, scale_of
from ffensembles.plotting.points import mean_handle, null_symbols, points_by_model, runs_text
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import whole
from ffensembles.plotting.style import (
    FULL_WIDTH,
    GREY,
    INK,
    SMALL,
    new_figure,
    note,
    panel,
    plain,
    side_by_side,
    stacked,
)
from ffensembles.runtime.keys import Field, Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D


class Microstructure(Group):
    """Microstructure of classes: how many have several patterns, and one class's patterns shown."""

    kind: Literal["microstructure"] = Field("microstructure", description="kind of figure")


def needs(parameters: Microstructure) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("microstructure",))


def draw(shown: Shown, parameters: Microstructure) -> Figure:
    """Draw, for each data set, shares of classes (A), overlap (B), and an example (C, D)."""
    frame = _rows(shown)
    models = models_in(frame)
    figure = new_figure(FULL_WIDTH, 0.4 + 4.0 * len(shown.labels))
    for part, (dataset, label) in zip(
        stacked(figure, *(1 for _ in shown.labels)), shown.labels.items(), strict=True
    ):
        here = frame[frame.dataset == dataset]
        numbers, pictures = stacked(part, 1, 1.15)
        _numbers(numbers, here, models, label)
        _example(pictures, example_of(here), label)
    handles = [*model_handles(models), mean_handle(), *_null_handles()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _numbers(
    part: SubFigure, here: pd.DataFrame, models: Sequence[str], label: DatasetLabel
) -> None:
    """Draw the share of classes with several patterns, and the overlap of patterns."""
    share, overlap = part.subplots(1, 2)
    runs = here.groupby(["layer", "model", "seed"], sort=False)[
        ["several", "shuffled", "cloud", "jaccard", "jaccard_random"]
    ].mean().reset_index()  # fmt: skip
    layers = sorted(map(int, runs["layer"].unique())) or [IMAGES]
    hidden = [layer for layer in layers if layer != IMAGES]
    share.set_title(rf"$\mathbf{{A}}$   {plain(label.title)}", loc="left")
    overlap.set_title(r"$\mathbf{B}$", loc="left")
    for axes, column, nulls, of, text in (
        (share, "several", ("shuffled", "cloud"), layers, "Share of classes"),
        (overlap, "jaccard", ("jaccard_random",), hidden, "Jaccard index"),
    ):
        if not runs[column].notna().any():
            note(axes, "nothing to show")
        points_by_model(axes, runs, column, "layer", of, models, bar=9)
        for null, fill in zip(nulls, ("none", GREY), strict=False):
            means = runs.groupby(["layer", "model"])[null].mean()
            null_symbols(axes, means, of, models, fill=fill)
        names = ["images" if layer == IMAGES else f"layer {layer}" for layer in of]
        axes.set_xticks(range(len(of)), names)
        axes.set_xlim(-0.6, len(of) - 0.4)
        axes.set_ylim(-0.04, 1.04)
        axes.set_ylabel(text)
    share.set_xlabel(runs_text(here, models), fontsize=SMALL)


def example_of(rows: pd.DataFrame) -> dict[str, Any] | None:
    """Choose the class to show: of the first model and run, the layer with the largest second one.

    Returns
    -------
    dict or None
        A row of the frame; None if there is no class with several patterns.
    """
    shown = rows[rows["map_activation"].notna()]
    if shown.empty:
        return None
    model = models_in(shown)[0]
    of_model = shown[shown["model"] == model]
    of_run = of_model[of_model["seed"] == of_model["seed"].min()]
    seconds = [float((np.asarray(pattern) == 1).mean()) for pattern in of_run["pattern"]]
    row: dict[str, Any] = of_run.iloc[int(np.argmax(seconds))].to_dict()
    return row


def _example(part: SubFigure, row: dict[str, Any] | None, label: DatasetLabel) -> None:
    """Draw typical images of each pattern of one class (C), and its activation map (D)."""
    if row is None:
        axes = part.subplots()
        axes.set_axis_off()
        note(axes, "no class has several patterns")
        return
    left, right = side_by_side(part, 1, 1.6)
    name = label.categories[int(row["category"])]
    panel(left, "C", spoken(name))
    panel(right, "D", f"{title_of(row['model'])}, layer {row['layer']}")
    patterns = np.asarray(row["example_pattern"])
    shape = DATASETS[str(row["dataset"])].shape
    images = np.asarray(row["example_image"], np.uint8).reshape(-1, *shape)
    count = int(patterns.max()) + 1
    across = int(np.bincount(patterns).max())
    grid = left.subplots(count, across, squeeze=False)
    for pattern, line in enumerate(grid):
        here = images[patterns == pattern]
        for axes in line:
            axes.set_axis_off()
        for axes, image in zip(line, here, strict=False):
            axes.imshow(image.transpose(1, 2, 0).squeeze(), cmap="gray_r")
        line[0].set_title(f"pattern {pattern + 1}", loc="left", fontsize=SMALL)
    axes = right.subplots()
    of_rows, values, scale = _map(row)
    image = axes.imshow(
        values, aspect="auto", cmap=activity_colours(), vmin=0, vmax=scale.limit, rasterized=True
    )
    edges = np.flatnonzero(np.diff(of_rows)) + 0.5
    axes.hlines(edges, -0.5, values.shape[1] - 0.5, color=INK, linewidth=0.6)
    centres = [float(np.flatnonzero(of_rows == one).mean()) for one in np.unique(of_rows)]
    axes.set_yticks(centres, [f"pattern {one + 1}" for one in np.unique(of_rows)])
    axes.set_xticks([])
    axes.set_xlabel(f"{values.shape[1]} units in which patterns differ most")
    activity_bar(right, image, axes, "Activation", scale, pad=0.01, aspect=25)


def _map(row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, Scale]:
    of_rows = np.asarray(row["map_pattern"])
    values = np.asarray(row["map_activation"], float).reshape(len(of_rows), -1)
    return of_rows, values, scale_of(values)


def _null_handles() -> list[Line2D]:
    from matplotlib.lines import Line2D

    return [
        Line2D(
            [], [], linestyle="", marker="o", markersize=4.5, color=GREY, markerfacecolor=fill,
            label=text,
        )
        for fill, text in (
            ("none", "units shuffled (A), random patterns (B)"),
            (GREY, "one normal cloud"),
        )
    ]  # fmt: skip


def caption(shown: Shown, parameters: Microstructure) -> str:
    """Write the caption for these runs."""
    rows = _rows(shown)
    runs = rows.groupby(["dataset", "model"])["seed"].nunique()
    said = []
    for dataset, label in shown.labels.items():
        row = example_of(rows[rows.dataset == dataset])
        if row is None:
            continue
        sizes = np.bincount(np.asarray(row["pattern"])[np.asarray(row["pattern"]) >= 0])
        of_rows, _, scale = _map(row)
        said.append(
            f"{escape(label.title)}: {escape(spoken(label.categories[int(row['category'])]))} in "
            f"layer {row['layer']} of {title_of(row['model'])} (seed {row['seed']}), "
            f"{' and '.join(map(str, sizes))} of {row['n_presentations']} images in its patterns; "
            f"the map shows {len(of_rows)} of them. {scale.said}".strip()
        )
    explained = f"{rows['explained'].mean():.0%}" if len(rows) else "a part"
    return paragraph(
        shown.figure,
        "Microstructure of classes",
        "Patterns are groups of a class's correctly classified images that HDBSCAN finds in the "
        "leading principal components of a layer's activations (or of the pixels), which hold "
        f"{explained} of their variance on average. Over {n_of_runs(runs, {})} per model "
        "and data set. *A*: share of classes with several patterns; grey symbols are the nulls: "
        "each unit shuffled over images, and one normal cloud of the same covariance. *B*: Jaccard "
        "index of the active units of two patterns of a class, each pattern's own ensemble; grey: "
        f"images given to patterns at random. {found_by(rows)} *C*: images nearest to the mean of "
        "each pattern. *D*: activations of some images, sorted by pattern, in the units in which "
        "patterns differ most. *C* and *D* show, of the first run of the first model that has one, "
        "the class and layer whose second pattern has the largest share of the class's images.",
        *said,
    )


def _rows(shown: Shown) -> pd.DataFrame:
    rows = whole(shown.frames["microstructure"])
    rows = rows[rows.dataset.isin(list(shown.labels)) & (rows.n_presentations > rows.silent)]
    numbers = ["shuffled", "cloud", "jaccard", "jaccard_random"]
    rows = rows.astype(dict.fromkeys(numbers, float))  # an empty frame knows no types
    return rows.assign(several=(rows["patterns"] > 1).astype(float))


register(
    "Microstructure of classes", Microstructure, by_dataset=False, needs=needs, draw=draw,
    caption=caption,
)  # fmt: skip
