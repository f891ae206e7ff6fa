"""Accuracy, sparsity and positive weights against steps on positive and negative data in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ffensembles.extensions.kinds.sleep_wake import JOINT, phases_of
from ffensembles.plotting.captions import escape, n_of_runs, paragraph
from ffensembles.plotting.models import (
    colour_of,
    marker_of,
    model_handles,
    models_in,
    title_of,
)
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.style import FULL_WIDTH, INK, new_figure, note, plain
from ffensembles.runtime.keys import Field, Group
from ffensembles.runtime.text import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANELS = {
    "accuracy": "Accuracy",
    "sparsity": "Hoyer sparsity",
    "positive": "Positive weights, fraction",
}
_LINES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (4, 2, 1, 2)))
"""Line styles of layers, from the first."""


class SleepWakePanels(Group):
    """Accuracy, sparsity and positive weights against phases."""

    kind: Literal["sleep_wake"] = Field("sleep_wake", description="kind of figure")


def needs(parameters: SleepWakePanels) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("sleep_wake",))


def draw(shown: Shown, parameters: SleepWakePanels) -> Figure:
    """Draw a row of three panels for each data set."""
    from matplotlib.lines import Line2D

    rows = _rows(shown)
    order = _order(rows)
    models, layers = models_in(rows), sorted(map(int, rows["layer"].unique()))
    figure = new_figure(FULL_WIDTH, 0.7 + 2.0 * len(shown.labels))
    grid = figure.subplots(len(shown.labels), len(_PANELS), squeeze=False)
    for line, (dataset, label) in zip(grid, shown.labels.items(), strict=True):
        here = rows[rows.dataset == dataset]
        for axes, (column, words) in zip(line, _PANELS.items(), strict=True):
            axes.set_title(plain(label.title), loc="left")
            axes.set_ylabel(words)
            if here.empty:
                note(axes, "no runs")
                continue
            of_net = column == "accuracy"
            for model in models:
                of_model = here[here.model == model]
                for place, layer in enumerate(layers[:1] if of_net else layers):
                    _curve(axes, of_model[of_model.layer == layer], column, order, place)
            axes.set_ylim(-0.03, 1.03)
            axes.set_xticks(range(len(order)), order, rotation=45, ha="right",
                            rotation_mode="anchor")  # fmt: skip
            axes.set_xlim(-0.5, len(order) - 0.5)
    handles = [*model_handles(models)]
    handles += [Line2D([], [], color=INK, linestyle=_LINES[place % len(_LINES)],
                       label=f"layer {layer}") for place, layer in enumerate(layers)]  # fmt: skip
    if handles:
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def caption(shown: Shown, parameters: SleepWakePanels) -> str:
    """Write the caption for these runs."""
    rows = _rows(shown)
    net = rows[rows.layer == rows.layer.min()]
    runs = net.groupby(["dataset", "model", "phases"])["seed"].nunique()
    fallen = net[net.collapsed.astype(bool)]
    counts = fallen.groupby(["dataset", "model", "phases"], sort=False).size()
    said = [
        f"{title_of(str(model))} on {escape(shown.labels[str(dataset)].title)}, {phases} ({n})"
        for (dataset, model, phases), n in counts.items()
    ]
    return paragraph(
        shown.figure,
        "Sleep and wake",
        "Phases n-m: n steps that learn from positive data alone, then m from negative data alone, "
        "in turn; in joint training every step learns from both. Accuracy is the net's. Points "
        f"are runs, {n_of_runs(runs, {})} per model, data set and phases, lines join their means.",
        f"Runs with an accuracy below twice that of a guess: {listed(said)}."
        if said
        else "No run has an accuracy below twice that of a guess."
        if len(net)
        else "There are no runs.",
    )


def _rows(shown: Shown) -> pd.DataFrame:
    rows = shown.frames["sleep_wake"]
    rows = rows[rows.dataset.isin(list(shown.labels))]
    return rows.assign(phases=phases_of(rows))


def _order(rows: pd.DataFrame) -> list[str]:
    """Return the phases as the axis shows them: joint training first, then by length."""
    known = rows[["positive_steps", "negative_steps", "phases"]].drop_duplicates()
    known = known.assign(total=known.positive_steps + known.negative_steps)
    ordered = known.sort_values(["total", "positive_steps"])["phases"].tolist()
    return [name if name == JOINT else name.removeprefix("phases ") for name in ordered]


def _curve(axes: Axes, rows: pd.DataFrame, column: str, order: list[str], place: int) -> None:
    """Draw the runs of one model and layer as dots, and a line through their means."""
    if rows.empty:
        return
    x = [order.index(name.removeprefix("phases ")) for name in rows["phases"]]
    values = rows[column].to_numpy(dtype=float)
    model = str(rows["model"].iloc[0])
    colour, marker = colour_of(model), marker_of(model)
    axes.plot(x, values, linestyle="", marker=marker, markersize=2.5, color=colour, alpha=0.6)
    means = pd.Series(values).groupby(np.asarray(x)).mean()
    axes.plot(means.index, means, color=colour, linestyle=_LINES[place % len(_LINES)])


register(
    "Sleep and wake", SleepWakePanels, by_dataset=False, needs=needs, draw=draw, caption=caption
)
