"""Claims of the later edition, 2025; those of the learning rate are in `learning_rate`.

Sparsity is Hoyer's, ensembles are LOO's with k = 1.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ffensembles.analyses.statistics import (
    PERMUTATIONS,
    standardised_ranks,
    valley_depth,
)
from ffensembles.analyses.tidy import RUN_KEYS
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.publication.learning_rate import sparser_at_its_accuracy, sparser_at_its_rate
from ffensembles.publication.measures import (
    FEWEST_CLASSES,
    NO_LABELS,
    NO_UNSEEN,
    Claim,
    Frames,
    Measured,
    difference,
    left_out,
    mean_of,
    of_unseen,
    one_sample,
    per_run,
    select,
    similar,
    sparsities,
    weaker,
)
from ffensembles.publication.numbers2025 import METHOD
from ffensembles.runtime.text import plural

BALANCED = 0.05
"""A fraction of positive weights is balanced if it differs from one half by less."""

VALLEY = 0.5
"""Units are bimodal if the density between two modes falls below this share of the lower one."""

_LAYERS = (1, 2, 3)
_LOO = {"method": METHOD}
_NO_ORDER = "the sparsity of an image does not depend on its label"
_NO_RATE = "an untrained net has no learning rate"


def _sparser(
    frames: Frames, dataset: str, protocol: str, model: str, layer: int
) -> Measured | None:
    """Measure how much sparser a model's layer is than BP's."""
    rows = {
        MODEL_TITLES[name]: sparsities(frames, "sparsity", protocol, dataset, name, layer)
        for name in (model, "BP")
    }
    if any(one.empty for one in rows.values()):
        return None
    return difference({name: per_run(one, "sparsity") for name, one in rows.items()})


def _unseen_ensemble(frames: Frames, dataset: str, protocol: str, layer: int) -> Measured | None:
    """Count the units of the class left out in a layer of FF."""
    rows = of_unseen(frames, dataset, protocol, layer, _LOO)
    if rows.empty:
        return None
    unseen = rows["unseen"].astype(bool)
    found = one_sample(per_run(rows[unseen], "size"), 0)
    seen = mean_of(per_run(rows[~unseen], "size"))
    note = f"{left_out(rows)}; seen classes {seen:.1f} units; p is of equality with 0"
    return replace(found, holds=None if np.isnan(found.low) else found.low > 0).noting(note)


def _unseen_shares(frames: Frames, dataset: str, protocol: str, layer: int) -> Measured | None:
    """Correlate the units that an unseen class shares with seen ones with their similarity.

    The statistic is the mean over runs of Spearman's correlation over the seen classes. Its
    interval is Student's over runs; the p is of permutations of the seen classes, the same for
    all runs without the same class, since these are compared with the same similarities.
    """
    rows = select(
        frames, "sharing", protocol, held_out=True, dataset=dataset, model="FF", layer=layer, **_LOO
    )
    alike = frames.get("similarity")
    alike = None if alike is None else alike[alike["dataset"] == dataset]
    if rows.empty or alike is None or alike.empty:
        return None
    groups = [
        _of_class(int(group["held_out"].iloc[0]), group, alike)
        for _, group in rows[rows["unseen"].astype(bool)].groupby("held_out")
    ]
    groups = [(shared, similarity) for shared, similarity in groups if len(shared)]
    lost = rows.groupby(list(RUN_KEYS)).ngroups - sum(len(shared) for shared, _ in groups)
    notes = [f"classes left out: {rows['held_out'].nunique()}", "one-sided p of permuted classes"]
    if lost:
        notes.append(f"{plural(lost, 'run')} without differences in shared units left out")
    if not groups:
        return Measured(note="; ".join(notes))
    r = np.concatenate([shared @ similarity for shared, similarity in groups])
    rng = np.random.default_rng(0)
    by_chance = np.zeros(PERMUTATIONS)
    for shared, similarity in groups:
        drawn = rng.permuted(np.tile(similarity, (PERMUTATIONS, 1)), axis=1)
        by_chance += drawn @ shared.sum(axis=0) / len(r)
    p = float((1 + np.sum(by_chance >= r.mean() - 1e-9)) / (1 + PERMUTATIONS))
    holds = bool(p < 0.05 and r.mean() > 0)
    return replace(one_sample(r, 0), p=p, holds=holds).noting(*notes)


def _of_class(
    label: int, rows: pd.DataFrame, alike: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return standardised ranks over the seen classes of what an unseen one shares and resembles.

    Shared units (runs, classes) and similarity (classes,); runs in which all classes share alike,
    and classes that lack a value in some run, are left out.
    """

    def beside(frame: pd.DataFrame) -> pd.DataFrame:
        own = ((frame["category"] == label) ^ (frame["other"] == label)).astype(bool)
        other = frame["category"].where(frame["category"] != label, frame["other"])
        return frame.assign(beside=other.astype(int))[own]

    shared = beside(rows).pivot(index="seed", columns="beside", values="jaccard").astype(float)
    shared = shared.dropna(axis=1)
    similarity = beside(alike).set_index("beside")["similarity"]
    classes = [one for one in shared.columns if one in similarity.index]
    if len(classes) < FEWEST_CLASSES:
        return np.empty((0, 0)), np.empty(0)
    ranks = np.stack([standardised_ranks(row) for row in shared[classes].to_numpy()])
    return ranks[~np.isnan(ranks).any(axis=1)], standardised_ranks(similarity[classes].to_numpy())


