"""Points of runs by model, and their means, drawn with seaborn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from ffensembles.plotting.models import colour_of, marker_of, title_of
from ffensembles.plotting.style import GREY, INK
from ffensembles.runtime.text import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_WIDTH = 0.8  # of the distance between two groups, for all models


def points_by_model(
    axes: Axes,
    frame: pd.DataFrame,
    value: str,
    group: str,
    order: Sequence[Any],
    models: Sequence[str],
    *,
    size: float = 3.5,
    bar: float = 6.0,
    horizontal: bool = False,
    looks: Mapping[str, tuple[str, str]] | None = None,
) -> None:
    """Draw one point for each row, the models of a group side by side, and a bar at each mean.

    A single point has no bar, which would hide it.

    Parameters
    ----------
    axes
        Where to draw.
    frame
        One row for each run and group, with the column `model`.
    value, group
        Columns of the numbers and of the groups, which stand on the other axis.
    order
        The groups, in their order; they stand at 0, 1, ...
    models
        The models, in their order.
    size, bar
        Points; the size of a point, and the length of a mean's bar.
    horizontal
        Whether the numbers run along the x axis.
    looks
        Colour and marker of what is no model but stands among them.
    """
    import seaborn as sns

    rows = frame.dropna(subset=[value])
    rows = rows.assign(**{value: rows[value].astype(float), group: rows[group].astype(object)})
    places: dict[str, Any] = {"x": value, "y": group} if horizontal else {"x": group, "y": value}
    common: dict[str, Any] = {
        **places, "order": list(order), "hue": "model", "hue_order": list(models),
        "orient": "h" if horizontal else "v", "formatter": str, "legend": False, "ax": axes,
    }  # fmt: skip
    of = {model: (colour_of(model), marker_of(model)) for model in models} | dict(looks or {})
    here = [model for model in models if (rows.model == model).any()]
    for model in here:
        sns.stripplot(
            rows[rows.model == model], **common, dodge=True, jitter=False, size=size, alpha=0.75,
            marker=of[model][1], palette=[of[m][0] for m in models], linewidth=0.3,
            edgecolor="white",
        )  # fmt: skip
    # seaborn would average on the axis' own scale, which may be logarithmic
    grouped = rows.groupby([group, "model"], sort=False)[value]
    means = grouped.mean()[grouped.size() > 1].reset_index()
    if len(means):
        sns.pointplot(
            means, **common, dodge=_WIDTH * (len(models) - 1) / len(models) or False,
            errorbar=None, linestyle="none", marker="|" if horizontal else "_", markersize=bar,
            markeredgewidth=0.9, palette=[INK] * len(models),
        )  # fmt: skip
    axes.set_xlabel("")
    axes.set_ylabel("")


def place_of(number: int, count: int) -> float:
    """Return where the model of this number, of so many, stands beside its group's place.

    Examples
    --------
    >>> [round(place_of(number, 2), 1) for number in (0, 1)]
    [-0.2, 0.2]
    """
    return _WIDTH * ((number + 0.5) / count - 0.5)


def null_symbols(
    axes: Axes,
    means: pd.Series,
    order: Sequence[Any],
    models: Sequence[str],
    *,
    size: float = 4.5,
    fill: str = "none",
) -> None:
    """Draw a grey symbol for each model of each group, where `points_by_model` has its points.

    Parameters
    ----------
    axes
        Where to draw.
    means
        The numbers, by group and model.
    order, models
        As for `points_by_model`.
    size, fill
        Of the symbols.
    """
    for place, group in enumerate(order):
        for number, model in enumerate(models):
            if (group, model) in means.index:
                axes.plot(
                    place + place_of(number, len(models)), means[group, model], marker_of(model),
                    markersize=size, color=GREY, markerfacecolor=fill, markeredgewidth=0.7,
                    zorder=1.5,
                )  # fmt: skip


def mean_handle(horizontal: bool = False) -> Line2D:
    """Return the legend's entry for the bars of `points_by_model`."""
    from matplotlib.lines import Line2D

    marker = "|" if horizontal else "_"
    return Line2D([], [], linestyle="", marker=marker, markersize=7, color=INK, label="mean")


def runs_text(frame: pd.DataFrame, models: Sequence[str]) -> str:
    """Say how many runs each model has, as it stands beside a panel.

    Examples
    --------
    >>> frame = pd.DataFrame({"model": ["FF", "FF", "BP"], "seed": [0, 1, 0]})
    >>> runs_text(frame, ["FF", "BP"]), runs_text(frame[:2], ["FF"])
    ('(runs: FF 2, BP 1)', '(2 runs)')
    """
    counts = {m: frame.loc[frame.model == m, "seed"].nunique() for m in models}
    if len(set(counts.values())) < 2:
        return f"({plural(next(iter(counts.values()), 0), 'run')})"
    return f"(runs: {', '.join(f'{title_of(model)} {n}' for model, n in counts.items())})"
