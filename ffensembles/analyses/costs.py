"""What runs have cost: the time and memory of training them and of reading their activations."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ffensembles.analyses.tidy import RUN_KEYS, whole_numbers, write_frame
from ffensembles.errors import StoreError
from ffensembles.models.recipe import MODEL_TITLES, MODELS
from ffensembles.runtime.files import write_checksums, write_text
from ffensembles.runtime.text import html_table
from ffensembles.training.metadata import read_run

RULES = {"train": "Training", "activations": "Reading activations"}
"""Stages with a benchmark for each run, and what tables and figures call them."""

_TITLE = "What runs have cost"
_NOTHING = "—"
_NOT_MEASURED = ("NA", "-", "")


def costs(
    runs: Sequence[Mapping[str, Any]],
    benchmarks: Mapping[str, Sequence[str | Path]],
    metadata: Sequence[str | Path],
) -> pd.DataFrame:
    """Return what each run has cost, one row per stage and run.

    Snakemake measures a job, from its start to its end. Where several runs name the same file,
    which is the one of a job they shared, each has its share of the time.

    A training may take longer than its last job: it went on from a checkpoint, or was taken from
    the runs kept. Its time is then the one that `run.json` says, and its memory missing, as it is
    where there is no benchmark.

    Parameters
    ----------
    runs
        The runs' keys (`tidy.RUN_KEYS`).
    benchmarks
        By stage (`RULES`), each run's benchmark file; files may be missing, as may values in them
        (jobs of less than half a second have no memory).
    metadata
        Each run's `run.json`.

    Returns
    -------
    pandas.DataFrame
        The columns of `RUN_KEYS`, `rule` (the stage), `seconds` (wall-clock time of one run),
        `max_rss` (MB of main memory, of the whole job; a GPU's is not in it), `device` (what it
        was computed on) and `runs_together` (runs that shared the job).

    Raises
    ------
    StoreError
        If a benchmark or a `run.json` holds something else.
    """
    trained = [_trained(path) for path in metadata]
    rows = []
    for rule, paths in benchmarks.items():
        sharing = Counter(map(str, paths))
        known = trained if rule == "train" else [(np.nan, "cpu", 1)] * len(runs)
        for run, path, (took, device, together) in zip(runs, paths, known, strict=True):
            seconds, memory = _benchmark(Path(path))
            seconds /= sharing[str(path)]
            rows.append(
                {
                    **{key: run[key] for key in RUN_KEYS},
                    "rule": rule,
                    "seconds": np.fmax(seconds, took),
                    # what is missing compares as false
                    "max_rss": np.nan if seconds < took else memory,
                    "device": device,
                    "runs_together": max(together, sharing[str(path)]),
                }
            )
    names = [*RUN_KEYS, "rule", "seconds", "max_rss", "device", "runs_together"]
    return whole_numbers(pd.DataFrame(rows, columns=names))


def cost_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Summarise costs by protocol, stage, data set and model, over seeds and classes left out.

    Parameters
    ----------
    frame
        Rows of `costs`.

    Returns
    -------
    pandas.DataFrame
        Columns `protocol`, `rule`, `dataset`, `model`, `device` (all there were), `n_runs`, then
        `seconds_mean`, `_min`, `_max` and `_sum`, and `max_rss_mean`, `_min` and `_max` (MB), of
        the runs that have a value. Models are in the study's order.

    Examples
    --------
    >>> keys = {"protocol": "p", "dataset": "d", "model": "FF", "rule": "train", "device": "cpu"}
    >>> frame = pd.DataFrame({**keys, "seconds": [2.0, 4.0], "max_rss": [np.nan, 100.0]})
    >>> cost_summary(frame)[["n_runs", "seconds_mean", "seconds_sum", "max_rss_min"]].values
    array([[  2.,   3.,   6., 100.]])
    """
    by = ["protocol", "rule", "dataset", "model"]
    grouped = frame.groupby(by, sort=False)
    summary = grouped.agg(
        device=("device", lambda names: "; ".join(dict.fromkeys(names))),
        n_runs=("device", "size"),
        seconds_mean=("seconds", "mean"),
        seconds_min=("seconds", "min"),
        seconds_max=("seconds", "max"),
        seconds_sum=("seconds", lambda seconds: seconds.sum(min_count=1)),
        max_rss_mean=("max_rss", "mean"),
        max_rss_min=("max_rss", "min"),
        max_rss_max=("max_rss", "max"),
    )
    summary = summary.reset_index()
    order = summary["model"].map({model: i for i, model in enumerate(MODELS)})
    places = {name: summary[name].map(_places(summary[name])) for name in by[:3]}
    return summary.iloc[np.lexsort([order, *reversed(list(places.values()))])].reset_index(
        drop=True
    )