def _positive(frames: Frames, dataset: str, protocol: str, model: str) -> NDArray[np.float64]:
    """Return the fraction of positive weights into a model's layer 2, of each run."""
    rows = select(frames, "positive_weights", protocol, dataset=dataset, model=model, layer=2)
    return np.empty(0) if rows.empty else per_run(rows, "positive")


def _excitation(frames: Frames, dataset: str, protocol: str) -> Measured | None:
    """Measure the fraction of positive weights into FF's layer 2."""
    values = _positive(frames, dataset, protocol, "FF")
    if not len(values):
        return None
    found = one_sample(values, 0.5)
    holds = None if np.isnan(found.low) else found.low > 0.5
    return replace(found, holds=holds).noting("p is of equality with one half")


def _balance(frames: Frames, dataset: str, protocol: str) -> Measured | None:
    """Test that as many of BP's weights into layer 2 are positive as negative (equivalence)."""
    values = _positive(frames, dataset, protocol, "BP")
    if not len(values):
        return None
    found = one_sample(values, 0.5)
    if np.isnan(found.low):
        return found
    se = values.std(ddof=1) / np.sqrt(len(values))
    inside = BALANCED - abs(mean_of(values) - 0.5)
    # of the two one-sided tests the one that the mean is nearer to has the larger p
    p = float(stats.t.sf(inside / se, len(values) - 1))
    holds = found.low > 0.5 - BALANCED and found.high < 0.5 + BALANCED
    note = f"p is of a difference from one half of at least {BALANCED:g} (two one-sided tests)"
    return replace(found, p=p, holds=holds).noting(note)


def _bimodality(frames: Frames, dataset: str, protocol: str) -> Measured | None:
    """Measure how deep the valley is in the distribution over units of BP/FF's layer 2."""
    depths = {}
    for model in MODEL_TITLES:
        where: dict[str, Any] = {"dataset": dataset, "model": model, "layer": 2}
        rows = select(frames, "positive_weights_by_unit", protocol, **where)
        groups = [] if rows.empty else [one for _, one in rows.groupby("seed")]
        depths[model] = np.array([valley_depth(one["positive"]) for one in groups])
    if not len(depths["BPFF"]):
        return None
    found = one_sample(depths["BPFF"], VALLEY)
    others = [
        f"{MODEL_TITLES[model]} {mean_of(values):.2f}"
        for model, values in depths.items()
        if model != "BPFF" and len(values)
    ]
    holds = None if np.isnan(found.low) else found.low > VALLEY
    if found.n > 1 and found.value <= VALLEY:  # where no run has a valley there is no spread
        holds = False
    return replace(found, holds=holds).noting(*others, f"p is of equality with {VALLEY:g}")


