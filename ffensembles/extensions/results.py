"""Estimates over runs beside their control: the numbers, their table and how they are said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ffensembles.analyses.statistics import student
from ffensembles.analyses.tidy import RUN_KEYS, whole_numbers
from ffensembles.datasets import DATASETS
from ffensembles.ensembles import METHODS
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.publication.tables import NOTHING, Table
from ffensembles.runtime.text import listed, plural

COLUMNS = (
    "protocol", "dataset", "model", "layer", "quantity", "value", "low", "high", "n_runs",
    "control", "control_value", "difference", "difference_low", "difference_high", "p",
)  # fmt: skip
"""Columns of results: one row for each estimate.

`layer` is missing for the whole net. `value` is a mean over runs, `low` and `high` its 95 %
interval (t distribution over runs). `control` names the control or null in words, `control_value`
is its mean over the same runs, and `difference`, with its interval and the p of a paired t test, is
value - control. An interval needs two runs that are not all alike.
"""

_BY = ["protocol", "dataset", "model", "layer"]
_DIFFERENCE = ("difference", "difference_low", "difference_high", "p")


def estimates(
    frame: pd.DataFrame, value: str, quantity: str, *, control: str = "", control_value: str = ""
) -> pd.DataFrame:
    """Estimate a column of a frame across runs, beside its control in the same runs.

    A run's rows (over classes or draws, say) are averaged first, since runs are the sample. Rows
    without a value do not count, nor do rows without a control: both are means of the same rows.
    Where no row has both, the value stands alone.

    Parameters
    ----------
    frame
        Rows with the run's keys; `layer` where there are layers.
    value
        The column to estimate.
    quantity
        What it is, in words with its unit; it heads the row of the table.
    control
        What it is compared with, in words; empty for nothing.
    control_value
        The column of the control.

    Returns
    -------
    pandas.DataFrame
        Rows of `COLUMNS`, one for each protocol, data set, model and layer.

    Examples
    --------
    >>> keys = {"protocol": "p", "dataset": "d", "model": "FF", "held_out": None, "layer": 1}
    >>> frame = pd.DataFrame([{**keys, "seed": s, "x": x, "o": 0.1} for s, x in enumerate([1, 3])])
    >>> row = estimates(frame, "x", "drop", control="random", control_value="o").iloc[0]
    >>> [round(float(row[name]), 2) for name in ("value", "low", "high", "difference", "p")]
    [2.0, -10.71, 14.71, 1.9, 0.31]
    """
    columns = [value, *([control_value] if control_value else [])]
    if "layer" not in frame:
        frame = frame.assign(layer=None)
    rows = []
    for key, group in frame.groupby(_BY, dropna=False, sort=False):
        both = group.dropna(subset=columns)
        known = both if len(both) else group.dropna(subset=value)
        per_run = known.groupby(list(RUN_KEYS), dropna=False, sort=False)[columns].mean()
        x = per_run[value].to_numpy(dtype=float)
        mean, low, high, _ = student(x)
        row = {**dict(zip(_BY, key, strict=True)), "quantity": quantity}
        row |= {"value": mean, "low": low, "high": high, "n_runs": len(x), "control": control}
        if control_value:
            other = per_run[control_value].to_numpy(dtype=float)
            size = np.abs([x, other]).max(initial=0)
            row["control_value"] = other.mean() if len(other) else np.nan
            row |= zip(_DIFFERENCE, student(x - other, size=size), strict=True)
        rows.append(row)
    return as_results(rows)


def compared(
    frame: pd.DataFrame, value: str, quantity: str, condition: str, control: str, words: str
) -> pd.DataFrame:
    """Estimate a column under one condition beside its control, class by class in each run.

    Parameters
    ----------
    frame
        Rows with the run's keys, `layer`, `category` and `condition`.
    value, quantity
        As for `estimates`.
    condition, control
        The two values of `condition`; classes that lack either do not count.
    words
        The control, in words.

    Returns
    -------
    pandas.DataFrame
        Rows of `COLUMNS`.
    """
    on = [*RUN_KEYS, "layer", "category"]
    one, other = (
        frame.loc[frame["condition"] == name, [*on, value]].dropna(subset=[value])
        for name in (condition, control)
    )
    pairs = one.merge(other, on=on, suffixes=("", "_control"))
    if pairs.empty:
        return as_results([])
    return estimates(pairs, value, quantity, control=words, control_value=f"{value}_control")


def found_by(frame: pd.DataFrame) -> str:
    """Say which method found the ensembles of an extension's frame; nothing if it has none.

    Of the frame of dynamics, which has every method, it is the one that the extension shows.

    Examples
    --------
    >>> found_by(pd.DataFrame({"method": ["method1", "method1"], "quantile": 0.95}))
    'Ensembles by Method 1 at quantile 0.95.'
    """
    if not {"method", "quantile"} <= {*frame.columns}:
        return ""
    if "of_edition" in frame:
        frame = frame[frame["of_edition"].astype(bool)]
    known = frame[["method", "quantile"]].drop_duplicates()
    names = [
        METHODS[row["method"]].titled(None if pd.isna(row["quantile"]) else row["quantile"])
        for row in records(known)
    ]
    return f"Ensembles by {listed(names)}." if names else ""


def records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as mappings from columns to values."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def groups(results: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the results of each data set and model of one protocol, with their names in print."""
    for dataset, rows in results.groupby("dataset", sort=False):
        for model in sorted(rows["model"].unique(), key=model_rank):
            known = DATASETS.get(str(dataset))
            yield (
                f"{MODEL_TITLES[model]} on {known.title if known else str(dataset)}",
                rows[rows["model"] == model],
            )


