"""Sparsity against accuracy over control runs: the study's settings, and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd

from ffensembles.analyses.tidy import RUN_KEYS
from ffensembles.plotting.captions import escape, number, paragraph
from ffensembles.plotting.models import colour_of, models_in, title_of
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.style import FULL_WIDTH, INK, new_figure, note, plain
from ffensembles.runs import variation_of
from ffensembles.runtime.keys import Field, Group
from ffensembles.runtime.text import listed, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


class Control(Group):
    """Sparsity against accuracy over the control runs."""

    kind: Literal["control"] = Field("control", description="kind of figure")


def needs(parameters: Control) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("control_accuracy", "control_sparsity"))


def draw(shown: Shown, parameters: Control) -> Figure:
    """Draw, for each data set and layer, one point for each run: colour model, marker setting."""
    rows = _rows(shown)
    markers = _markers(rows)
    layers, models = sorted(map(int, rows["layer"].unique())) or [1], models_in(rows)
    figure = new_figure(FULL_WIDTH, 0.5 + 2.3 * len(shown.labels))
    grid = figure.subplots(len(shown.labels), len(layers), sharey=True, sharex="row", squeeze=False)
    for line, (dataset, label) in zip(grid, shown.labels.items(), strict=True):
        for axes, layer in zip(line, layers, strict=True):
            here = rows[(rows.dataset == dataset) & (rows.layer == layer)]
            _points(axes, here, markers)
            axes.set_title(f"{plain(label.title)}, layer {layer}", loc="left")
            axes.set_ylim(-0.03, 1.03)
            axes.margins(x=0.08)
            axes.grid(axis="x", linewidth=0.3, alpha=0.6)
        line[0].set_ylabel("Hoyer sparsity")
    for axes in grid[-1]:
        axes.set_xlabel("Accuracy on test images")
    figure.legend(
        handles=_handles(models, markers), loc="outside upper center", ncols=6, columnspacing=1.5
    )
    return figure


def caption(shown: Shown, parameters: Control) -> str:
    """Write the caption for these runs."""
    rows = _rows(shown)
    sentences = []
    for dataset, label in shown.labels.items():
        here = rows[rows.dataset == dataset]
        parts = [
            f"{title_of(str(model))} {escape(str(setting))}: {_numbers(group)}"
            for (model, setting), group in here.groupby(["model", "setting"], sort=False)
        ]
        sentences.append(f"{escape(label.title)}: {'; '.join(parts)}." if parts else "")
    return paragraph(
        shown.figure,
        "Sparsity against accuracy in control runs",
        "Hoyer sparsity of a layer, averaged over correctly classified test images, against the "
        "accuracy of the whole net after training: points are runs. Colours are models; "
        f"filled points have the settings of the study{_base_text(rows)}; open ones "
        "another learning rate (lr), goodness, weight of the l1 penalty (l1) or number of epochs, "
        "all else as there. Models can be compared where their accuracies, along the x axis, are "
        "alike.",
        "Accuracy and sparsity of "
        + listed(f"layer {layer}" for layer in sorted(map(int, rows["layer"].unique())))
        + ", means over runs:"
        if len(rows)
        else "There are no runs.",
        *sentences,
    )


def _base_text(rows: pd.DataFrame) -> str:
    if not rows["setting"].eq(_BASE).any():
        return ""
    return ", or those of the control's base where that is trained otherwise, mostly shorter"


def _numbers(group: pd.DataFrame) -> str:
    by_layer = group.groupby("layer")["sparsity"].mean()
    runs = group.drop_duplicates(["dataset", "model", "protocol", "seed"])
    sparsities = ", ".join(number(float(value), 3) for value in by_layer)
    accuracy = number(float(runs["accuracy"].mean()), 3)
    return f"{accuracy}; {sparsities} ({plural(len(runs), 'run')})"


def _rows(shown: Shown) -> pd.DataFrame:
    """Return accuracy, sparsity and setting of every run and layer, the study's setting first."""
    keys = list(RUN_KEYS)
    sparsity, accuracy = shown.frames["control_sparsity"], shown.frames["control_accuracy"]
    sparsity = sparsity[sparsity.category.isna() & sparsity.held_out.isna()]
    net = accuracy[(accuracy.layer == 0) & accuracy.held_out.isna()]
    rows = sparsity[[*keys, "layer", "sparsity"]].merge(net[[*keys, "accuracy"]], on=keys)
    rows = rows[rows.dataset.isin(list(shown.labels))]
    rows = rows.assign(setting=[_setting(name) for name in rows["protocol"]])
    order = {model: place for place, model in enumerate(models_in(rows))}
    return rows.assign(
        own=~rows["setting"].isin(_FILLED), place=rows["model"].map(order)
    ).sort_values(["place", "own", "protocol", "seed", "layer"], kind="stable")  # fmt: skip


_OWN, _BASE = "as in the study", "control's base"
_FILLED = {_OWN: "o", _BASE: "h"}
_OPEN = "v^DsPXp<>*"
_SHORT = {"learning_rate": "lr", "l1_penalty": "l1"}


def _setting(protocol: str) -> str:
    """Say what a control's protocol changes: `lr 0.01`.

    Examples
    --------
    >>> _setting("relu-l2--BP.learning_rate-0.01"), _setting("relu-l2--base")
    ('lr 0.01', "control's base")
    """
    _, key, value = variation_of(protocol)
    name = key.rpartition(".")[2]
    if value:
        return f"{_SHORT.get(name, name)} {value}"
    return _BASE if key else _OWN


def _markers(rows: pd.DataFrame) -> dict[str, str]:
    """Return the marker of each setting, the same for all models."""
    found = set(rows["setting"])
    others = sorted(found - {*_FILLED}, key=_by_value)
    filled = {name: marker for name, marker in _FILLED.items() if name in found}
    return {**filled, **{one: _OPEN[i % len(_OPEN)] for i, one in enumerate(others)}}


def _by_value(setting: str) -> tuple[str, float, str]:
    """Sort settings by key, then by number: 1e-07 stands before 1e-06."""
    key, _, value = setting.rpartition(" ")
    try:
        return key, float(value), value
    except ValueError:
        return key, float("inf"), value


def _points(axes: Axes, rows: pd.DataFrame, markers: dict[str, str]) -> None:
    """Draw the runs of one panel: the study's setting filled, others open."""
    if rows.empty:
        note(axes, "no runs")
        return
    for (model, setting), group in rows.groupby(["model", "setting"], sort=False):
        own, colour = setting in _FILLED, colour_of(str(model))
        axes.plot(
            group["accuracy"].astype(float), group["sparsity"].astype(float), linestyle="",
            marker=markers[str(setting)], markersize=4.5, markeredgecolor=colour,
            markerfacecolor=colour if own else "none", markeredgewidth=0.9, zorder=3 + own,
        )  # fmt: skip


def _handles(models: list[str], markers: dict[str, str]) -> list[Line2D]:
    """Return the legend: colours of models, then markers of settings."""
    from matplotlib.lines import Line2D

    coloured = [
        Line2D([], [], color=colour_of(model), linewidth=4, label=title_of(model))
        for model in models
    ]
    shaped = [
        Line2D([], [], linestyle="", marker=marker, markersize=4.5, color=INK, label=setting,
               markerfacecolor=INK if setting in _FILLED else "none")
        for setting, marker in markers.items()
    ]  # fmt: skip
    return [*coloured, *shaped]


register(
    "Sparsity against accuracy in control runs", Control, by_dataset=False, needs=needs, draw=draw,
    caption=caption,
)  # fmt: skip