def _by_layer(
    key: str, statement: str, statistic: str, measure: Callable[..., Measured | None],
    frame: str, **options: Any,
) -> tuple[Claim, ...]:  # fmt: skip
    """Return one claim for each layer; `{layer}` in the statement is its number."""
    return tuple(
        Claim(
            f"{key}_{layer}", statement.format(layer=layer), statistic,
            partial(measure, layer=layer), frame, **options,
        )
        for layer in _LAYERS
    )  # fmt: skip


CLAIMS_2025: tuple[Claim, ...] = (
    *(
        claim
        for model in ("FF", "BPFF")
        for claim in _by_layer(
            f"sparser_{model.lower()}",
            f"{MODEL_TITLES[model]} is sparser than BP in layer {{layer}} (the interval is above"
            " 0).",
            f"Hoyer sparsity of {MODEL_TITLES[model]} less that of BP",
            partial(_sparser, model=model),
            "sparsity",
            unshuffled=_NO_ORDER,
        )
    ),
    *_by_layer(
        "same_rate",
        "FF is sparser than BP at the same learning rate, FF's, in layer {layer} (the interval is"
        " above 0).",
        "Hoyer sparsity of FF less that of BP trained at FF's learning rate",
        sparser_at_its_rate,
        "sparsity",
        unshuffled=_NO_ORDER,
        trained=_NO_RATE,
    ),
    *_by_layer(
        "same_accuracy",
        "FF is sparser than BP at the same accuracy in layer {layer} (the interval is above 0).",
        "Hoyer sparsity of FF less that of BP, in runs with matched accuracies",
        sparser_at_its_accuracy,
        "sparsity",
        unshuffled=_NO_ORDER,
        trained=_NO_RATE,
    ),
    Claim(
        "similar_share",
        "Similar classes share more units in layer 1 of FF (correlation above 0, p < .05).",
        "Spearman's correlation of the Jaccard index with the similarity of mean images",
        partial(similar, ensembles=_LOO),
        "sharing",
    ),
    *_by_layer(
        "unseen_ensemble",
        "A class never seen has an ensemble in layer {layer} of FF (the interval is above 0).",
        "units of the unseen class (LOO)",
        _unseen_ensemble,
        "unseen",
        unshuffled=NO_UNSEEN,
    ),
    *_by_layer(
        "unseen_weaker",
        "A class never seen evokes weaker activity in layer {layer} of FF (the interval is below"
        " 0).",
        "activity of the unseen class's active units less the seen classes' mean",
        partial(weaker, ensembles=_LOO),
        "unseen",
        unshuffled=NO_UNSEEN,
        side=-1,
    ),
    *_by_layer(
        "unseen_shares",
        "A class never seen shares more units with similar classes in layer {layer} of FF"
        " (correlation above 0, p < .05).",
        "Spearman's correlation of the Jaccard index with the similarity of mean images, over the"
        " seen classes",
        _unseen_shares,
        "unseen",
        unshuffled=NO_UNSEEN,
    ),
    Claim(
        "excitation_ff",
        "Positive weights dominate layer 2 of FF (the interval is above one half).",
        "fraction of positive weights in layer 2 of FF",
        _excitation,
        "positive_weights",
        NO_LABELS,
    ),
    Claim(
        "bimodal_bpff",
        "The units of layer 2 of BP/FF form two groups by their fraction of positive weights (the"
        f" interval is above {VALLEY:g}).",
        "depth of the valley between two modes, 1 - valley / lower mode, with at least a tenth of"
        " the units on either side",
        _bimodality,
        "positive_weights",
        NO_LABELS,
        trained="weights of single units are not measured there",
    ),
    Claim(
        "balanced_bp",
        "Positive and negative weights are balanced in layer 2 of BP (the interval lies within"
        f" {BALANCED:g} of one half).",
        "fraction of positive weights in layer 2 of BP",
        _balance,
        "positive_weights",
        NO_LABELS,
        side=0,
    ),
)
"""The later edition's claims; those of the learning rate are this project's own."""