def decided(rows: pd.DataFrame, what: str, than: str, *, below: bool = False) -> str:
    """Say in which layers an estimate is above its control, and in which below, by the intervals.

    The intervals are those of the difference. With `below` it is said first in which layers the
    estimate is below its control. Nothing is said of single runs: there is no interval.

    Examples
    --------
    >>> rows = pd.DataFrame({"layer": [1, 2], "difference_low": [0.1, -0.2],
    ...                      "difference_high": [0.3, 0.4], "n_runs": 3})
    >>> print(decided(rows, "The loss", "chance"))
    The loss is above chance in layer 1, not clearly in layer 2 (interval of the difference).
    >>> print(decided(rows[1:], "The loss", "that of chance", below=True))
    The loss is not clearly below that of chance in layer 2.
    >>> print(decided(rows[:1], "The loss", "that of chance", below=True))
    The loss is above that of chance in layer 1 (interval of the difference).
    """
    word, opposite = ("below", "above") if below else ("above", "below")
    known = rows.dropna(subset=["difference_low"])
    if known.empty:
        what = f"{what[:1].lower()}{what[1:]}"
        return _undecided(what, f"{word} {than}") if (rows["n_runs"] > 1).any() else ""
    sides = _sides(known)
    clear, other, unclear = (
        known.loc[sides == side, "layer"] for side in (word, opposite, NOT_CLEAR)
    )
    if len(clear) or len(other):
        where: list[str] = []
        for side, layers in ((word, clear), (opposite, other)):
            if len(layers):
                where.append(f"{side} {'it' if where else than} in {_layers(layers)}")
        where += [f"not clearly in {_layers(unclear)}"] if len(unclear) else []
        said = f"{what} is {', '.join(where)} (interval of the difference)."
    else:
        among = "any of " if len(unclear) > 1 else ""
        said = f"{what} is not clearly {word} {than} in {among}{_layers(unclear)}."
    lone = rows[rows["difference_low"].isna()]
    undecided = [
        f" Undecided in {_layers(there['layer'])}: {why}."
        for why, there in (
            ("no spread between runs", lone[lone["n_runs"] > 1]),
            ("fewer than two runs", lone[lone["n_runs"] <= 1]),
        )
        if len(there)
    ]
    return said + "".join(undecided)


