"""Results over all groups of runs, as a summary has them: spans of numbers, counts of clear ones.

A group is the runs of one model under one protocol on one data set. Each has a row of results for a
quantity, or one for each layer.
"""

from collections.abc import Iterable, Iterator

import pandas as pd

from ffensembles.extensions.results import model_rank
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.publication.tables import NOTHING
from ffensembles.runtime.text import listed


def span(values: Iterable[float], digits: int = 2) -> str:
    """Write from where to where numbers go, without missing ones.

    Examples
    --------
    >>> span([0.5, 0.25, float("nan")]), span([0.501, 0.5]), span([])
    ('0.25 to 0.50', '0.50', '—')
    """
    known = pd.Series(list(values), dtype=float).dropna()
    if known.empty:
        return NOTHING
    low, high = f"{known.min():.{digits}f}", f"{known.max():.{digits}f}"
    return low if low == high else f"{low} to {high}"


def spans(rows: pd.DataFrame, column: str = "value", digits: int = 2) -> str:
    """Write from where to where a column of results goes over groups, model by model.

    Examples
    --------
    >>> rows = pd.DataFrame({"model": ["BP", "FF", "FF"], "value": [0.25, 0.5, 0.75]})
    >>> spans(rows), spans(rows[:0])
    ('0.50 to 0.75 in FF, 0.25 in BP', '—')
    """
    said = [f"{span(here[column], digits)} in {title}" for title, here in _by_model(rows, column)]
    return ", ".join(said) or NOTHING


def clear_in(
    rows: pd.DataFrame, *, of: str = "difference_", below: bool = False, what: str = "groups"
) -> str:
    """Count the rows whose interval lies above 0, model by model; rows without one do not count.

    Parameters
    ----------
    rows
        Results.
    of
        What stands before `low` and `high` in the names of the interval's columns: the difference
        from the control, or, empty, the value itself.
    below
        Count intervals below 0 instead.
    what
        What a row is, plural.

    Examples
    --------
    >>> rows = pd.DataFrame({"model": ["FF", "FF", "BP"], "low": [0.1, -0.2, None], "high": 0.3})
    >>> clear_in(rows, of=""), clear_in(rows[2:], of="", what="layers")
    ('in 1 of 2 groups of FF', 'in none of 0 layers')
    """
    end, sign = (f"{of}high", -1) if below else (f"{of}low", 1)
    counts = [
        (int((sign * here[end].dropna() > 0).sum()), int(here[end].notna().sum()), title)
        for title, here in _by_model(rows, end)
    ]
    if not counts:
        return f"in none of 0 {what}"
    (clear, among, first), *others = counts
    said = [f"{clear} of {among} {what} of {first}"]
    said += [f"{clear} of {among} of {title}" for clear, among, title in others]
    return f"in {listed(said)}"


def _by_model(rows: pd.DataFrame, column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each model in which a column is known, with the model's name in print."""
    known = rows.dropna(subset=[column])
    for model in sorted(known["model"].unique(), key=model_rank):
        yield MODEL_TITLES.get(model, model), known[known["model"] == model]
