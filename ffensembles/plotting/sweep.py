"""The sweep: how far every value of an open setting leaves the study from what was published."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ffensembles.analyses.sweep import distances
from ffensembles.plotting.captions import escape, listed, number
from ffensembles.plotting.runs import model_handles, models_in
from ffensembles.plotting.style import (
    FULL_WIDTH,
    MODEL_COLOURS,
    MODEL_MARKERS,
    PALE,
    new_figure,
    note,
    styled,
)
from ffensembles.recipe import MODEL_TITLES

_ROW = 0.26  # inches for each value
_NOTHING = "nothing was published of these data sets"
_BETWEEN = 0.2  # rows between two models of one value


@styled
def draw_sweep(frame: pd.DataFrame, base: Mapping[str, str], titles: Mapping[str, str]) -> Figure:
    """Draw the distance to the publication, a row for each value of each setting.

    Parameters
    ----------
    frame
        Rows of `analyses.sweep.sweep_frame`.
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
    rows = _rows(scores, base)
    datasets = list(dict.fromkeys(scores.dataset))
    figure = new_figure(FULL_WIDTH, 0.8 + _ROW * len(rows))
    panels = figure.subplots(1, len(datasets), sharex=True, sharey=True, squeeze=False)[0]
    for axes, dataset in zip(panels, datasets, strict=True):
        here = scores[scores.dataset == dataset]
        for place, (setting, value, varied) in enumerate(rows):
            _points(axes, place, _of_row(here, setting, value, varied))
        for place in range(1, len(rows)):
            if rows[place][0] != rows[place - 1][0]:
                axes.axhline(place - 0.5, color=PALE, linewidth=0.5)
        axes.set_title(titles.get(dataset, dataset))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=PALE, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.set_xlim(left=0)
    names = [f"{setting} = {value}{'' if varied else ' *'}" for setting, value, varied in rows]
    panels[0].set_yticks(range(len(rows)), names)
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    figure.supxlabel("Distance to the published values (tolerances, mean over numbers)")
    handles = model_handles(frame)
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def caption_sweep(frame: pd.DataFrame, base: Mapping[str, str], titles: Mapping[str, str]) -> str:
    """Write the caption for these runs; arguments as for `draw_sweep`."""
    if frame.empty:
        return f"**Open settings, varied one at a time.** Not scored: {_NOTHING}."
    scores = distances(frame)
    said = []
    for model in models_in(scores):
        own = scores[scores.model == model]
        means = own.groupby(["setting", "value"], sort=False).distance.mean()
        setting, value = means.index[int(means.argmin())]
        best = "as it is by default" if not setting else f"with {setting} = {value}"
        said.append(
            f"{MODEL_TITLES[model]} {number(means.min(), 2)} {best} "
            f"(by default {number(means.get(('', ''), float('nan')), 2)})"
        )
    counts = scores.groupby(["setting", "value", "dataset", "model"]).seed.nunique()
    n_runs = " to ".join(map(str, sorted({counts.min(), counts.max()})))
    names = listed(escape(titles.get(name, name)) for name in dict.fromkeys(scores.dataset))
    return (
        f"**Open settings, varied one at a time.** Points are runs on {names}, "
        f"{n_runs} of each; \\* marks the value by default. The distance is "
        "the mean over a run's published numbers (accuracy, sizes of ensembles and fractions of "
        "positive weights of its layers) of the deviation in tolerances: 20 % of the published "
        "value, for fractions and accuracies at least .03; a single number counts for at most 10. "
        f"Nearest on average over data sets: {listed(said)}."
    )


_Row = tuple[str, str, bool]  # setting, value, whether it is another than the default


def _rows(scores: pd.DataFrame, base: Mapping[str, str]) -> list[_Row]:
    """Return the rows: each setting's own value first."""
    rows: list[_Row] = []
    for setting in dict.fromkeys(scores.loc[scores.setting != "", "setting"]):
        rows.append((setting, base[setting], False))
        values = dict.fromkeys(scores.loc[scores.setting == setting, "value"])
        rows += [(setting, value, True) for value in values]
    return rows


def _of_row(scores: pd.DataFrame, setting: str, value: str, varied: bool) -> pd.DataFrame:
    """Return the runs of a row: of the default, those of the models that the setting concerns."""
    own = scores[scores.setting == setting]
    if varied:
        return own[own.value == value]
    return scores[(scores.setting == "") & scores.model.isin(set(own.model))]


def _points(axes: Axes, place: int, scores: pd.DataFrame) -> None:
    models = models_in(scores)
    for i, model in enumerate(models):
        known = scores.loc[scores.model == model, "distance"]
        y = place + (i - (len(models) - 1) / 2) * _BETWEEN
        axes.plot(
            known, [y] * len(known), MODEL_MARKERS[model], color=MODEL_COLOURS[model],
            markersize=4.5, markeredgewidth=0.4, markeredgecolor="white", alpha=0.85,
        )  # fmt: skip
