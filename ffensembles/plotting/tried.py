"""What was tried: how far runs with every setting are from the publication, a page's first."""

import textwrap
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from ffensembles.plotting.captions import escape, number
from ffensembles.plotting.distances import draw_distances, draw_nothing
from ffensembles.plotting.models import title_of
from ffensembles.plotting.style import styled
from ffensembles.publication.sweep import FARTHEST
from ffensembles.publication.tried import COMPARED, at_scale
from ffensembles.runtime.text import plural

_CHARACTERS = 42  # in a line of a row's name
_NOTHING = "no setting of this edition was tried at this scale"


@styled
def draw_tried(scores: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw every run's distance to the publication, a row for each setting.

    Parameters
    ----------
    scores
        Rows of `publication.tried.scored`.
    titles
        How data sets are called.
    """
    shown = at_scale(scores)
    if shown.empty:
        return draw_nothing(_NOTHING)
    rows = shown.drop_duplicates("row").sort_values("row")
    parted = set(rows.loc[rows["kind"].diff() > 0, "row"])
    names = ["\n".join(textwrap.wrap(name, _CHARACTERS)) for name in rows["name"]]
    return draw_distances(shown, names, parted, titles)


def caption_tried(scores: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Write the caption for these runs; arguments as for `draw_tried`."""
    shown = at_scale(scores)
    if shown.empty:
        return f"**Settings that were tried.** Nothing to show: {_NOTHING}."
    by = ["dataset", "model", "name"]
    means = shown.groupby(by, sort=False).agg(distance=("distance", "mean"), n=("seed", "nunique"))
    said = []
    for (of_dataset, model), of in means.reset_index().groupby(by[:2], sort=False):
        compared = of["name"] == COMPARED
        if compared.all() or not compared.any():
            continue
        own, best = of[compared].iloc[0], of.sort_values("distance", kind="stable").iloc[0]
        name, dataset = escape(best["name"]), escape(titles.get(str(of_dataset), str(of_dataset)))
        beside = "" if best["name"] == COMPARED else f"; {COMPARED}: {_distance(own)}"
        said.append(f"{title_of(str(model))} on {dataset}: {name} ({_distance(best)}{beside})")
    control = " Control runs change a setting to see what it does, not to come near."
    return (
        "**Settings that were tried, and the runs of this page.** Points are runs, bars their "
        "means. Names say in what runs differ from those, all together; settings tried on less "
        "than a third of the images are left out. The distance is the mean over the published "
        "accuracies, sizes of ensembles, sparsities and fractions of positive weights of a model "
        "and data set of the deviation in tolerances; a single number counts for at most "
        f"{FARTHEST:g}."
        + (control if shown["control"].any() else "")
        + (f" Nearest, of many and so no test, come {'; '.join(said)}." if said else "")
    )


def _distance(row: pd.Series) -> str:
    return f"{number(row['distance'], 2)}, {plural(row['n'], 'run')}"
