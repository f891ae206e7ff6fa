"""Tidy frames: one row per observation, the run's keys first, and averages over runs."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from ffensembles.errors import StoreError
from ffensembles.runtime.files import (
    SEAL,
    WAY_OUT,
    atomic_path,
    check_seal,
    checksum_file,
    seal,
    write_checksums,
    write_text,
)
from ffensembles.runtime.text import plural
from ffensembles.training.metadata import check_file, read_run

T = TypeVar("T")

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
    measure: Callable[[T], pd.DataFrame], runs: Iterable[tuple[Mapping[str, Any], T]]
) -> pd.DataFrame:
    """Measure each run and put the frames together, with the runs' keys first.

    Parameters
    ----------
    measure
        Makes a frame of what stands for a run: a file's path, or its content.
    runs
        Pairs of a run's keys (`RUN_KEYS`) and what is measured.
    """
    return together(with_keys(measure(one), keys) for keys, one in runs)


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
    """Write a tidy frame with a checksum: as CSV or, where `path` ends so, as Parquet.

    In CSV a missing value is an empty cell. CSV has no place for a checksum, so that it stands in
    a hidden file beside it (`runtime.files.write_checksums`); in Parquet it stands in the file's
    metadata (`runtime.files.seal`).

    Raises
    ------
    StoreError
        If a file cannot be written; what stood there before is untouched.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        content = _parquet(frame)
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    else:
        write_text(path, frame.to_csv(index=False, lineterminator="\n"))
        write_checksums(path, [path])


def read_frame(
    path: str | Path, runs: Iterable[Mapping[str, Any]] | None = None, *, complete: bool = True
) -> pd.DataFrame:
    """Read what `write_frame` wrote, and check it.

    Parameters
    ----------
    path
        A CSV or Parquet file. A CSV file without a checksum beside it, one of another program or
        of an older version, is read unchecked.
    runs
        Keys (`RUN_KEYS`) of the runs that the frame may have rows of; None accepts any.
    complete
        Whether it has to have rows of each of them. Where a frame was not measured on a run, it
        has none.

    Raises
    ------
    StoreError
        If the file is missing, is no table, has changed since it was written, or has rows of
        other runs.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        if path.suffix == ".parquet":
            check_seal(content, path)
            frame = pd.read_parquet(BytesIO(content))
        else:
            _check_csv(content, path)
            frame = pd.read_csv(BytesIO(content), keep_default_na=False, na_values=[""])
        frame = whole_numbers(frame)
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); {WAY_OUT}.") from error
    if runs is not None and (complete or len(frame)):
        _check_runs(frame, runs, path, complete)
    return frame


def read_run_frames(paths: Iterable[str | Path], runs: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Read the frames of single runs and put them together, one below the other.

    Each may have rows of its own run alone, or none: it was not measured on that run.

    Raises
    ------
    StoreError
        As for `read_frame`.
    """
    files, runs = [Path(path) for path in paths], list(runs)
    frames = [read_frame(path) for path in files]
    whole = together(frames)
    for n in _of_other_runs(frames, whole, runs):
        _check_runs(frames[n], [runs[n]], files[n], complete=False)
    return whole


def read_history(path: str | Path) -> pd.DataFrame:
    """Read a run's history of training, and check it by the metadata beside it.

    Raises
    ------
    StoreError
        If the history or `run.json` beside it is missing, damaged or of another run.
    """
    metadata = read_run(Path(path).with_name("run.json"))
    check_file(path, metadata, "history_sha256")
    return read_frame(path)


def _parquet(frame: pd.DataFrame) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_pandas(frame, preserve_index=False)
    sink = BytesIO()
    options = {"compression": "zstd", "write_page_checksum": True}
    with parquet.ParquetWriter(sink, table.schema, **options) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"checksum": SEAL})
    return seal(sink.getvalue())


def _check_csv(content: bytes, path: Path) -> None:
    """Compare a CSV file with the checksum beside it, where there is one."""
    try:
        expected = checksum_file(path).read_bytes().split()
    except FileNotFoundError:
        return
    if expected != [hashlib.sha256(content).hexdigest().encode(), path.name.encode()]:
        raise StoreError(f"{path}: has changed since it was written; {WAY_OUT}.")


def _of_other_runs(
    frames: Sequence[pd.DataFrame], whole: pd.DataFrame, runs: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Return which frames have a row of another run than theirs, or do not say of which.

    All rows are compared at once: frame by frame that takes longer than to put them together.
    """
    found = {n for n, one in enumerate(frames) if len(one) and not {*RUN_KEYS} <= {*one.columns}}
    of = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    for key in {*RUN_KEYS} & {*whole.columns}:
        column = whole[key]
        expected = pd.Series([run[key] for run in runs], dtype=column.dtype).iloc[of]
        expected.index = column.index
        same = (column == expected).fillna(False) | (column.isna() & expected.isna())
        found.update(of[~same.to_numpy(bool)].tolist())
    return sorted(found)


def _check_runs(
    frame: pd.DataFrame, runs: Iterable[Mapping[str, Any]], path: Path, complete: bool
) -> None:
    keys = list(RUN_KEYS)
    if not {*keys} <= {*frame.columns}:
        raise StoreError(f"{path}: does not say which runs its rows are of; {WAY_OUT}.")
    rows = frame[keys].drop_duplicates()
    plain = ([None if pd.isna(value) else value for value in rows[key].tolist()] for key in keys)
    found = set(zip(*plain, strict=True))
    expected = {tuple(run[key] for key in keys) for run in runs}
    lacks = expected - found if complete else set()
    for which, ones in (("lacks", lacks), ("has too many:", found - expected)):
        if ones:
            one = ", ".join(f"{k} {v}" for k, v in zip(keys, min(ones, key=str), strict=True))
            raise StoreError(
                f"{path}: {which} {plural(len(ones), 'run')} ({one}), unlike the study; {WAY_OUT}."
            )