def write_costs(
    frame: pd.DataFrame, stem: str | Path, titles: Mapping[str, str] | None = None
) -> list[Path]:
    """Write `stem`.csv (rows of `cost_summary`), and .md and .html, a table of it.

    Parameters
    ----------
    frame
        Rows of `costs`.
    stem
        Path of the files without their endings.
    titles
        How data sets are called; their keys where it says nothing.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    stem, summary = Path(stem), cost_summary(frame)
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in ("csv", "md", "html")]
    head, *rows = _rows(summary, titles or {})
    pipes = [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)]
    note = _note(summary)
    write_frame(summary, paths[0])
    write_text(paths[1], "\n".join([f"**{_TITLE}**", "", *pipes, "", note, ""]))
    write_text(paths[2], html_table(_TITLE, [head, *rows], note))
    write_checksums(stem, paths[1:])  # the frame has its own
    return paths


def _trained(metadata: str | Path) -> tuple[float, str, int]:
    """Return the seconds of one run, the device, and the runs trained at once."""
    content = read_run(metadata)
    try:
        together = int(content.get("runs_together") or 1)
        return float(content["seconds"]) / together, content["provenance"]["device"], together
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{metadata}: does not say what the run took ({error!r}); delete it and run again."
        ) from error


def _benchmark(path: Path) -> tuple[float, float]:
    """Return the seconds and MB of the last job that Snakemake measured; NaN where it did not."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        if not rows:
            return np.nan, np.nan
        seconds, memory = (
            np.nan if rows[-1][name] in _NOT_MEASURED else float(rows[-1][name])
            for name in ("s", "max_rss")
        )
        return seconds, memory
    except FileNotFoundError:
        return np.nan, np.nan
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path}: is no benchmark of Snakemake's ({error!r}); delete it."
        ) from error


def _places(names: pd.Series) -> dict[Any, int]:
    return {name: place for place, name in enumerate(names.unique())}


def _rows(summary: pd.DataFrame, titles: Mapping[str, str]) -> list[list[str]]:
    """Return the cells of the table of costs, its head first."""
    several = summary["protocol"].nunique() > 1
    head = ["Protocol"] * several + ["Step", "Data set", "Model", "Runs"]
    head += ["Time (s): mean", "min", "max", "Memory (MB): mean", "min", "max", "Device"]
    lines = [head]
    for row in summary.to_dict("records"):
        names = [row["protocol"]] * several + [RULES.get(row["rule"], row["rule"])]
        names += [titles.get(row["dataset"], row["dataset"]), MODEL_TITLES[row["model"]]]
        times = [_number(row[f"seconds_{name}"], 1) for name in ("mean", "min", "max")]
        memory = [_number(row[f"max_rss_{name}"], 0) for name in ("mean", "min", "max")]
        lines.append([*names, str(row["n_runs"]), *times, *memory, row["device"]])
    return lines


def _note(summary: pd.DataFrame) -> str:
    """Say what the table of costs shows, and what all runs have cost."""
    total = summary.groupby("rule", sort=False)["seconds_sum"].sum(min_count=1).dropna() / 3600
    said = ", ".join(
        f"{RULES.get(str(rule), str(rule)).lower()} {t:.2f} h" for rule, t in total.items()
    )
    return (
        "Wall-clock time of a run and largest main memory of its job, as measured by Snakemake; "
        f"{_NOTHING} where it measured none. Where several runs shared a job, a run's time is its "
        f"share and its memory that of all. Over all runs: {said or 'nothing was measured'}."
    )


def _number(value: float, digits: int) -> str:
    return _NOTHING if pd.isna(value) else f"{value:,.{digits}f}"
