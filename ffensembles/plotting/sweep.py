"""The sweep: how far every value of an open setting leaves the study from what was published."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from ffensembles.plotting.captions import escape, number
from ffensembles.plotting.distances import draw_distances, draw_nothing
from ffensembles.plotting.models import models_in, title_of
from ffensembles.plotting.style import styled
from ffensembles.publication.sweep import POOLED, distances
from ffensembles.runtime.text import listed

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
        return draw_nothing(_NOTHING)
    scores = distances(frame)
    rows = list(scores[["setting", "value"]].drop_duplicates().itertuples(index=False, name=None))
    places = [rows.index(key) for key in zip(scores.setting, scores.value, strict=True)]
    names = [
        f"{setting} = {value or base.get(setting, '') + ' *'}" if setting else _ALONE
        for setting, value in rows
    ]
    parted = {place for place in range(1, len(rows)) if rows[place][0] != rows[place - 1][0]}
    return draw_distances(scores.assign(row=places), names, parted, titles)


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
        if beside.empty:  # a setting made it this model, of which nothing else was run
            continue
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
    bars = ", bars their means" if counts.max() > 1 else ""
    names = listed(escape(titles.get(name, name)) for name in dict.fromkeys(scores.dataset))
    title = "Open settings, varied one at a time" if varied else "Runs as they are configured"
    marks = "; \\* marks the value by default" if varied else ""
    nearest = (
        f" Brought nearest on average over data sets: {listed(said)}." if said and varied else ""
    )
    return (
        f"**{title}.** Points are runs{bars}, on {names}, "
        f"{n_runs} of each{marks}. The distance is "
        "the mean over the published numbers that a setting can change (accuracy, sizes of "
        "ensembles and fractions of positive weights of all layers; of runs without a class, the "
        "ensembles and activities of Figure 4; of Method 2's cut, these and the regression of "
        "Figure 8 over all models and data sets) of the deviation in tolerances: 20 % of the "
        "published value, .03 for fractions and accuracies; a single number counts for at most "
        f"10.{nearest}"
    )
