"""What the study claims, each as a statistic of runs with an interval, a test and its nulls.

A claim is measured three times by the same function: on the runs, on the same nets untrained, and
on the same activations with shuffled labels. Only the first decides; the others say what the
statistic is where there is nothing to find.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ffensembles.analyses.regression import paired_sizes, regress
from ffensembles.analyses.statistics import CONFIDENCE, mantel, welch
from ffensembles.analyses.tidy import RUN_KEYS, over_seeds
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.publication.numbers import (
    PROTOCOL,
    PUBLISHED,
    SHARING_METHOD,
    SHARING_QUANTILE,
    UNSEEN_METHOD,
)
from ffensembles.runs import UNTRAINED
from ffensembles.runtime.text import plural

_OF_UNTRAINED = "untrained_"

HOLDS, FAILS, UNDECIDED, NOT_RUN = "holds", "does not hold", "undecided", "not run"
"""What is said of a claim."""

# with fewer classes no order of them is rarer than one in twenty
_FEWEST_CLASSES = 4

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
    """

    key: str
    statement: str
    statistic: str
    measure: Callable[[Frames, str, str], Measured | None]
    frame: str = ""
    unshuffled: str = ""


def claims(frames: Frames) -> pd.DataFrame:
    """Measure every claim of the study on every data set.

    Parameters
    ----------
    frames
        Tidy frames by name: `accuracy`, `sizes`, `positive_weights`, `sharing` (by Method 1),
        `unseen`, and as nulls `shuffled_sizes` and `shuffled_sharing`, of labels permuted over
        the images; `similarity` (`dataset`, `category`, `other`, `similarity`) is the Pearson
        correlation of two classes' mean test images. Frames of untrained nets, the other null, are
        named `untrained_sizes` and so on, with the protocol `sigmoid-linf--untrained`. Any may be missing.

    Returns
    -------
    pandas.DataFrame
        One row per claim and data set (missing for claims over all data sets): `claim`,
        `statement`, `dataset`, `statistic`, `value`, `low`, `high` (95 % interval), `p`, `n`,
        `n_of`, `null_untrained`, `null_shuffled` (the statistic there), `note` and `verdict`.
    """
    rows = [
        _row(claim, frames, dataset) for claim in CLAIMS for dataset in _datasets(claim, frames)
    ]
    return pd.DataFrame(rows).astype({"n": "Int64"})


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


def floor_of(frames: Frames, dataset: str, quantile: float = 0.95) -> float:
    """Return Method 1's floor in FF's first layer, in units; missing if it was not run."""
    rows = select(frames, "sizes", dataset=dataset, model="FF", layer=1, method="method1",
                  quantile=quantile)  # fmt: skip
    return float("nan") if rows.empty else float(rows["floor"].iloc[0])


def _sparse(frames: Frames, dataset: str, protocol: str, model: str) -> Measured | None:
    """Measure how many times larger BP's ensembles of layer 1 are than a model's.

    Sizes span two orders of magnitude, so the interval is Welch's for their logarithms.
    """
    where: dict[str, Any] = {"dataset": dataset, "layer": 1, "method": "method1", "quantile": 0.95}
    of = {name: select(frames, "sizes", protocol, model=name, **where) for name in (model, "BP")}
    if any(rows.empty for rows in of.values()):
        return None
    sizes = {name: _per_run(rows, "size") for name, rows in of.items()}
    logs = {name: np.log(values[values > 0]) for name, values in sizes.items()}
    titles = {name: MODEL_TITLES[name] for name in sizes}
    notes = [f"{titles[name]} {_mean(values):.1f} units" for name, values in sizes.items()]
    notes.append(f"Method 1's floor {of[model]['floor'].iloc[0]:.1f}")
    if empty := sum(len(sizes[name]) - len(logs[name]) for name in sizes):
        notes.append(f"{plural(empty, 'run')} without any active unit left out")
    n_of = ", ".join(f"{len(logs[name])} {titles[name]}" for name in sizes)
    value = float(np.exp(_mean(logs["BP"]) - _mean(logs[model])))
    found = Measured(value, n=sum(map(len, logs.values())), n_of=f"runs ({n_of})",
                     note="; ".join(notes))  # fmt: skip
    if min(map(len, logs.values())) < 2:
        return found
    low, high, p = welch(logs["BP"], logs[model])
    holds = None if np.isnan(low) else low > 0
    return _with(found, low=float(np.exp(low)), high=float(np.exp(high)), p=p, holds=holds)


