"""What claims are made of: their statistic on some runs, and the statistics that editions share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffensembles.analyses.statistics import hedges_g, mantel, student, welch
from ffensembles.analyses.tidy import RUN_KEYS, over_seeds
from ffensembles.publication.numbers import PROTOCOL, SIZE_METHOD, SIZE_QUANTILE
from ffensembles.runtime.text import plural

FEWEST_CLASSES = 4
"""With fewer classes no order of them is rarer than one in twenty."""

NOT_RUN = "not run"
"""What is said where no run gives a number."""

NO_SPREAD = "all runs have the same value, so that there is no interval"

NO_LABELS = "weights carry no labels"
NO_UNSEEN = "shuffled labels leave no class unseen"

Frames = Mapping[str, pd.DataFrame | None]


@dataclass(frozen=True)
class Measured:
    """A claim's statistic on some runs.

    Attributes
    ----------
    value, low, high
        The statistic and its 95 % interval; missing where there is none.
    p
        Of the claim's test; missing where there is none.
    n, n_of
        How many of what it rests on.
    holds
        Whether the claim's condition is met; None where the data are too few to say.
    note
        What else one has to know.
    """

    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    n: int = 0
    n_of: str = "runs"
    holds: bool | None = None
    note: str = ""

    def noting(self, *notes: str) -> "Measured":
        """Return it with further notes behind its own; empty ones do not count."""
        return replace(self, note="; ".join(filter(None, [self.note, *notes])))


@dataclass(frozen=True)
class Claim:
    """One claim: what it says, how it is measured, on what.

    Attributes
    ----------
    key, statement, statistic
        Its short name, what it says and what is measured.
    measure
        Takes frames, data set and protocol; returns None where nothing of it was run.
    frame
        The frame whose data sets it is measured on; empty for all data sets at once.
    unshuffled
        Why there is no null of shuffled labels; empty where there is one.
    trained
        Why there is no null of untrained nets; empty where there is one.
    side
        1 where a larger statistic speaks for the claim, -1 where a smaller one does, 0 where it has
        to lie between bounds.
    """

    key: str
    statement: str
    statistic: str
    measure: Callable[[Frames, str, str], Measured | None]
    frame: str = ""
    unshuffled: str = ""
    trained: str = ""
    side: Literal[-1, 0, 1] = 1

    def as_much(self, null: Measured | None, found: Measured) -> bool:
        """Whether a null has what the claim says at least as much as the runs that it is for."""
        if null is None:
            return False
        if not self.side:
            return bool(null.holds)
        return bool(self.side * (null.value - found.value) >= 0)


def select(
    frames: Frames, name: str, protocol: str = PROTOCOL, *, held_out: bool = False, **keys: Any
) -> pd.DataFrame:
    """Return the rows of a frame with these keys, of runs on all classes or of those without one.

    A frame that is missing counts as one without rows, and has no columns either.

    Examples
    --------
    >>> frame = pd.DataFrame({"protocol": "sigmoid-linf", "held_out": None, "layer": [1, 2]})
    >>> select({"sizes": frame}, "sizes", layer=2)["layer"].tolist()
    [2]
    >>> select({}, "sizes", layer=2).empty
    True
    """
    frame = frames.get(name)
    if frame is None or frame.empty:
        return pd.DataFrame()
    kept = (frame["protocol"] == protocol) & (frame["held_out"].notna() == held_out)
    for key, value in keys.items():
        if isinstance(value, float):  # a quantile's last digits may be lost on its way
            kept &= np.isclose(frame[key].astype(float), value)
        else:
            kept &= (frame[key] == value).fillna(False).astype(bool)
    return frame[kept]


def floor_of(
    frames: Frames, dataset: str, quantile: float = SIZE_QUANTILE, protocol: str = PROTOCOL
) -> float:
    """Return Method 1's floor in FF's first layer, in units; missing if it was not run."""
    rows = select(frames, "sizes", protocol, dataset=dataset, model="FF", layer=1,
                  method=SIZE_METHOD, quantile=quantile)  # fmt: skip
    return float("nan") if rows.empty else float(rows["floor"].iloc[0])


def similar(
    frames: Frames, dataset: str, protocol: str, ensembles: Mapping[str, Any]
) -> Measured | None:
    """Correlate units shared in FF's layer 1 with the similarity of classes."""
    where: dict[str, Any] = {"dataset": dataset, "model": "FF", "layer": 1}
    shared = select(frames, "sharing", protocol, **where, **ensembles)
    alike = frames.get("similarity")
    alike = None if alike is None else alike[alike["dataset"] == dataset]
    if shared.empty or alike is None or alike.empty:
        return None
    n_runs = len(shared[list(RUN_KEYS)].drop_duplicates())
    mean = over_seeds(shared, "jaccard", ["category", "other"])
    one, other = complete(matrix(mean, "mean"), matrix(alike, "similarity"))
    k = len(one)
    found = Measured(n=k * (k - 1) // 2, n_of=f"pairs of {k} classes, over {plural(n_runs, 'run')}")
    if k < FEWEST_CLASSES:
        return replace(found, note=f"units are active in fewer than {FEWEST_CLASSES} classes")
    r, p = mantel(one, other)
    if np.isnan(r):
        return replace(found, note=f"the index of every pair is {one[0, 1]:.2f}")
    return replace(found, value=r, p=p, holds=p < 0.05 and r > 0,
                 note="one-sided p of a Mantel test")  # fmt: skip


def weaker(
    frames: Frames, dataset: str, protocol: str, layer: int, ensembles: Mapping[str, Any]
) -> Measured | None:
    """Measure how much less active the class left out is, in a layer of FF, than the others."""
    rows = of_unseen(frames, dataset, protocol, layer, ensembles)
    if rows.empty:
        return None
    by_run = rows.groupby([*RUN_KEYS, "unseen"], dropna=False)["activity"].mean().unstack("unseen")
    by_run = by_run.reindex(columns=[False, True])
    difference = (by_run[True] - by_run[False]).dropna().to_numpy(dtype=float)
    counted = by_run.dropna()
    means = {"unseen": counted[True].mean(), "seen": counted[False].mean()}
    known = [f"{name} {mean:.3f}" for name, mean in means.items() if not np.isnan(mean)]
    notes = [left_out(rows), ", ".join(known)]
    if silent := len(by_run) - len(difference):
        are = "run is" if silent == 1 else "runs are"
        notes.append(f"{silent} {are} left out, no unit being active for the unseen class")
    found = one_sample(difference, 0).noting(*notes)
    return replace(found, holds=None if np.isnan(found.high) else found.high < 0)


def per_run(rows: pd.DataFrame, value: str) -> NDArray[np.float64]:
    """Average a column within each run; runs without a value are left out."""
    means = rows.groupby(list(RUN_KEYS), dropna=False)[value].mean()
    return means.dropna().to_numpy(dtype=float)


def sample_text(row: Mapping[Any, Any]) -> str:
    """Say how large a sample is, from `n` and `n_of` of a claim.

    Examples
    --------
    >>> sample_text({"n": 3, "n_of": "runs"}), sample_text({"n": 1, "n_of": "pairs of runs"})
    ('3 runs', '1 pair of runs')
    """
    things, *rest = str(row["n_of"]).split(" ", 1)
    return " ".join([plural(int(row["n"]), things.removesuffix("s")), *rest])


def mean_of(values: NDArray[np.float64]) -> float:
    """Return the mean; missing of no values."""
    return float(values.mean()) if len(values) else float("nan")


def one_sample(values: NDArray[np.float64], null: float) -> Measured:
    """Return the mean with Student's interval and the p of its equality with `null`."""
    mean, low, high, p = student(values, null)
    alike = len(values) > 1 and np.isnan(low)
    return Measured(mean, low, high, p, len(values), note=NO_SPREAD if alike else "")


def of_unseen(
    frames: Frames, dataset: str, protocol: str, layer: int, ensembles: Mapping[str, Any]
) -> pd.DataFrame:
    """Return the rows of FF's runs without a class in a layer, seen and unseen classes."""
    where: dict[str, Any] = {"dataset": dataset, "model": "FF", "layer": layer}
    return select(frames, "unseen", protocol, held_out=True, **where, **ensembles)


def left_out(rows: pd.DataFrame) -> str:
    """Say how many classes were left out."""
    return f"classes left out: {rows['held_out'].nunique()}; their runs count as independent"


def matrix(pairs: pd.DataFrame, value: str) -> pd.DataFrame:
    """Lay out rows of `category` and `other` as a symmetric matrix."""
    square = pairs.astype({"category": int, "other": int}).pivot(
        index="category", columns="other", values=value
    )
    labels = sorted({*square.index, *square.columns})
    square = square.reindex(index=labels, columns=labels).astype(float)
    return square.combine_first(square.T)


def complete(
    one: pd.DataFrame, other: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Leave out classes, those with most missing pairs first, until no pair is missing."""
    labels = [label for label in one.index if label in other.index]
    while labels:
        missing = (one.isna() | other.isna()).loc[labels, labels].to_numpy(copy=True)
        np.fill_diagonal(missing, False)
        if not missing.any():
            break
        del labels[int(missing.sum(axis=1).argmax())]
    return one.loc[labels, labels].to_numpy(), other.loc[labels, labels].to_numpy()


def sparsities(
    frames: Frames, name: str, protocol: str, dataset: str, model: str, layer: int
) -> pd.DataFrame:
    """Return a layer's sparsity over all classes, one row a run."""
    rows = select(frames, name, protocol, dataset=dataset, model=model, layer=layer)
    return rows if rows.empty else rows[rows["category"].isna()].dropna(subset="sparsity")


def difference(of: dict[str, NDArray[np.float64]]) -> Measured | None:
    """Subtract the mean of the second group of runs from that of the first; Welch's interval."""
    (title, one), (beside, other) = of.items()
    if not len(one) or not len(other):
        return None
    low, high, p = welch(one, other)
    effect = hedges_g(one, other).value
    notes = [f"{title} {mean_of(one):.3f}, {beside} {mean_of(other):.3f}"]
    if not np.isnan(effect):
        notes.append(f"Hedges' g {effect:.1f}")
    elif min(len(one), len(other)) > 1:
        notes.append(NO_SPREAD)
    return Measured(
        mean_of(one) - mean_of(other), low, high, p, len(one) + len(other),
        f"runs ({len(one)} {title}, {len(other)} {beside})",
        None if np.isnan(low) else low > 0, "; ".join(notes),
    )  # fmt: skip
