"""Pruning: how much of a trained net its ensembles alone keep.

All units of every hidden layer are removed but some, from the matrices too; nothing is trained
again. Units are chosen on one half of the test images, accuracy is measured on the first images of
each class in the other half, as many as are configured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ffensembles.extensions.across import clear_in, spans
from ffensembles.extensions.registry import extension
from ffensembles.extensions.results import (
    as_results,
    decided_pairs,
    estimate_text,
    estimates,
    groups,
    records,
)
from ffensembles.extensions.runs import (
    ExtensionRun,
    OfEnsembles,
    aligned,
    halves,
    part_of,
    some_of_each,
)
from ffensembles.runtime.keys import Count, Field, Unique
from ffensembles.runtime.random import random_stream

if TYPE_CHECKING:
    from ffensembles.extensions.nets import Images, Net

RULES = {
    "ensemble": "units of ensembles",
    "random": "random units",
    "mean": "units with the largest mean",
    "norm": "units with the largest weights",
}
"""How units are chosen, in words; the last three are controls, as many in every layer."""

WHOLE = "whole"
HUNDREDTH = 0.01

UNION = "accuracy with the union of ensembles"
LOST = "share of accuracy that the union of ensembles keeps"
KEPT = "share of parameters in the union of ensembles"
AT_HUNDREDTH = "share of accuracy kept in at most 1 % of the parameters"

COLUMNS = (
    "rule", "strongest", "units", "fraction", "parameters", "parameters_fraction",
    "multiply_adds", "accuracy", "accuracy_fraction", "seconds",
)  # fmt: skip
"""Columns of a run's frame: one row for each smaller net, and for the `whole` one.

