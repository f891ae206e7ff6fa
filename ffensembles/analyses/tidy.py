"""Tidy frames: one row per observation, the run's keys first, and averages over runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ffensembles.errors import StoreError
from ffensembles.runtime.files import atomic_path, write_text

RUN_KEYS = ("protocol", "dataset", "model", "held_out", "seed")
"""What names a run; `held_out` is missing where every class was trained on."""

_WHOLE = ("held_out", "seed", "layer", "category", "other", "neuroid", "n_presentations")


def together(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Put the frames of runs one below the other.

    Parameters
    ----------
    frames
        Frames with the columns of `RUN_KEYS` first, in the order of the rows that result.

    Raises
    ------
    ValueError
        If there is none.
    """
    return whole_numbers(pd.concat(frames, ignore_index=True))


def over_runs(
    one: Callable[[Path], pd.DataFrame], runs: Iterable[tuple[Mapping[str, Any], str | Path]]
) -> pd.DataFrame:
    """Apply `one` to each run's file and put the frames together, with the runs' keys first.

    Parameters
    ----------
    one
        Makes a frame of one run's file.
    runs
        Pairs of a run's keys (`RUN_KEYS`) and the path of its file.
    """
    return together(with_keys(one(Path(path)), keys) for keys, path in runs)


def with_keys(frame: pd.DataFrame, keys: Mapping[str, Any]) -> pd.DataFrame:
    """Put a run's keys before the frame's own columns.

    Examples
    --------
    >>> keys = {"protocol": "p", "dataset": "d", "model": "FF", "held_out": None, "seed": 3}
    >>> with_keys(pd.DataFrame({"size": [2.0]}), keys).columns.tolist()
    ['protocol', 'dataset', 'model', 'held_out', 'seed', 'size']
    """
    return whole_numbers(frame.assign(**{key: keys[key] for key in RUN_KEYS}))[
        [*RUN_KEYS, *(name for name in frame.columns if name not in RUN_KEYS)]
    ]


def whole_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the columns of labels and counts a type of whole numbers that may be missing."""
    return frame.astype({name: "Int64" for name in _WHOLE if name in frame})


def over_seeds(
    frame: pd.DataFrame, value: str, by: Sequence[str], within: Sequence[str] = ()
) -> pd.DataFrame:
    """Average a column over runs: mean, standard error and how many runs have a value.

    Values of one run are averaged first (over categories, say), so that the standard error is
    the one of independent runs: the sample deviation over the root of their number. It is
    missing for a single run, and missing values never enter a mean.

    Parameters
    ----------
    frame
        Tidy rows with the columns of `RUN_KEYS`.
    value
        Column to average.
    by
        Columns to keep apart, such as dataset, model and layer.
    within
        Further columns that tell runs apart beside `seed`; seldom needed.

    Returns
    -------
    pandas.DataFrame
        Columns `by`, `mean`, `se`, `n_runs`, `n_missing` (rows without a value), in the order in
        which the groups first occur.

    Examples
    --------
    >>> frame = pd.DataFrame({"model": "FF", "seed": [0, 0, 1, 1], "size": [1, 3, 4, None]})
    >>> over_seeds(frame, "size", by=["model"]).values.tolist()
    [['FF', 3.0, 1.0, 2, 1]]
    """
    by = list(by)
    runs = [*by, *(name for name in ("seed", *within) if name not in by)]
    per_run = frame.groupby(runs, dropna=False, sort=False)[value].mean().reset_index()
    grouped = per_run.groupby(by, dropna=False, sort=False)[value]
    missing = frame[value].isna().groupby([frame[name] for name in by], dropna=False, sort=False)
    result = pd.DataFrame(
        {
            "mean": grouped.mean().astype(float),
            "se": (grouped.std(ddof=1) / np.sqrt(grouped.count())).astype(float),
            "n_runs": grouped.count(),
            "n_missing": missing.sum(),
        }
    )
    return result.reset_index()


def write_frame(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a tidy frame, whole or not at all: as CSV or, where `path` ends so, as Parquet.

    In CSV a missing value is an empty cell.
    """
    if Path(path).suffix == ".parquet":
        with atomic_path(path) as temporary:
            frame.to_parquet(temporary, index=False, compression="zstd")
    else:
        write_text(path, frame.to_csv(index=False, lineterminator="\n"))


def read_frame(path: str | Path) -> pd.DataFrame:
    """Read what `write_frame` wrote.

    Raises
    ------
    StoreError
        If the file is missing or is no table.
    """
    try:
        if Path(path).suffix == ".parquet":
            return whole_numbers(pd.read_parquet(path))
        return whole_numbers(pd.read_csv(path, keep_default_na=False, na_values=[""]))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: cannot be read ({error}); delete it and start the same command again."
        ) from error
