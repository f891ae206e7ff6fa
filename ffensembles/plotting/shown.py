"""What a figure is drawn from, read from files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ffensembles.analyses.tidy import read_frame, read_run_frames, together
from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.registry import Shown
from ffensembles.publication.editions import as_published, look_up
from ffensembles.representations.store import open_tree
from ffensembles.runs import is_of

STORE = "store_"
"""What the names of ensembles' stores begin with."""


def shown_from(
    files: Mapping[str, Any],
    edition: str,
    figure: str,
    protocol: str,
    labels: Mapping[str, Mapping[str, Any]],
    rows: Mapping[str, Mapping[str, Any]] | None = None,
) -> Shown:
    """Read what a figure is drawn from.

    Parameters
    ----------
    files
        By name: `sample`, the example run's sample of activations; `store_method1` and so on, its
        ensembles; any other name is a tidy frame's, with one file or the files of single runs.
    edition, figure
        The edition's and the figure's name.
    protocol
        The protocol whose runs are shown.
    labels
        What captions call the data sets shown, see `DatasetLabel`.
    rows
        By frame, which runs it may have rows of, as `analyses.tidy.read_frame` takes it. Of frames
        that are not named here, any.

    Raises
    ------
    StoreError
        If a file cannot be read, or a frame has rows of other runs.
    """
    expected = rows or {}
    stores = {n: path for n, path in files.items() if n.startswith(STORE)}
    frames = {n: path for n, path in files.items() if n not in stores and n != "sample"}
    return Shown(
        figure=figure,
        edition=edition,
        sample=open_tree(files["sample"]) if "sample" in files else None,
        ensembles={name.removeprefix(STORE): open_tree(path) for name, path in stores.items()},
        frames={n: _frame(given, protocol, expected.get(n, {})) for n, given in frames.items()},
        labels={name: DatasetLabel(**label) for name, label in labels.items()},
        published=look_up(edition),
        study=as_published(edition, figure),
    )


def _frame(
    given: str | Path | Sequence[str | Path], protocol: str, rows: Mapping[str, Any]
) -> pd.DataFrame:
    """Read a frame of one file, or put those of single runs together; keep a protocol's rows.

    Rows of variations of the protocol, as control runs have, are kept too.
    """
    if isinstance(given, str | Path):
        frame = read_frame(given, **rows)
    elif "runs" in rows:
        frame = read_run_frames(given, rows["runs"])
    else:
        frame = together(map(read_frame, given))
    own = [is_of(name, protocol) for name in frame["protocol"]]
    return frame[own].reset_index(drop=True)