`strongest` units of each class are kept in each layer, or as many as the `rule` says by other
means; missing for the union of all ensembles. `fraction` is the share of hidden units,
`parameters` counts weights and biases, `multiply_adds` those to predict one image,
`accuracy_fraction` is the share of the whole net's accuracy, `seconds` the time to predict one
image in a batch, the least of several; it is measured for `ensemble` and the whole net, and is the
one number that another machine or load changes.
"""


class Pruning(OfEnsembles):
    """Nets of some units alone."""

    strongest: Annotated[list[Count], Unique] = Field(
        [1, 2, 3, 5, 10, 20, 50, 100],
        description="units of each class that are kept in each layer, the strongest first",
    )
    images: Count = Field(
        100, description="test images of each class that accuracy is measured on, at most"
    )
    draws: Count = Field(3, description="draws of random units, over which results are averaged")
    timings: Count = Field(3, description="timings of each net, of which the least counts")


def measure(run: ExtensionRun, parameters: Pruning) -> pd.DataFrame:
    """Prune a trained net to its ensembles, and to as many units chosen in other ways.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`.
    """
    from ffensembles.extensions.nets import Images, Net

    tree, images = run.activations, run.test_images
    labels = aligned(run)
    first, second = halves(labels)
    found = run.found(part_of(tree, first), str(parameters.method), parameters.quantile)
    layers = [layer.to_dataset() for layer in found.children.values()]
    net = Net.of(run.weights, run.recipe, images)
    tested = Images.of(images, some_of_each(labels, second, parameters.images))
    whole = _row(net, net, tested, parameters.timings)
    rows = [{**whole, "rule": WHOLE, "accuracy_fraction": 1.0}]
    for strongest in (None, *parameters.strongest):
        kept = [chosen(layer, strongest) for layer in layers]
        for rule, sets in _rules(net, layers, kept, parameters.draws, int(run.run["seed"])):
            timings = parameters.timings if rule == "ensemble" else 0
            each = [_row(net, pruned_to(net, one), tested, timings) for one in sets]
            row = each[0] | {"accuracy": float(np.mean([one["accuracy"] for one in each]))}
            share = row["accuracy"] / whole["accuracy"] if whole["accuracy"] else np.nan
            rows.append({**row, "rule": rule, "strongest": strongest, "accuracy_fraction": share})
    counts = dict.fromkeys(("strongest", "units", "parameters", "multiply_adds"), "Int64")
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(counts)


def chosen(layer: xr.Dataset, strongest: int | None) -> NDArray[np.int64]:
    """Return the units of a layer that are kept, ascending; at least one.

    Parameters
    ----------
    layer
        Its ensembles: `active` and `mean` over (category, neuroid).
    strongest
        Units of each class, those with the highest mean; None: the union of all ensembles. A
        class without correctly classified images has none.
    """
    means = layer["mean"].values
    if strongest is None:
        units = np.flatnonzero(layer["active"].values.any(axis=0))
    else:
        known = means[np.isfinite(means).all(axis=1)]
        units = np.unique(np.argsort(-known, axis=1, kind="stable")[:, :strongest])
    return units if len(units) else np.array([np.nan_to_num(means).mean(axis=0).argmax()])


def pruned_to(net: Net, kept: Sequence[NDArray[np.int64]]) -> Net:
    """Return the net of some units, ascending in each layer."""
    from ffensembles.extensions.nets import pruned

    return pruned(net, [np.sort(units) for units in kept])


def _rules(
    net: Net,
    layers: Sequence[xr.Dataset],
    kept: Sequence[NDArray[np.int64]],
    draws: int,
    seed: int,
) -> Iterator[tuple[str, list[list[NDArray[np.int64]]]]]:
    """Yield each rule with the units that it keeps in each layer, as many as `kept` has."""

    def best(score: Callable[[int], NDArray[np.floating]]) -> list[NDArray[np.int64]]:
        return [
            np.argsort(-score(place), kind="stable")[: len(units)]
            for place, units in enumerate(kept)
        ]

    def at_random(draw: int) -> list[NDArray[np.int64]]:
        stream = random_stream(seed, "pruning", 1000 * draw + sum(map(len, kept)))
        return [
            stream.choice(layer.sizes["neuroid"], len(units), replace=False)
            for layer, units in zip(layers, kept, strict=True)
        ]

    yield "ensemble", [list(kept)]
    yield "random", [at_random(draw) for draw in range(draws)]
    yield "mean", [best(lambda place: np.nan_to_num(layers[place]["mean"].values).mean(axis=0))]
    yield (
        "norm",
        [best(lambda place: net.weights[f"layer{place + 1}.weight"].norm(dim=1).numpy())],
    )


def _row(whole: Net, net: Net, images: Images, timings: int) -> dict[str, Any]:
    """Return what is known of a net: size, accuracy, time to predict an image."""
    from ffensembles.extensions.nets import predicted

    seconds, right = [], np.empty(0)
    for _ in range(max(timings, 1)):
        began = time.perf_counter()
        right = predicted(net, images) == images.labels.numpy()
        seconds.append((time.perf_counter() - began) / len(images.labels))
    units = sum(net.recipe.widths)
    return {
        "units": units, "fraction": units / sum(whole.recipe.widths),
        "parameters": net.parameters, "parameters_fraction": net.parameters / whole.parameters,
        "multiply_adds": net.multiply_adds, "accuracy": float(right.mean()),
        "seconds": min(seconds) if timings else np.nan,
    }  # fmt: skip


def results(frame: pd.DataFrame) -> pd.DataFrame:
    """Estimate over runs how much accuracy ensembles keep, beside as many other units."""
    union = frame[frame.strongest.isna() & frame.rule.isin(list(RULES))]
    small = _hundredth(frame)
    found = [_paired(union, "accuracy", UNION, rule) for rule in ("random", "mean", "norm")]
    found += [estimates(_of(union, "ensemble"), "accuracy_fraction", LOST)]
    found += [estimates(_of(union, "ensemble"), "parameters_fraction", KEPT)]
    found += [_paired(small, "accuracy_fraction", AT_HUNDREDTH, rule)
              for rule in ("random", "mean", "norm")]  # fmt: skip
    return pd.concat(found, ignore_index=True)


def _of(frame: pd.DataFrame, rule: str) -> pd.DataFrame:
    return frame[frame.rule == rule]


def _hundredth(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep of each run the largest nets by `strongest` with at most 1 % of the parameters."""
    small = frame[frame.strongest.notna() & (frame.parameters_fraction <= HUNDREDTH)]
    runs = ["protocol", "dataset", "model", "seed"]
    ours = _of(small, "ensemble").groupby(runs, sort=False)["strongest"].max().reset_index()
    return small.merge(ours, on=[*runs, "strongest"])


def _paired(frame: pd.DataFrame, value: str, quantity: str, rule: str) -> pd.DataFrame:
    """Estimate a column for ensembles beside a control in the same runs."""
    runs = ["protocol", "dataset", "model", "held_out", "seed"]
    other = _of(frame, rule)[[*runs, value]].rename(columns={value: "control_of_run"})
    pairs = _of(frame, "ensemble").merge(other, on=runs)
    if pairs.empty:
        return as_results([])
    return estimates(pairs, value, quantity, control=RULES[rule], control_value="control_of_run")


def verdict(results: pd.DataFrame) -> list[str]:
    """Say what the runs show, from the results of one protocol."""
    said_of = []
    for name, rows in groups(results):
        parts = []
        random = rows[rows.control == RULES["random"]]
        for quantity, said in (
            (UNION, "The union of ensembles alone has an accuracy of {}"),
            (AT_HUNDREDTH, "With at most 1 % of the parameters the strongest units of each class "
             "keep a share of accuracy of {}"),
        ):  # fmt: skip
            for row in records(random[random.quantity == quantity]):
                more = ""
                if quantity == UNION:
                    kept = rows.loc[rows.quantity == KEPT, "value"].mean()
                    share = rows.loc[rows.quantity == LOST, "value"].mean()
                    more = f", {share:.0%} of the whole net's, in {kept:.2g} of its parameters"
                parts.append(f"{said.format(estimate_text(row))}{more}.")
            parts.append(decided_pairs(rows[rows.quantity == quantity]))
        if not random.quantity.eq(AT_HUNDREDTH).any():
            parts.append("No net has at most 1 % of the parameters.")
        said_of.append(f"{name}: {' '.join(filter(None, parts))}")
    return said_of


def summary(results: pd.DataFrame) -> str:
    """Say how much of accuracy ensembles keep, over all groups of runs."""
    random = results[results["control"] == RULES["random"]]
    union, small = (random[random["quantity"] == name] for name in (UNION, AT_HUNDREDTH))
    kept, parameters = (results[results["quantity"] == name] for name in (LOST, KEPT))
    return (
        f"The union of ensembles alone keeps this share of accuracy: {spans(kept)}; it has this "
        f"share of the parameters: {spans(parameters, digits=3)}. It is more accurate than as many "
        f"random units {clear_in(union)}, and less {clear_in(union, below=True)}. In at most 1 % "
        "of the parameters, the strongest units of each class keep this share of accuracy: "
        f"{spans(small)}; random units: {spans(small, 'control_value')}. The former is above the "
        f"latter {clear_in(small)}, and below {clear_in(small, below=True)}."
    )


extension(
    "pruning", "Pruning: the net of its ensembles alone", Pruning,
    needs=("weights", "metadata", "activations", "data"),
    question="How much of a trained net can be removed if the units of its ensembles stay?",
    results=results, verdict=verdict, summary=summary,
    note="Nothing is trained again. Controls keep as many units in every layer. Units are chosen "
    "on one half of the test images, accuracy is measured on the first images of each class in "
    "the other (`images`), the same in every run.",
)(measure)  # fmt: skip