NOT_CLEAR = "not clearly above"
"""What is said of an estimate whose difference from its control has an interval with 0 in it."""


def _sides(rows: pd.DataFrame) -> pd.Series:
    """Return on which side of its control each estimate is, by the interval of the difference."""
    side = pd.Series(NOT_CLEAR, index=rows.index)
    side[rows["difference_low"] > 0] = "above"
    side[rows["difference_high"] < 0] = "below"
    return side


def _layers(numbers: Iterable[int]) -> str:
    """Name layers: `layer 1`, `layers 1 and 2`."""
    names = [str(number) for number in numbers]
    return f"layer{'s' if len(names) > 1 else ''} {listed(names)}"


def decided_pairs(rows: pd.DataFrame) -> str:
    """Say which controls an estimate of the whole net is above or below, by the intervals.

    The intervals are those of the differences. Nothing is said of single runs.

    Examples
    --------
    >>> rows = pd.DataFrame({"control": ["random units", "large units", "means", "others"],
    ...                      "difference_low": [0.1, -0.2, -0.4, None],
    ...                      "difference_high": [0.3, 0.2, -0.1, None], "n_runs": 2})
    >>> print(decided_pairs(rows[:2]))
    That is above random units, and not clearly above large units (intervals of the difference).
    >>> decided_pairs(rows[2:3])
    'That is below means (intervals of the difference).'
    >>> decided_pairs(rows[3:])
    'Whether that is above others is undecided: no spread between runs.'
    """
    known = rows[rows["control"] != ""]
    told = known.dropna(subset=["difference_low"])
    sides = _sides(told)
    said = [
        f"{word} {', '.join(told.loc[sides == word, 'control'])}"
        for word in ("above", "below", NOT_CLEAR)
        if (sides == word).any()
    ]
    decided = f"That is {', and '.join(said)} (intervals of the difference)." if said else ""
    lone = known[known["difference_low"].isna() & (known["n_runs"] > 1)]
    undecided = _undecided("that", f"above {', '.join(lone['control'])}") if len(lone) else ""
    return " ".join(filter(None, (decided, undecided)))


def _undecided(what: str, beside: str) -> str:
    """Say that several runs have all the same difference, so that there is no interval."""
    return f"Whether {what} is {beside} is undecided: no spread between runs."