def _similar(frames: Frames, dataset: str, protocol: str) -> Measured | None:
    """Correlate units shared in FF's layer 1 with the similarity of classes."""
    where: dict[str, Any] = {"dataset": dataset, "model": "FF", "layer": 1}
    where |= {"method": SHARING_METHOD, "quantile": SHARING_QUANTILE}
    shared = select(frames, "sharing", protocol, **where)
    alike = frames.get("similarity")
    alike = None if alike is None else alike[alike["dataset"] == dataset]
    if shared.empty or alike is None or alike.empty:
        return None
    n_runs = len(shared[list(RUN_KEYS)].drop_duplicates())
    mean = over_seeds(shared, "jaccard", ["category", "other"])
    one, other = _complete(_matrix(mean, "mean"), _matrix(alike, "similarity"))
    k = len(one)
    found = Measured(n=k * (k - 1) // 2, n_of=f"pairs of {k} classes, over {plural(n_runs, 'run')}")
    if k < _FEWEST_CLASSES:
        return _with(found, note=f"units are active in fewer than {_FEWEST_CLASSES} classes")
    r, p = mantel(one, other)
    if np.isnan(r):
        return _with(found, note=f"the index of every pair is {one[0, 1]:.2f}")
    return _with(found, value=r, p=p, holds=p < 0.05 and r > 0,
                 note="one-sided p of a Mantel test")  # fmt: skip


def _weaker(frames: Frames, dataset: str, protocol: str, layer: int) -> Measured | None:
    """Measure how much less active the class left out is, in a layer of FF, than the others."""
    rows = _of_unseen(frames, dataset, protocol, layer)
    if rows.empty:
        return None
    by_run = rows.groupby([*RUN_KEYS, "unseen"], dropna=False)["activity"].mean().unstack("unseen")
    by_run = by_run.reindex(columns=[False, True])
    difference = (by_run[True] - by_run[False]).dropna().to_numpy(dtype=float)
    means = {"unseen": by_run[True].mean(), "seen": by_run[False].mean()}
    known = [f"{name} {mean:.3f}" for name, mean in means.items() if not np.isnan(mean)]
    notes = [_left_out(rows), ", ".join(known)]
    if silent := len(by_run) - len(difference):
        are = "run is" if silent == 1 else "runs are"
        notes.append(f"{silent} {are} left out, no unit being active for the unseen class")
    found = _with(_one_sample(difference, 0), note="; ".join(notes))
    return _with(found, holds=None if np.isnan(found.high) else found.high < 0)


def _unseen_sparse(frames: Frames, dataset: str, protocol: str, layer: int) -> Measured | None:
    """Count the units of the class left out in a layer of FF, by Method 2."""
    rows = _of_unseen(frames, dataset, protocol, layer)
    rows = rows if rows.empty else rows[rows["unseen"].astype(bool)]
    if rows.empty:
        return None
    floor = floor_of(frames, dataset)
    found = _one_sample(_per_run(rows, "size"), floor)
    told = not np.isnan([found.low, floor]).any()
    return _with(
        found,
        holds=found.low > 0 and found.high < floor if told else None,
        note=f"{_left_out(rows)}; Method 1's floor {floor:.1f}; p is of equality with it",
    )


def _inhibition(frames: Frames, dataset: str, protocol: str) -> Measured | None:
    """Measure the fraction of positive weights into FF's layers 2 and 3, beside the others'."""
    rows = select(frames, "positive_weights", protocol, dataset=dataset)
    rows = rows if rows.empty else rows[rows["layer"].isin([2, 3])]
    if rows.empty:
        return None
    of = {model: _per_run(rows[rows["model"] == model], "positive") for model in MODEL_TITLES}
    if not len(of["FF"]):
        return None
    others = {model: values for model, values in of.items() if model != "FF"}
    found = _one_sample(of["FF"], 0.5)
    bounds = (0.5, *map(_mean, others.values()))
    told = not np.isnan([found.high, *bounds]).any()
    beside = (
        f"{MODEL_TITLES[model]} {_mean(values):.3f} ({plural(len(values), 'run')})"
        if len(values)
        else f"{MODEL_TITLES[model]} {NOT_RUN}"
        for model, values in others.items()
    )
    return _with(
        found, holds=all(found.high < bound for bound in bounds) if told else None,
        note=f"{', '.join(beside)}; p is of equality with one half",
    )  # fmt: skip


def _agree(frames: Frames, dataset: str, protocol: str) -> Measured | None:
    """Correlate sizes by the two methods over every run, layer and class."""
    rows = select(frames, "sizes", protocol)
    pairs = rows if rows.empty else paired_sizes(rows, 0.99).dropna(subset=["size1", "size2"])
    if pairs.empty:
        return None
    fit = regress(pairs).iloc[0]
    found = Measured(value=float(fit["r"]), n=len(pairs),
                     n_of="pairs of sizes (run, layer and class)")  # fmt: skip
    if len(pairs) < 4 or np.isnan(fit["r"]):  # Fisher's interval wants more than three
        return found
    x, y = (pairs[name].to_numpy(dtype=float) for name in ("size1", "size2"))
    test = stats.pearsonr(x, y)
    low, high = map(float, test.confidence_interval(CONFIDENCE))
    sloping = not fit["slope_low"] <= 0 <= fit["slope_high"]
    slope = f"{fit['slope']:.2f} ({fit['slope_low']:.2f} to {fit['slope_high']:.2f})"
    return _with(
        found, low=low, high=high, p=float(test.pvalue), holds=sloping and fit["r"] > 0.5,
        note=f"slope {slope}; pairs of one run count as independent",
    )  # fmt: skip


_NO_LABELS = "weights carry no labels"
_NO_UNSEEN = "shuffled labels leave no class unseen"

CLAIMS = (
    *(
        Claim(
            f"sparse_{model.lower()}",
            f"{MODEL_TITLES[model]} has sparse ensembles and BP has not: BP's are larger in layer 1"
            " (the interval is above 1).",
            f"size in BP over size in {MODEL_TITLES[model]} (Method 1 at 0.95, geometric means)",
            partial(_sparse, model=model),
            "sizes",
        )
        for model in ("FF", "BPFF")
    ),
    Claim(
        "similar_share",
        "Similar classes share more units in layer 1 of FF (correlation above 0, p < .05).",
        "Spearman's correlation of the Jaccard index with the similarity of mean images",
        _similar,
        "sharing",
    ),
    # in each layer, since the study does not say of which one its figure 4 is
    *(
        claim
        for layer in (1, 2, 3)
        for claim in (
            Claim(
                f"unseen_weaker_{layer}",
                f"A class never seen evokes weaker activity in layer {layer} of FF (the interval is"
                " below 0).",
                "activity of the unseen class's active units less the seen classes' mean",
                partial(_weaker, layer=layer),
                "unseen",
                _NO_UNSEEN,
            ),
            Claim(
                f"unseen_sparse_{layer}",
                f"A class never seen has a sparse ensemble in layer {layer} of FF (the interval is"
                " above 0 and below Method 1's floor at 0.95).",
                "units of the unseen class (Method 2)",
                partial(_unseen_sparse, layer=layer),
                "unseen",
                _NO_UNSEEN,
            ),
        )
    ),
    Claim(
        "inhibition_ff",
        "Negative weights dominate layers 2 and 3 in FF only (the interval is below one half and"
        " below the means of BP/FF and BP).",
        "fraction of positive weights in FF, mean of layers 2 and 3",
        _inhibition,
        "positive_weights",
        _NO_LABELS,
    ),
    Claim(
        "methods_agree",
        "Methods 1 and 2 agree on the size of an ensemble (r above .5 and the slope's interval"
        " without 0).",
        "Pearson's correlation of sizes by Method 1 (at 0.99) and Method 2",
        _agree,
    ),
)
"""The study's claims, in the order of its sections."""


def _row(claim: Claim, frames: Frames, dataset: str) -> dict[str, Any]:
    found = claim.measure(frames, dataset, PROTOCOL)
    untrained = claim.measure(_with_untrained(frames), dataset, f"{PROTOCOL}--{UNTRAINED}")
    swapped = {name: frames.get(f"shuffled_{name}") for name in ("sizes", "sharing")}
    shuffled = None if claim.unshuffled else claim.measure({**frames, **swapped}, dataset, PROTOCOL)
    said = [found.note if found else "", _no_null("untrained nets", untrained)]
    said.append(_no_null("shuffled labels", shuffled, claim.unshuffled))
    verdict = NOT_RUN
    if found is not None:
        verdict = {True: HOLDS, False: FAILS, None: UNDECIDED}[
            None if found.holds is None else bool(found.holds)
        ]
    result = found or Measured()
    return {
        "claim": claim.key,
        "statement": claim.statement,
        "dataset": dataset or None,
        "statistic": claim.statistic,
        **{name: getattr(result, name) for name in ("value", "low", "high", "p", "n", "n_of")},
        "null_untrained": untrained.value if untrained else np.nan,
        "null_shuffled": shuffled.value if shuffled else np.nan,
        "note": "; ".join(filter(None, said)),
        "verdict": verdict,
    }


def _with_untrained(frames: Frames) -> Frames:
    """Return the frames with the rows of untrained nets among those of trained ones."""
    nulls = {
        name.removeprefix(_OF_UNTRAINED): frame
        for name, frame in frames.items()
        if name.startswith(_OF_UNTRAINED) and frame is not None
    }
    both = {name: [frames.get(name), frame] for name, frame in nulls.items()}
    return {**frames, **{name: pd.concat(filter(_known, both[name])) for name in both}}


def _known(frame: pd.DataFrame | None) -> bool:
    return frame is not None


def _no_null(name: str, null: Measured | None, reason: str = "") -> str:
    """Say why a null has no value; nothing where it has one."""
    if reason:
        return f"{name}: none, since {reason}"
    if null is None:
        return f"{name}: {NOT_RUN}"
    return f"{name}: no value ({null.note})" if np.isnan(null.value) else ""


def _datasets(claim: Claim, frames: Frames) -> list[str]:
    """Return the study's data sets, then those that were run beside them."""
    if not claim.frame:
        return [""]
    unseen = claim.frame == "unseen"
    theirs = [
        number.dataset
        for number in PUBLISHED
        if number.dataset and (not unseen or number.quantity.startswith("unseen"))
    ]
    rows = select(frames, claim.frame, held_out=unseen)
    ours = [] if rows.empty else rows["dataset"].tolist()
    return list(dict.fromkeys([*theirs, *ours]))


def _per_run(rows: pd.DataFrame, value: str) -> NDArray[np.float64]:
    """Average a column within each run; runs without a value are left out."""
    means = rows.groupby(list(RUN_KEYS), dropna=False)[value].mean()
    return means.dropna().to_numpy(dtype=float)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _one_sample(values: NDArray[np.float64], null: float) -> Measured:
    """Return the mean with Student's interval and the p of its equality with `null`."""
    n, mean = len(values), _mean(values)
    if n < 2:
        return Measured(mean, n=n)
    se = values.std(ddof=1) / np.sqrt(n)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * se
    with np.errstate(divide="ignore", invalid="ignore"):  # runs without any spread
        p = 2 * stats.t.sf(np.abs((mean - null) / se), n - 1)
    return Measured(mean, float(mean - half), float(mean + half), float(p), n)


def _with(found: Measured, **changes: Any) -> Measured:
    return Measured(**{**vars(found), **changes})


def _of_unseen(frames: Frames, dataset: str, protocol: str, layer: int) -> pd.DataFrame:
    where: dict[str, Any] = {"dataset": dataset, "model": "FF", "layer": layer}
    where["method"] = UNSEEN_METHOD
    return select(frames, "unseen", protocol, held_out=True, **where)


def _left_out(rows: pd.DataFrame) -> str:
    return f"classes left out: {rows['held_out'].nunique()}; their runs count as independent"


def _matrix(pairs: pd.DataFrame, value: str) -> pd.DataFrame:
    """Lay out rows of `category` and `other` as a symmetric matrix."""
    square = pairs.astype({"category": int, "other": int}).pivot(
        index="category", columns="other", values=value
    )
    labels = sorted({*square.index, *square.columns})
    square = square.reindex(index=labels, columns=labels).astype(float)
    return square.combine_first(square.T)


def _complete(
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
