"""The page of what goes beyond the study: for each extension what its frame shows."""

from collections.abc import Mapping

import pandas as pd

from ffensembles.extensions.registry import EXTENSIONS
from ffensembles.extensions.results import found_by, records
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.runs import variation_of
from ffensembles.runtime.text import plural

NOT_RUN = "Not run: no run of this kind is kept."

_OPENING = """\
# Beyond the study

What the study left for others to do, each as an analysis that is asked for by its name
(`snakemake causality`, for example) or in `extensions:` of the configuration. This page is made
from the kept frames by `snakemake beyond`; the figure and the table of `causality` are
`figures/YEAR/causality.png` and `tables/YEAR/causality.html` in `results/reference`, those of the
others likewise.

Runs are the sample: an interval is one of 95 % over runs (Student's), unless it is said to be
another. A single run has none, and nothing is decided by it. Intervals of two or three runs are
wide, and may leave the range of possible values: they then say that the runs are too few. An
extension is measured where a run's weights were at hand, so that it may rest on fewer runs than
the numbers of the study do.

The paragraph *In short* is over groups: the runs of one model under one protocol on one data set.
Numbers go from the lowest to the highest group. A group, or a layer of it, counts as above or below
a control by the interval of the difference; where there is none it does not count."""


def page(frames: Mapping[str, pd.DataFrame], titles: Mapping[str, str] | None = None) -> str:
    """Write the page in Markdown.

    Parameters
    ----------
    frames
        The frame of each extension across runs, by name; one that is missing or empty was not run.
    titles
        How data sets are called; their keys where it says nothing.
    """
    parts = [_OPENING]
    for name, one in EXTENSIONS.items():
        parts += [f"## {one.title}", f"*{one.question}* Target: `{name}`."]
        frame = frames.get(name)
        if frame is None or frame.empty:
            parts.append(NOT_RUN)
            continue
        if one.note:
            parts.append(f"*How it is measured.* {one.note}")
        results = one.results(frame)
        if len(results):
            parts.append(f"**In short.** {one.summary(results)}")
        of_protocol = _base(results)
        for protocol, rows in frame.groupby(_base(frame), sort=False):
            paragraphs = one.said(results[of_protocol == protocol])
            head = f"**{protocol}** ({_runs(rows, titles or {})})"
            parts += [
                " ".join(filter(None, [head, found_by(rows)])),
                "\n".join(f"- {text}" for text in paragraphs),
            ]
    return "\n\n".join(parts) + "\n"


def _base(frame: pd.DataFrame) -> pd.Series:
    """Return the protocol that each row is of, or varies."""
    return frame["protocol"].map(lambda name: variation_of(name)[0])


def _runs(frame: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Say which runs a frame is of."""
    counts = frame.groupby(["dataset", "model"], sort=False)["seed"].nunique().reset_index()
    return "; ".join(
        f"{MODEL_TITLES.get(row['model'], row['model'])} on "
        f"{titles.get(row['dataset'], row['dataset'])}: {plural(int(row['seed']), 'run')}"
        for row in records(counts)
    )
