"""Which tidy frames there are across runs, of which runs, and in which files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ffensembles.analyses import RUN_FRAMES
from ffensembles.runs import Run
from ffensembles.study.grid import whole, without

_OTHER_FILES = {
    "accuracy": "accuracy.csv",
    "history": "history.parquet",
    "regression": "regression.csv",
    "similarity": "similarity.csv",
    "costs": "costs.csv",
    "sweep": "sweep.csv",
}
"""Frames that are not put together from the frames of single runs."""

_FROM_RUN_FILES = ("accuracy", "history")
_NOT_OF_RUNS = ("regression", "similarity", "sweep")


def frame_file(frame: str) -> str:
    """Return the name of the file of a frame across runs.

    Examples
    --------
    >>> frame_file("sizes"), frame_file("sharing")
    ('sizes.csv', 'sharing.parquet')
    """
    known = RUN_FRAMES.get(frame)
    return known.file if known else _OTHER_FILES[frame]


def measured(file: str) -> str:
    """Return the frame that a file across runs holds."""
    return Path(file).stem


def applies(frame: str, runs: Sequence[Run]) -> list[Run]:
    """Return the runs that a frame is measured on, of some runs."""
    of = RUN_FRAMES[frame].of if frame in RUN_FRAMES else "all"
    return {"all": list(runs), "whole": whole(runs), "held_out": without(runs)}[of]


def rows_of(frame: str, runs: Sequence[Run]) -> dict[str, Any]:
    """Return which runs a frame may have rows of, as `analyses.tidy.read_frame` takes it.

    A frame made from every run's metadata or history has rows of each; one that is measured has
    none of a run that it could not be measured on.
    """
    if frame in _NOT_OF_RUNS:
        return {}
    keys = [run.keys for run in applies(frame, runs)]
    return {"runs": keys, "complete": frame in _FROM_RUN_FILES}


def scope_frames(scope: str, runs: Sequence[Run]) -> list[str]:
    """Return the frames across the runs of a scope: those with a run to be measured on."""
    frames = [
        name
        for name, frame in RUN_FRAMES.items()
        if (scope != "shuffled/" or frame.shuffled) and (scope != "untrained/" or frame.untrained)
    ]
    if scope not in ("untrained/", "shuffled/"):  # nulls of what ensembles and weights are
        frames = [*_FROM_RUN_FILES, *frames]
    found = [name for name in frames if applies(name, runs)]
    return [*found, "regression"] if scope == "" else found