def as_results(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a frame with all `COLUMNS`, numbers that are not given missing."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = [name for name in COLUMNS[5:] if name != "control"]
    frame = frame.astype(dict.fromkeys(numbers, float)).astype({"n_runs": "Int64"})
    return whole_numbers(frame.assign(control=frame["control"].fillna("")))


def said(value: float, low: float = np.nan, high: float = np.nan, *, digits: int = 2) -> str:
    """Write an estimate and its interval, as text has it.

    Examples
    --------
    >>> said(0.5, 0.25, 0.75), said(0.5), said(float("nan"))
    ('0.50 (0.25 to 0.75)', '0.50', '—')
    >>> said(-1e-9)
    '0.00'
    """
    if pd.isna(value):
        return NOTHING
    text = f"{value:z.{digits}f}"  # z: no minus before a 0
    return text if pd.isna(low) else f"{text} ({low:z.{digits}f} to {high:z.{digits}f})"


def estimate_text(row: Mapping[str, Any], digits: int = 2) -> str:
    """Write a row of results with its control and number of runs, as a paragraph has it.

    Examples
    --------
    >>> row = {"value": 0.5, "low": 0.4, "high": 0.6, "n_runs": 3,
    ...        "control": "random units", "control_value": 0.1}
    >>> estimate_text(row)
    '0.50 (0.40 to 0.60; random units 0.10; 3 runs)'
    """
    inside = []
    if not pd.isna(row["low"]):
        inside.append(f"{row['low']:z.{digits}f} to {row['high']:z.{digits}f}")
    if row.get("control") and not pd.isna(row["control_value"]):
        inside.append(f"{row['control']} {said(row['control_value'], digits=digits)}")
    inside.append(plural(int(row["n_runs"]), "run"))
    return f"{said(row['value'], digits=digits)} ({'; '.join(inside)})"


def by_layer(
    rows: pd.DataFrame, column: str, digits: int = 2, *, ends: bool = False, named: bool = True
) -> str:
    """Write a column of results layer by layer, as a sentence has it.

    Parameters
    ----------
    rows
        Results of one quantity, one row a layer.
    column
        What to write.
    digits
        Decimals.
    ends
        Whether to write the intervals.
    named
        Whether to say which layers these are.

    Examples
    --------
    >>> by_layer(pd.DataFrame({"layer": [2, 1], "value": [0.5, 0.25]}), "value")
    '0.25 / 0.50 in layers 1 / 2'
    """
    ordered = rows.sort_values("layer")
    columns = [column, *(("low", "high") if ends else ())]
    values = " / ".join(said(*of, digits=digits) for of in ordered[columns].to_numpy(dtype=float))
    layers = " / ".join(str(layer) for layer in ordered["layer"])
    return f"{values} in {'layer' if len(ordered) == 1 else 'layers'} {layers}" if named else values


def model_rank(model: str) -> int:
    """Return the place of a model in the study's order; unknown ones come last."""
    known = list(MODEL_TITLES)
    return known.index(model) if model in known else len(known)


def spoken_runs(rows: pd.DataFrame) -> str:
    """Say on how many runs rows of results rest.

    Examples
    --------
    >>> spoken_runs(pd.DataFrame({"n_runs": [2, 3]})), spoken_runs(pd.DataFrame({"n_runs": [1]}))
    ('2 to 3 runs', '1 run')
    """
    low, high = int(rows["n_runs"].min()), int(rows["n_runs"].max())
    return plural(high, "run") if low == high else f"{low} to {high} runs"


@dataclass(frozen=True)
class ResultsTable(Table):
    """A table of results: one row for each estimate. Its cells are rows of `COLUMNS`."""

    def wide(self) -> pd.DataFrame:
        """Return the table as text, with the columns in which something stands."""
        digits = self.digits[0]
        rows = []
        for cell in self.cells.to_dict("records"):
            control = said(cell["control_value"], digits=digits)
            low, high = cell["difference_low"], cell["difference_high"]
            rows.append(
                {
                    "Model": MODEL_TITLES.get(cell["model"], cell["model"]),
                    "Data set": self.titles.get(cell["dataset"], cell["dataset"]),
                    "Layer": "" if pd.isna(cell["layer"]) else str(cell["layer"]),
                    "Measured": cell["quantity"],
                    "Value (95 %)": said(cell["value"], cell["low"], cell["high"], digits=digits),
                    "Control": f"{cell['control']}: {control}" if cell["control"] else "",
                    "Difference (95 %)": said(cell["difference"], low, high, digits=digits)
                    if cell["control"]
                    else "",
                    "p": p_text(cell["p"]),
                    "Runs": str(cell["n_runs"]),
                }
            )
        wide = pd.DataFrame(rows)
        return wide.loc[:, [bool((wide[name] != "").any()) for name in wide.columns]]


def p_text(p: float) -> str:
    """Write a p value.

    Examples
    --------
    >>> p_text(0.0123), p_text(0.0002), p_text(float("nan"))
    ('0.012', '< .001', '')
    """
    if pd.isna(p):
        return ""
    return "< .001" if p < 0.001 else f"{p:.3f}"


def results_table(
    title: str, results: pd.DataFrame, note: str, titles: Mapping[str, str]
) -> ResultsTable:
    """Make the table of an extension's results; `titles` are those of data sets."""
    ranks = results["model"].map(model_rank)
    cells = results.assign(rank=ranks).sort_values(
        ["protocol", "dataset", "quantity", "rank", "layer"], kind="stable"
    )
    return ResultsTable(title, cells.drop(columns="rank").reset_index(drop=True), note, (3, 3),
                        dict(titles))  # fmt: skip
