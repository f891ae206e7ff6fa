"""What each edition claims, as a statistic of runs with an interval, a test and its nulls.

A claim is measured three times by the same function: on the runs, on the same nets untrained, and
on the same activations with shuffled labels. Only the first decides; the others say what the
statistic is where there is nothing to find.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ffensembles.analyses.statistics import holm
from ffensembles.publication.claims2023 import CLAIMS_2023
from ffensembles.publication.claims2025 import CLAIMS_2025
from ffensembles.publication.measures import (
    NOT_RUN,
    Claim,
    Frames,
    Measured,
    floor_of,
    select,
)
from ffensembles.publication.numbers import DATASETS, PROTOCOL
from ffensembles.publication.numbers2025 import PROTOCOL_2025
from ffensembles.runs import UNTRAINED

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
"""What is said of a claim, beside `NOT_RUN`."""

ALPHA = 0.05

_UNTRAINED, _SHUFFLED = "untrained_", "shuffled_"

__all__ = [
    "CLAIMS", "FAILS", "HOLDS", "NOT_RUN", "UNDECIDED", "Claim", "Frames", "Measured", "claims",
    "floor_of", "select",
]  # fmt: skip


@dataclass(frozen=True)
class _Edition:
    """Claims of an edition, its protocol and data sets, and whether Holm's p enters verdicts."""

    claims: tuple[Claim, ...]
    protocol: str
    corrected: bool
    datasets: tuple[str, ...] = DATASETS
    unseen: tuple[str, ...] = ("fashionmnist",)


_EDITIONS: Mapping[str, _Edition] = {
    "2023": _Edition(CLAIMS_2023, PROTOCOL, corrected=False),
    "2025": _Edition(CLAIMS_2025, PROTOCOL_2025, corrected=True),
}

CLAIMS: Mapping[str, tuple[Claim, ...]] = {name: one.claims for name, one in _EDITIONS.items()}
"""The claims of each edition, in the order of its sections."""


def claims(frames: Frames, edition: str = "2023") -> pd.DataFrame:
    """Measure every claim of an edition on every data set.

    Parameters
    ----------
    frames
        Tidy frames by name: `accuracy`, `sizes`, `sparsity`, `positive_weights`,
        `positive_weights_by_unit`, `sharing` and `unseen`; `similarity` (`dataset`, `category`,
        `other`, `similarity`), Pearson's correlation of two classes' mean test images. As nulls
        `shuffled_sizes` and so on, of labels permuted over the images, and `untrained_sizes` and
        so on, with the protocol `sigmoid-linf--untrained`. Runs with one setting changed are in
        `control_accuracy` and `control_sparsity`, with protocols such as
        `relu-l2--BP.learning_rate-0.01`. Any may be missing.
    edition
        Whose claims.

    Returns
    -------
    pandas.DataFrame
        One row per claim and data set (missing for claims over all data sets): `claim`,
        `statement`, `dataset`, `statistic`, `value`, `low`, `high` (95 % interval), `p`,
        `p_holm` (corrected for all rows), `n`, `n_of`, `null_untrained`, `null_shuffled` (the
        statistic there), `note`, `verdict` and `as_untrained` (whether the statistic speaks for
        the claim on untrained nets at least as much). A claim of 2025 holds only if `p_holm` is
        below .05 too; if its condition is met and `p_holm` is not, it is undecided.
    """
    of = _EDITIONS[edition]
    nulls = {
        "untrained": (_prefixed(frames, _UNTRAINED), f"{of.protocol}--{UNTRAINED}"),
        "shuffled": (_prefixed(frames, _SHUFFLED), of.protocol),
    }
    rows = [
        _row(claim, (frames, of.protocol), nulls, dataset)
        for claim in of.claims
        for dataset in _datasets(claim, frames, of)
    ]
    table = pd.DataFrame(rows).astype({"n": "Int64"})
    table.insert(table.columns.tolist().index("p") + 1, "p_holm", holm(table["p"]))
    if of.corrected:
        doubtful = (table["verdict"] == HOLDS) & (table["p_holm"] >= ALPHA)
        table.loc[doubtful, "verdict"] = UNDECIDED
    return table


def _prefixed(frames: Frames, prefix: str) -> Frames:
    """Return the frames of a null under the names of those of the runs.

    What no null concerns stays: the similarity of classes.
    """
    found = {
        name.removeprefix(prefix): frame
        for name, frame in frames.items()
        if name.startswith(prefix)
    }
    return {"similarity": frames.get("similarity"), **found}


def _row(
    claim: Claim,
    of: tuple[Frames, str],
    nulls: Mapping[str, tuple[Frames, str]],
    dataset: str,
) -> dict[str, Any]:
    def measure(frames: Frames, protocol: str) -> Measured | None:
        return claim.measure(frames, dataset, protocol)

    found = measure(*of)
    untrained = None if claim.trained else measure(*nulls["untrained"])
    shuffled = None if claim.unshuffled else measure(*nulls["shuffled"])
    said = [found.note if found else ""]
    said.append(_no_null("untrained nets", untrained, claim.trained))
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
        "as_untrained": claim.as_much(untrained, result),
    }


def _no_null(name: str, null: Measured | None, reason: str = "") -> str:
    """Say why a null has no value; nothing where it has one."""
    if reason:
        return f"{name}: none, since {reason}"
    if null is None:
        return f"{name}: {NOT_RUN}"
    return f"{name}: no value ({null.note})" if np.isnan(null.value) else ""


def _datasets(claim: Claim, frames: Frames, of: _Edition) -> list[str]:
    """Return the edition's data sets, then those that were run beside them."""
    if not claim.frame:
        return [""]
    unseen = claim.frame == "unseen"
    rows = select(frames, claim.frame, of.protocol, held_out=unseen)
    ours = [] if rows.empty else rows["dataset"].tolist()
    return list(dict.fromkeys([*(of.unseen if unseen else of.datasets), *ours]))
