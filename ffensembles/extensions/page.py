"""The page of what goes beyond the study: one paragraph for each extension, from its frame."""

from collections.abc import Mapping

import pandas as pd

from ffensembles.extensions.registry import EXTENSIONS, NOTHING_MEASURED, Extension
from ffensembles.extensions.results import records
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.runtime.text import plural

NOT_RUN = "Not run: no run of this kind is kept."

_OPENING = """\
# Beyond the study

What the study left for others to do, each as an analysis that is asked for by its name
(`snakemake causality`, for example) or in `extensions:` of the configuration. This page is made
from the kept frames by `snakemake beyond`. Runs are the sample: an interval is one of 95 % over
runs, and there is none for a single run."""


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
        frame = frames.get(name)
        said = (
            [NOT_RUN]
            if frame is None or frame.empty
            else [
                f"**{protocol}** ({_runs(rows, titles or {})}). {_said(one, rows)}"
                for protocol, rows in frame.groupby("protocol", sort=False)
            ]
        )
        parts += [f"## {one.title}", f"*{one.question}* Target: `{name}`.", *said]
    return "\n\n".join(parts) + "\n"


def _said(one: Extension, frame: pd.DataFrame) -> str:
    """Return an extension's paragraph on the runs of one protocol."""
    results = one.results(frame)
    return one.verdict(results) if len(results) else NOTHING_MEASURED


def _runs(frame: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Say which runs a frame is of."""
    counts = frame.groupby(["dataset", "model"], sort=False)["seed"].nunique().reset_index()
    return "; ".join(
        f"{MODEL_TITLES.get(row['model'], row['model'])} on "
        f"{titles.get(row['dataset'], row['dataset'])}: {plural(int(row['seed']), 'run')}"
        for row in records(counts)
    )
