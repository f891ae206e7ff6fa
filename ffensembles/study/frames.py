"""Which tidy frames there are across runs, of which runs, and in which files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ffensembles.analyses import RUN_FRAMES
from ffensembles.extensions import EXTENSIONS
from ffensembles.runs import Run
from ffensembles.study.grid import SCOPES, whole, without

_OTHER_FILES = {
    "accuracy": "accuracy.csv",
    "history": "history.parquet",
    "regression": "regression.csv",
    "similarity": "similarity.csv",
    "costs": "costs.csv",
    "sweep": "sweep.csv",
    "rsa": "rsa.parquet",
    "ceilings": "ceilings.csv",
}
"""Frames that are not put together from the frames of single runs."""

_FROM_RUN_FILES = ("accuracy", "history")

_MADE_OF = {"rsa": "dissimilarities", "ceilings": "dissimilarities"}
"""Frames that compare runs, and the frame of single runs that they are made of."""


def run_frame_of(frame: str) -> str:
    """Return the frame of single runs that a frame across runs is made of.

    Examples
    --------
    >>> run_frame_of("sizes"), run_frame_of("rsa")
    ('sizes', 'dissimilarities')
    """
    return _MADE_OF.get(frame, frame)


def in_scope(frame: str) -> tuple[str, str]:
    """Split the name of a frame that a figure needs into a scope and the frame's own name.

    Examples
    --------
    >>> in_scope("control_sparsity"), in_scope("positive_weights")
    (('control/', 'sparsity'), ('', 'positive_weights'))
    """
    for scope in filter(None, SCOPES):
        prefix = scope.replace("/", "_")
        if frame.startswith(prefix):
            return scope, frame.removeprefix(prefix)
    return "", frame


def frame_file(frame: str) -> str:
    """Return the name of the file of a frame across runs.

    Examples
    --------
    >>> frame_file("sizes"), frame_file("sharing")
    ('sizes.csv', 'sharing.parquet')
    """
    if frame in EXTENSIONS:
        return f"extensions/{frame}.parquet"
    known = RUN_FRAMES.get(frame)
    return known.file if known else _OTHER_FILES[frame]


def measured(file: str) -> str:
    """Return the frame that a file across runs holds."""
    return Path(file).stem


def applies(frame: str, runs: Sequence[Run]) -> list[Run]:
    """Return the runs that a frame is measured on, of some runs."""
    known = RUN_FRAMES.get(run_frame_of(frame))
    of = known.of if known else "all"
    return {"all": list(runs), "whole": whole(runs), "held_out": without(runs)}[of]


def rows_of(frame: str, runs: Sequence[Run]) -> dict[str, Any]:
    """Return which runs a frame may have rows of, as `analyses.tidy.read_frame` takes it.

    A frame made from every run's metadata or history has rows of each; one that is measured has
    none of a run that it could not be measured on.
    """
    known = frame in _FROM_RUN_FILES or (frame in RUN_FRAMES and not RUN_FRAMES[frame].on_demand)
    if not known:  # of other runs too, or of none
        return {}
    keys = [run.keys for run in applies(frame, runs)]
    return {"runs": keys, "complete": frame in _FROM_RUN_FILES}


def scope_frames(scope: str, runs: Sequence[Run]) -> list[str]:
    """Return the frames across the runs of a scope: those with a run to be measured on."""
    frames = [
        name
        for name, frame in RUN_FRAMES.items()
        if not frame.on_demand
        and (scope != "shuffled/" or frame.shuffled)
        and (scope != "untrained/" or frame.untrained)
    ]
    if scope not in ("untrained/", "shuffled/"):  # nulls of what ensembles and weights are
        frames = [*_FROM_RUN_FILES, *frames]
    found = [name for name in frames if applies(name, runs)]
    return [*found, "regression"] if scope == "" else found
