"""The sweep: how far every value of an open setting leaves the study from what was published."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ffensembles.plotting.captions import escape, listed, number
from ffensembles.plotting.models import model_handles, models_in, title_of
from ffensembles.plotting.points import mean_handle, points_by_model
from ffensembles.plotting.style import (
    FULL_WIDTH,
    GREY,
    PALE,
    new_figure,
    note,
    styled,
)
from ffensembles.publication.sweep import POOLED, distances

_ROW = 0.26  # inches for each value
_NOTHING = "nothing was published of these data sets"
_ALONE = "as configured"


@styled
def draw_sweep(frame: pd.DataFrame, base: Mapping[str, str], titles: Mapping[str, str]) -> Figure:
    """Draw the distance to the publication, a row for each value of each setting.

    Parameters
    ----------
    frame
        Rows of `publication.sweep.sweep_frame`.
    base
        By setting: the value that it has where it is not varied.
    titles
        How data sets are called.
    """
    if frame.empty:
        figure = new_figure(FULL_WIDTH, 1)
        axes = figure.subplots()
        axes.set_axis_off()
        note(axes, _NOTHING)
        return figure
    scores = distances(frame)
    rows = list(scores[["setting", "value"]].drop_duplicates().itertuples(index=False, name=None))
    datasets, models = list(dict.fromkeys(scores.dataset)), models_in(scores)
    figure = new_figure(FULL_WIDTH, 0.8 + _ROW * len(rows))
    panels = figure.subplots(1, len(datasets), sharex=True, sharey=True, squeeze=False)[0]
    for axes, dataset in zip(panels, datasets, strict=True):
        here = scores[scores.dataset == dataset]
        places = [rows.index(key) for key in zip(here.setting, here.value, strict=True)]
        points_by_model(
            axes, here.assign(row=places), "distance", "row", range(len(rows)), models, size=4,
            bar=6, horizontal=True, looks={POOLED: (GREY, "D")},
        )  # fmt: skip
        for place in range(1, len(rows)):
            next_setting = rows[place][0] != rows[place - 1][0]
            axes.axhline(place - 0.5, color=GREY if next_setting else PALE, linewidth=0.5, zorder=0)
        axes.set_title(titles.get(dataset, dataset))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=PALE, linewidth=0.5)
        axes.set_axisbelow(True)
    panels[0].set_xlim(left=0)  # once all points are there: it ends the axes' own scaling
    names = [
        f"{setting} = {value or base.get(setting, '') + ' *'}" if setting else _ALONE
        for setting, value in rows
    ]
    panels[0].set_yticks(range(len(rows)), names)
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    figure.supxlabel("Distance to the published values (tolerances, mean over numbers)")
    handles = model_handles(model for model in models if model != POOLED)
    if POOLED in models:
        handles.append(
            Line2D([], [], linestyle="", marker="D", color=GREY, markersize=4, label="all models")
        )
    handles.append(mean_handle(horizontal=True))
    figure.legend(handles=handles, loc="outside upper center", ncols=5)
    return figure


def caption_sweep(frame: pd.DataFrame, base: Mapping[str, str], titles: Mapping[str, str]) -> str:
    """Write the caption for these runs; arguments as for `draw_sweep`."""
    if frame.empty:
        return f"**Open settings, varied one at a time.** Not scored: {_NOTHING}."
    scores = distances(frame)
    varied = bool((scores["setting"] != "").any())
    said = []
    for model in models_in(scores[scores.model != POOLED]):
        own = scores[scores.model == model]
        by_value = own.groupby(["setting", "value"], sort=False)
        means = by_value.distance.mean().rename("mean").reset_index()
        beside = means[means.value == ""].set_index("setting")["mean"]
        means["nearer"] = means.setting.map(beside) - means["mean"]
        best = means.iloc[int(means.nearer.argmax())]
        said.append(
            f"{title_of(model)} {number(best['mean'], 2)} with {best.setting} = {best.value} "
            f"(by default {number(beside[best.setting], 2)})"
            if best.nearer > 0
            else f"{title_of(model)} by no setting"
        )
    by = ["setting", "value", "dataset", "model"]
    counts = scores.groupby(by, dropna=False).seed.nunique()
    n_runs = " to ".join(map(str, sorted({counts.min(), counts.max()})))
    names = listed(escape(titles.get(name, name)) for name in dict.fromkeys(scores.dataset))
    title = "Open settings, varied one at a time" if varied else "Runs as they are configured"
    marks = "; \\* marks the value by default" if varied else ""
    nearest = f" Brought nearest on average over data sets: {listed(said)}." if varied else ""
    return (
        f"**{title}.** Points are runs, bars their means, on {names}, "
        f"{n_runs} of each{marks}. The distance is "
        "the mean over the published numbers that a setting can change (accuracy, sizes of "
        "ensembles and fractions of positive weights of all layers; of runs without a class, the "
        "ensembles and activities of Figure 4; of Method 2's cut, these and the regression of "
        "Figure 8 over all models and data sets) of the deviation in tolerances: 20 % of the "
        "published value, .03 for fractions and accuracies; a single number counts for at most "
        f"10.{nearest}"
    )
