"""Claims of the first edition, 2023, in the order of its sections."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from ffensembles.analyses.regression import free, paired_sizes, regress
from ffensembles.analyses.statistics import CONFIDENCE, welch
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.publication.measures import (
    NO_LABELS,
    NO_UNSEEN,
    NOT_RUN,
    Claim,
    Frames,
    Measured,
    floor_of,
    left_out,
    mean_of,
    of_unseen,
    one_sample,
    per_run,
    select,
    similar,
    weaker,
)
from ffensembles.publication.numbers import (
    REGRESSION_QUANTILE,
    SHARING_METHOD,
    SHARING_QUANTILE,
    SIZE_METHOD,
    SIZE_QUANTILE,
    UNSEEN_METHOD,
)
from ffensembles.runtime.text import plural

_SHARING = {"method": SHARING_METHOD, "quantile": SHARING_QUANTILE}
_UNSEEN = {"method": UNSEEN_METHOD}


def _sparse(frames: Frames, dataset: str, protocol: str, model: str) -> Measured | None:
    """Measure how many times larger BP's ensembles of layer 1 are than a model's.

    Sizes span two orders of magnitude, so the interval is Welch's for their logarithms.
    """
    where: dict[str, Any] = {
        "dataset": dataset,
        "layer": 1,
        "method": SIZE_METHOD,
        "quantile": SIZE_QUANTILE,
    }
    of = {name: select(frames, "sizes", protocol, model=name, **where) for name in (model, "BP")}
    if any(rows.empty for rows in of.values()):
        return None
    sizes = {name: per_run(rows, "size") for name, rows in of.items()}
    logs = {name: np.log(values[values > 0]) for name, values in sizes.items()}
    titles = {name: MODEL_TITLES[name] for name in sizes}
    notes = [f"{titles[name]} {mean_of(values):.1f} units" for name, values in sizes.items()]
    notes.append(f"Method 1's floor {of[model]['floor'].iloc[0]:.1f}")
    if empty := sum(len(sizes[name]) - len(logs[name]) for name in sizes):
        notes.append(f"{plural(empty, 'run')} without any active unit left out")
    n_of = ", ".join(f"{len(logs[name])} {titles[name]}" for name in sizes)
    value = float(np.exp(mean_of(logs["BP"]) - mean_of(logs[model])))
    found = Measured(value, n=sum(map(len, logs.values())), n_of=f"runs ({n_of})",
                     note="; ".join(notes))  # fmt: skip
    if min(map(len, logs.values())) < 2:
        return found
    low, high, p = welch(logs["BP"], logs[model])
    holds = None if np.isnan(low) else low > 0
    return replace(found, low=float(np.exp(low)), high=float(np.exp(high)), p=p, holds=holds)


def _unseen_sparse(frames: Frames, dataset: str, protocol: str, layer: int) -> Measured | None:
    """Count the units of the class left out in a layer of FF, by Method 2."""
    rows = of_unseen(frames, dataset, protocol, layer, _UNSEEN)
    rows = rows if rows.empty else rows[rows["unseen"].astype(bool)]
    if rows.empty:
        return None
    floor = floor_of(frames, dataset, protocol=protocol)
    found = one_sample(per_run(rows, "size"), floor)
    told = not np.isnan([found.low, floor]).any()
    holds = found.low > 0 and found.high < floor if told else None
    note = f"Method 1's floor {floor:.1f}; p is of equality with it"
    return replace(found, holds=holds).noting(left_out(rows), note)


def _inhibition(frames: Frames, dataset: str, protocol: str) -> Measured | None:
    """Measure the fraction of positive weights into FF's layers 2 and 3, beside the others'."""
    rows = select(frames, "positive_weights", protocol, dataset=dataset)
    rows = rows if rows.empty else rows[rows["layer"].isin([2, 3])]
    if rows.empty:
        return None
    of = {model: per_run(rows[rows["model"] == model], "positive") for model in MODEL_TITLES}
    if not len(of["FF"]):
        return None
    others = {model: values for model, values in of.items() if model != "FF"}
    found = one_sample(of["FF"], 0.5)
    bounds = (0.5, *map(mean_of, others.values()))
    told = not np.isnan([found.high, *bounds]).any()
    beside = (
        f"{MODEL_TITLES[model]} {mean_of(values):.3f} ({plural(len(values), 'run')})"
        if len(values)
        else f"{MODEL_TITLES[model]} {NOT_RUN}"
        for model, values in others.items()
    )
    holds = all(found.high < bound for bound in bounds) if told else None
    return replace(found, holds=holds).noting(", ".join(beside), "p is of equality with one half")


def _agree(frames: Frames, dataset: str, protocol: str) -> Measured | None:
    """Correlate sizes by the two methods over every run, layer and class."""
    rows = select(frames, "sizes", protocol)
    pairs = (
        rows
        if rows.empty
        else paired_sizes(rows, REGRESSION_QUANTILE).dropna(subset=["size1", "size2"])
    )
    if pairs.empty:
        return None
    fit = regress(pairs).iloc[0]
    pairs = free(pairs)
    found = Measured(value=float(fit["r"]), n=len(pairs),
                     n_of="pairs of sizes (run, layer and class)")  # fmt: skip
    ended = (
        f"; {plural(int(fit['n_ended']), 'ensemble')} that Method 2's cut in rank ended left out"
        if fit["n_ended"]
        else ""
    )
    if len(pairs) < 4 or np.isnan(fit["r"]):  # Fisher's interval needs more than three
        return replace(found, note=ended.removeprefix("; "))
    x, y = (pairs[name].to_numpy(dtype=float) for name in ("size1", "size2"))
    test = stats.pearsonr(x, y)
    low, high = map(float, test.confidence_interval(CONFIDENCE))
    sloping = not fit["slope_low"] <= 0 <= fit["slope_high"]
    slope = f"{fit['slope']:.2f} ({fit['slope_low']:.2f} to {fit['slope_high']:.2f})"
    return replace(
        found, low=low, high=high, p=float(test.pvalue), holds=sloping and fit["r"] > 0.5,
        note=f"slope {slope}; pairs of one run count as independent{ended}",
    )  # fmt: skip


CLAIMS_2023: tuple[Claim, ...] = (
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
        partial(similar, ensembles=_SHARING),
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
                partial(weaker, layer=layer, ensembles=_UNSEEN),
                "unseen",
                NO_UNSEEN,
                side=-1,
            ),
            Claim(
                f"unseen_sparse_{layer}",
                f"A class never seen has a sparse ensemble in layer {layer} of FF (the interval is"
                " above 0 and below Method 1's floor at 0.95).",
                "units of the unseen class (Method 2)",
                partial(_unseen_sparse, layer=layer),
                "unseen",
                NO_UNSEEN,
                side=0,
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
        NO_LABELS,
        side=-1,
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
