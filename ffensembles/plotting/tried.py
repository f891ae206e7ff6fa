"""What was tried: how far runs with every setting are from the publication, those judged first."""

import textwrap
from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from ffensembles.plotting.captions import escape, number
from ffensembles.plotting.distances import draw_distances, draw_nothing
from ffensembles.plotting.models import title_of
from ffensembles.plotting.style import styled
from ffensembles.publication.sweep import FARTHEST
from ffensembles.runtime.text import plural

_KEYS = ["n_train", "around", "setting", "value"]
Row = tuple[int, str, str, str]
"""The values of these, which tell the rows of the figure apart."""

_LEAST = 3  # settings tried on less than this part of the most images are left out
_CHARACTERS = 42  # in a line of a row's name
_NOTHING = "no setting of this edition was tried at this scale"
_JUDGED = "the runs of this page"


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
    shown = _at_scale(scores)
    if shown.empty:
        return draw_nothing(_NOTHING)
    rows = _rows(shown)
    places = [rows.index(key) for key in shown[_KEYS].itertuples(index=False, name=None)]
    parted = {place for place in range(1, len(rows)) if rows[place][:2] != rows[place - 1][:2]}
    names = ["\n".join(textwrap.wrap(_name(row, rows[0][0]), _CHARACTERS)) for row in rows]
    return draw_distances(shown.assign(row=places), names, parted, titles)


def caption_tried(scores: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Write the caption for these runs; arguments as for `draw_tried`."""
    shown = _at_scale(scores)
    if shown.empty:
        return f"**Settings that were tried.** Nothing to show: {_NOTHING}."
    by = [*_KEYS, "dataset", "model"]
    means = shown.groupby(by, sort=False).agg(distance=("distance", "mean"), n=("seed", "nunique"))
    said = []
    for _, of in means.reset_index().groupby(["dataset", "model"], sort=False):
        judged = (of["setting"] == "") & (of["around"] == "")
        if judged.all() or not judged.any():
            continue
        own, best = of[judged].iloc[0], of.sort_values("distance", kind="stable").iloc[0]
        name = escape(_name(tuple(best[_KEYS]), shown["n_train"].iloc[0]))
        beside = "" if name == _JUDGED else f"; {_JUDGED}: {_distance(own)}"
        dataset = escape(titles.get(best["dataset"], best["dataset"]))
        said.append(f"{title_of(best['model'])} on {dataset}: {name} ({_distance(best)}{beside})")
    control = " Control runs change a setting to see what it does, not to come near."
    return (
        "**Settings that were tried, and the runs judged.** Points are runs, bars their means. "
        "Names say in what runs differ from those judged, all together; settings tried on less "
        "than a third of the images are left out. The distance is the mean over the published "
        "accuracies, sizes of ensembles, sparsities and fractions of positive weights of a model "
        "and data set of the deviation in tolerances; a single number counts for at most "
        f"{FARTHEST:g}."
        + (control if shown["control"].any() else "")
        + (f" Nearest, of many and so no test, come {'; '.join(said)}." if said else "")
    )


def _distance(row: pd.Series) -> str:
    return f"{number(row['distance'], 2)}, {plural(row['n'], 'run')}"


def _at_scale(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the runs on enough images, those on the most first; runs alike have one row."""
    rows = scores.dropna(subset="n_train")
    rows = rows[_LEAST * rows["n_train"] >= rows["n_train"].max()]
    rows = rows.sort_values("n_train", ascending=False, kind="stable")
    keys = list(rows[_KEYS].itertuples(index=False, name=None))
    # runs may be varied in one place and configured so in another: the former has the row
    alike: dict[frozenset[str], Row] = {}
    for key in sorted(keys, key=lambda key: not key[2]):
        alike.setdefault(_differences(key), key)
    shared = pd.DataFrame([alike[_differences(key)] for key in keys], rows.index, _KEYS)
    return rows.assign(**shared)


def _rows(shown: pd.DataFrame) -> list[Row]:
    """Return what tells rows apart, each kind of runs with its settings together after it."""
    rows = list(dict.fromkeys(shown[_KEYS].itertuples(index=False, name=None)))
    kinds = list(dict.fromkeys(row[:2] for row in rows))
    return sorted(rows, key=lambda row: (kinds.index(row[:2]), bool(row[2])))


def _differences(row: Row) -> frozenset[str]:
    """Return in what a row's runs differ from those judged, in no order."""
    return frozenset([str(row[0]), *_name(row, row[0]).split(", ")])


def _name(row: Row, most: int) -> str:
    n_train, around, setting, value = row
    images = "" if n_train == most else f"{n_train:,} images"
    varied = f"{setting}={value}" if setting else ""
    return ", ".join(filter(None, [images, around, varied])) or _JUDGED
