"""Causality: what silencing and stimulating a class's ensemble does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from ffensembles.analyses.tidy import RUN_KEYS
from ffensembles.extensions.results import found_by
from ffensembles.plotting.captions import differences, n_of_runs, paragraph
from ffensembles.plotting.models import colour_of, marker_of, model_handles, models_in
from ffensembles.plotting.points import mean_handle, points_by_model
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import labels_in, whole
from ffensembles.plotting.style import (
    FULL_WIDTH,
    INK,
    PALE,
    count_axis,
    new_figure,
    note,
    panel,
    plain,
    side_by_side,
    stacked,
)
from ffensembles.runtime.keys import Field, Group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_CONDITIONS = {"ensemble": "ensemble", "next": "next strongest", "random": "random"}
_LINES: dict[str, Any] = {"ensemble": "-", "random": (0, (2, 2))}


class CausalityFigure(Group):
    """Silencing and stimulating ensembles."""

    kind: Literal["causality"] = Field("causality", description="kind of figure")


def needs(parameters: CausalityFigure) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("causality",))


def draw(shown: Shown, parameters: CausalityFigure) -> Figure:
    """Draw for each data set what silencing costs (A) and what stimulating brings up (B)."""
    frame = _rows(shown)
    models, labels = models_in(frame), labels_in(shown, frame)
    figure = new_figure(FULL_WIDTH, 0.4 + 3.6 * len(labels))
    for part, (dataset, label) in zip(
        stacked(figure, *[1.0] * len(labels)), labels.items(), strict=True
    ):
        rows = frame[frame.dataset == dataset]
        above, below = stacked(part, 1.0, 1.0)
        panel(above, "A", f"{label.title}: units of a class's ensemble silenced")
        _silenced(above, rows[rows.experiment == "silence"], models)
        panel(below, "B", f"{label.title}: units of a class's ensemble in layer 1 stimulated")
        _stimulated(below, rows[rows.experiment == "stimulate"], models)
    figure.legend(
        handles=[*model_handles(models), mean_handle(), *_line_handles()],
        loc="outside upper center", ncols=len(models) + 3,
    )  # fmt: skip
    return figure


def _silenced(part: SubFigure, rows: pd.DataFrame, models: list[str]) -> None:
    """Draw the loss of accuracy of the class (left) and of the others (right) for each layer."""
    layers = sorted(map(int, rows["layer"].unique())) or [1]
    lines = part.subplots(1, 2 * len(layers), sharey=True, squeeze=False)[0]
    for place, axes in enumerate(lines):
        layer, own = layers[place // 2], place % 2 == 0
        value = "own_loss" if own else "others_loss"
        here = _per_run(rows[rows.layer == layer], value, ["condition"])
        axes.axhline(0, color=PALE, linewidth=0.6, zorder=0)
        if here[value].notna().any():
            points_by_model(
                axes, here, value, "condition", list(_CONDITIONS), models, size=2.6, bar=5
            )
        else:
            note(axes, "no ensemble")
        axes.set_title(plain(f"layer {layer}: {'the class' if own else 'others'}"))
        axes.set_xticks(
            range(len(_CONDITIONS)), list(_CONDITIONS.values()), rotation=45, ha="right",
            rotation_mode="anchor",
        )  # fmt: skip
        axes.set_xlim(-0.5, len(_CONDITIONS) - 0.5)
    lines[0].set_ylabel("Loss of accuracy")


def _stimulated(part: SubFigure, rows: pd.DataFrame, models: list[str]) -> None:
    """Draw the share of images with the class's pattern against the units that are stimulated."""
    layers = sorted(map(int, rows["layer"].unique()))
    if not layers:
        note(part.subplots(), "one layer alone: nothing above it")
        return
    halves = side_by_side(part, *[1.0] * 2)
    for half, (images, words) in zip(
        halves, (("blank", "blank image"), ("other", "other classes")), strict=True
    ):
        line = half.subplots(1, len(layers), sharey=True, squeeze=False)[0]
        for axes, layer in zip(line, layers, strict=True):
            here = rows[(rows["images"] == images) & (rows.layer == layer)]
            for model in models:
                for condition, style in _LINES.items():
                    _curve(axes, here, model, condition, style)
            axes.set_title(plain(f"{words}, layer {layer}"))
            axes.set_xlabel("Units stimulated")
            axes.set_ylim(-0.03, 1.03)
            count_axis(axes, float(rows["units"].max()), "x")
        if images == "blank":
            line[0].set_ylabel("Share with the\nclass's pattern")


def _curve(axes: Axes, rows: pd.DataFrame, model: str, condition: str, style: Any) -> None:
    """Draw the mean over runs at each power of two; classes with fewer units no longer count.

    A line ends where fewer than half of the ensembles, or a single one of several runs, are left:
    from there it would show which classes have large ensembles.
    """
    here = rows[(rows.model == model) & rows.condition.isin([condition, _start(condition)])]
    here = here[(here.condition == condition) | (here.units == 0)]
    units = here["units"].astype(int)
    doubled = here[(units & (units - 1)) == 0]
    known = doubled.dropna(subset="identified").groupby("units")["seed"].agg(["size", "nunique"])
    left = (2 * known["size"] >= known["size"].max()) & (
        known["nunique"] >= min(2, known["nunique"].max())
    )
    per_run = _per_run(doubled, "identified", ["units"])
    means = per_run.groupby("units")["identified"].mean().loc[known.index[left]]
    if means.empty:
        return
    axes.plot(
        means.index.to_numpy(dtype=float), means.to_numpy(dtype=float), linestyle=style,
        color=colour_of(model), marker=marker_of(model) if condition == "ensemble" else None,
        markersize=2.5,
    )  # fmt: skip


def _start(condition: str) -> str:
    """Return the condition that says what is seen without stimulation."""
    return "ensemble" if condition == "random" else condition


def _line_handles() -> list[Any]:
    from matplotlib.lines import Line2D

    names = {"ensemble": "ensemble (B)", "random": "random units (B)"}
    return [
        Line2D([], [], color=INK, linestyle=style, label=names[name])
        for name, style in _LINES.items()
    ]


def _per_run(rows: pd.DataFrame, value: str, by: list[str]) -> pd.DataFrame:
    """Average over classes within each run."""
    keys = [*RUN_KEYS, *by]
    return rows.groupby(keys, dropna=False, sort=False)[value].mean().reset_index()


def _rows(shown: Shown) -> pd.DataFrame:
    rows = whole(shown.frames["causality"])
    return rows[rows.dataset.isin(list(shown.labels))]


def caption(shown: Shown, parameters: CausalityFigure) -> str:
    """Write the caption for these runs."""
    rows = _rows(shown)
    models = models_in(rows)
    runs = rows.groupby(["dataset", "model"])["seed"].nunique()
    silence = rows[rows.experiment == "silence"]
    ensembles = silence[silence.condition == "ensemble"]
    by_class = ensembles.groupby([*RUN_KEYS, "category"], dropna=False)["units"]
    lost = by_class.transform("max").eq(0).to_numpy(dtype=bool)
    sizes = ensembles.loc[~lost, "units"].astype(float)
    empty = int((sizes == 0).sum())
    sizes = sizes[sizes > 0]
    return paragraph(
        shown.figure,
        "Silencing and stimulating ensembles",
        "*A*: loss of accuracy of a class, and of all other classes, when the units of the class's "
        "ensemble in one layer are clamped to 0, or as many units with the next highest mean for "
        "the class, or as many random units outside of the ensemble. Points are runs (means over "
        f"classes), bars their means over {n_of_runs(runs, {})} per model and data set; ensembles "
        f"have {sizes.min():g} to {sizes.max():g} units."
        if len(sizes)
        else "",
        "*B*: units of a class's ensemble in layer 1 are clamped to their mean activation for the "
        "class, strongest first, on a blank image (one for each class) or on images of other "
        "classes; how often the activations of a layer above correlate most with the mean "
        "activations of that class. "
        "Broken lines: as many random units at the same activations. At 0: without "
        "stimulation. Lines are means over runs, of the classes whose ensemble has as many units; "
        "they end where fewer than half of the ensembles, or one run alone, have.",
        f"{int(lost.sum()):,} of {len(ensembles):,} ensembles are missing, their class having no "
        "unit in any layer."
        if lost.any()
        else "",
        f"{empty:,} of {len(ensembles):,} ensembles are empty and do not count." if empty else "",
        found_by(rows),
        differences(shown, models),
    )


register(
    "Silencing and stimulating ensembles", CausalityFigure, by_dataset=False, needs=needs,
    draw=draw, caption=caption,
)  # fmt: skip
