"""Causality: what silencing or stimulating a class's ensemble does.

Units are chosen, and mean activations are taken, on one half of the test images; accuracies and
responses are measured on the first images of each class in the other half, as many as are
configured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ffensembles.extensions.across import clear_in, span, spans
from ffensembles.extensions.registry import extension
from ffensembles.extensions.results import compared, decided, estimate_text, groups, records, said
from ffensembles.extensions.runs import (
    ExtensionRun,
    OfEnsembles,
    aligned,
    halves,
    part_of,
    some_of_each,
)
from ffensembles.runtime.keys import Count, Field
from ffensembles.runtime.random import random_stream

if TYPE_CHECKING:
    from ffensembles.extensions.nets import Images, Net

    Chooser = Callable[[int], NDArray[np.int64]]

SELECTIVITY = "silenced: loss of the class less that of the others (accuracy)"
OWN_LOSS = "silenced: loss of the class (accuracy)"
OTHERS_LOSS = "silenced: loss of the other classes (accuracy)"
IDENTIFIED = "stimulated, {images}: share of images with the class's pattern"
ONE_UNIT = "stimulated by one unit, {images}: share of images with the class's pattern"
RECALL = "stimulated, {images}: share of the class's ensemble among the strongest units"

IMAGES = {"blank": "blank image", "other": "images of other classes"}
"""What is stimulated, in words."""

COLUMNS = (
    "experiment", "images", "layer", "category", "condition", "units", "whole", "own_loss",
    "others_loss", "correlation", "identified", "recall",
)  # fmt: skip
"""Columns of a run's frame, of two experiments.

`silence`: `units` of a class's ensemble in `layer` are clamped to 0 (`condition` ensemble), or as
many others: the `next` strongest for the class, or `random` ones (mean over draws). `own_loss` and
`others_loss` are the losses of accuracy, of the class and of all others.

`stimulate`: the strongest `units` of a class's ensemble in layer 1 are clamped to their mean
activation (`whole`: all of them), or as many `random` units to the same activations, on `images`
`blank` or `other` (of other classes). `correlation` is that of the activations of `layer` with the
class's mean ones, `identified` the share of images on which no other class's correlate as much,
`recall` the share of the class's ensemble in `layer` among as many strongest units.
"""


class Causality(OfEnsembles):
    """Silencing and stimulating ensembles."""

    images: Count = Field(
        50, description="test images of each class that accuracies are measured on, at most"
    )
    other_images: Count = Field(
        5, description="images of each other class on which a class's ensemble is stimulated"
    )
    draws: Count = Field(3, description="draws of random units, over which results are averaged")


def measure(run: ExtensionRun, parameters: Causality) -> pd.DataFrame:
    """Silence and stimulate the ensemble of every class in a trained net.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`. A class without an ensemble in a layer has missing values there.
    """
    from ffensembles.extensions.nets import Images, Net

    tree, images = run.activations, run.test_images
    labels = aligned(run)
    first, second = halves(labels)
    found = run.found(part_of(tree, first), str(parameters.method), parameters.quantile)
    net = Net.of(run.weights, run.recipe, images)
    tested = Images.of(images, some_of_each(labels, second, parameters.images))
    others = Images.of(images, some_of_each(labels, second, parameters.other_images))
    seed = int(run.run["seed"])
    rows = [*_silenced(net, tested, found, parameters.draws, seed)]
    rows += _stimulated(net, others, found, parameters.draws, seed)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"units": "Int64"})


def ensemble(layer: xr.Dataset, category: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the units of a class's ensemble, and all others, strongest mean first."""
    here = layer.sel(category=category)
    order = np.argsort(-np.nan_to_num(here["mean"].values), kind="stable")
    active = here["active"].values[order]
    return order[active], order[~active]


def _silenced(
    net: Net, images: Images, found: xr.DataTree, draws: int, seed: int
) -> Iterator[dict[str, Any]]:
    from ffensembles.extensions.nets import decide, predict_silenced, read

    reading, labels = read(net, images), images.labels.numpy()
    right = decide(net, reading) == labels
    for number, name in enumerate(found.children, 1):
        layer = found[name].to_dataset()

        def losses(units: NDArray[np.int64], category: int, number: int = number) -> list[float]:
            now = predict_silenced(net, reading, number, units) == labels
            own = labels == category
            return [float(right[here].mean() - now[here].mean()) for here in (own, ~own)]

        for category in map(int, layer["category"].values):
            units, rest = ensemble(layer, category)
            row = {"experiment": "silence", "layer": number, "category": category, "whole": True}
            if not len(units):
                yield {**row, "condition": "ensemble", "units": 0}
                continue
            stream = random_stream(seed, "silence", 1000 * number + category)
            drawn = [_some(stream, rest, len(units)) for _ in range(draws)]
            for condition, sets in (
                ("ensemble", [units]), ("next", [rest[: len(units)]]), ("random", drawn),
            ):  # fmt: skip
                if len(sets[0]) < len(units):  # too few units outside of the ensemble: no control
                    continue
                own, others = np.mean([losses(one, category) for one in sets], axis=0)
                yield {
                    **row, "condition": condition, "units": len(sets[0]), "own_loss": own,
                    "others_loss": others,
                }  # fmt: skip


def _stimulated(
    net: Net, images: Images, found: xr.DataTree, draws: int, seed: int
) -> Iterator[dict[str, Any]]:
    import torch

    from ffensembles.extensions.nets import stimulated
    from ffensembles.models.network import hidden

    layers = [layer.to_dataset() for layer in found.children.values()]
    if len(layers) < 2:
        return
    labels = images.labels.numpy()
    with torch.inference_mode():
        read = [hidden(net.weights, net.recipe, x, 1)[0]
                for x in (blank(net, images), images.labelled(net))]  # fmt: skip
    firsts = dict(zip(IMAGES, read, strict=True))
    for category in map(int, layers[0]["category"].values):
        units, rest = ensemble(layers[0], category)
        values = layers[0]["mean"].sel(category=category).values
        for name, first in firsts.items():
            here = first if name == "blank" else first[torch.from_numpy(labels != category)]
            for n in steps(len(units)):
                stream = random_stream(seed, "stimulate", 1000 * category + n)
                drawn = [_some(stream, rest, n) for _ in range(draws)] if n else []
                for condition, sets in (("ensemble", [units[:n]]), ("random", drawn)):
                    # without a unit outside of the ensemble there is no control
                    seen = [
                        [
                            response(h.numpy(), layer, category)
                            for h, layer in zip(
                                stimulated(net, here, one, values[units[: len(one)]]),
                                layers[1:], strict=True,
                            )
                        ]
                        for one in sets
                        if len(one) == n
                    ]  # fmt: skip
                    if not seen:
                        continue
                    for number, means in enumerate(np.mean(seen, axis=0), 2):
                        yield {
                            "experiment": "stimulate", "images": name, "layer": number,
                            "category": category, "condition": condition, "units": n,
                            "whole": n == len(units), "correlation": means[0],
                            "identified": means[1], "recall": means[2],
                        }  # fmt: skip


def steps(size: int) -> list[int]:
    """Return how many units of an ensemble are stimulated: none, 1, 2, 4 and so on, and all.

    Examples
    --------
    >>> steps(5), steps(0)
    ([0, 1, 2, 4, 5], [])
    """
    if not size:
        return []
    doubled = [2**power for power in range(size.bit_length()) if 2**power < size]
    return [0, *doubled, size]


def response(
    h: NDArray[np.floating], layer: xr.Dataset, category: int
) -> tuple[float, float, float]:
    """Compare activations of a layer with a class's mean pattern and ensemble.

    Parameters
    ----------
    h
        Activations, (images, units).
    layer
        The ensembles of the layer: `mean` and `active` over (category, neuroid).
    category
        The class.

    Returns
    -------
    tuple[float, float, float]
        Mean correlation over images with the class's mean pattern, 0 where activations are all
        alike; share of images on which no other class's pattern correlates as much, missing where
        no other class has a pattern; share of the class's ensemble among as many strongest units
        (ties, such as silent units, in the units' order, which is near chance), missing where it
        is empty.
    """
    patterns = _standardised(layer["mean"].values)
    correlations = np.nan_to_num(_standardised(h) @ np.nan_to_num(patterns).T)
    place = int(np.flatnonzero(layer["category"].values == category)[0])
    # a class without correctly classified images has no pattern
    known = np.asarray(np.isfinite(patterns).any(axis=1))
    lost, rivals = not known[place], known & (np.arange(len(known)) != place)
    own, others = correlations[:, place], correlations[:, rivals]
    active = layer["active"].values[place]
    recall = np.nan
    if active.any():
        strongest = np.argsort(-h, axis=1, kind="stable")[:, : int(active.sum())]
        recall = float(active[strongest].mean())
    alone = lost or not rivals.any()
    identified = np.nan if alone else float((own > others.max(axis=1)).mean())
    return (np.nan if lost else float(own.mean())), identified, recall


def _standardised(x: NDArray[np.floating]) -> NDArray[np.float64]:
    """Centre rows and give them length 1; a row of equal values becomes 0."""
    centred = x - x.mean(axis=1, keepdims=True, dtype=np.float64)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths != 0)


def blank(net: Net, images: Images) -> Any:
    """Return one image in which nothing is seen, as the net reads it: black, no label lit.

    Black is the least value of each channel, since channels may be standardised each by itself.
    """
    x = images.x[:1].clone()
    label_pixels = net.positions.flatten()
    kept = x[:, label_pixels]
    darkest = images.x.unflatten(1, (len(net.positions), -1)).amin((0, 2))
    x[:] = darkest.repeat_interleave(x.shape[1] // len(darkest))
    if net.recipe.spec.reads_labels:
        x[:, label_pixels] = kept
    return x


def _some(stream: np.random.Generator, units: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Draw units without replacement; all of them where there are not as many."""
    return stream.choice(units, min(n, len(units)), replace=False)


def results(frame: pd.DataFrame) -> pd.DataFrame:
    """Estimate over runs what silencing and stimulating do, beside other units."""
    silence = frame[frame.experiment == "silence"].assign(
        selectivity=lambda rows: rows.own_loss - rows.others_loss
    )
    found = [
        compared(silence, "selectivity", SELECTIVITY, "ensemble", "random", "random units"),
        compared(silence, "own_loss", OWN_LOSS, "ensemble", "next", "next strongest units"),
        compared(silence, "others_loss", OTHERS_LOSS, "ensemble", "random", "random units"),
    ]
    stimulate = frame[(frame.experiment == "stimulate") & (frame.units > 0)]
    for name, words in IMAGES.items():
        rows = stimulate[stimulate["images"] == name]
        whole, one = rows[rows.whole.astype(bool)], rows[rows.units == 1]
        for part, value, text in (
            (whole, "identified", IDENTIFIED), (one, "identified", ONE_UNIT),
            (whole, "recall", RECALL),
        ):  # fmt: skip
            found.append(
                compared(part, value, text.format(images=words), "ensemble", "random",
                         "random units")
            )  # fmt: skip
    return pd.concat(found, ignore_index=True)


def verdict(results: pd.DataFrame) -> list[str]:
    """Say what the runs show, from the results of one protocol."""
    said_of = []
    for name, rows in groups(results):
        of = {str(quantity): part for quantity, part in rows.groupby("quantity", sort=False)}
        parts = []
        if SELECTIVITY in of:
            parts.append(_selective(of))
        parts += [
            _completed(of[quantity], words)
            for words in IMAGES.values()
            if (quantity := IDENTIFIED.format(images=words)) in of
        ]
        said_of.append(f"{name}: {' '.join(parts)}")
    return said_of


def summary(results: pd.DataFrame) -> str:
    """Say what silencing and stimulating layer 1 do, over all groups of runs."""

    def of(quantity: str, layer: int) -> pd.DataFrame:
        return results[(results["quantity"] == quantity) & (results["layer"] == layer)]

    selective = of(SELECTIVITY, 1)
    completed = of(IDENTIFIED.format(images=IMAGES["other"]), 2)
    return (
        f"With a class's ensemble silenced in layer 1, the class loses this much accuracy: "
        f"{spans(of(OWN_LOSS, 1))}; the other classes: {spans(of(OTHERS_LOSS, 1))}. The difference "
        f"is above that with random units {clear_in(selective)}. With it stimulated in layer 1 on "
        f"images of other classes, this share of them has the class's pattern in layer 2: "
        f"{spans(completed)}; with random units {span(completed['control_value'])}. That is above "
        f"the share with random units {clear_in(completed)}."
    )


def _completed(rows: pd.DataFrame, images: str) -> str:
    """Say how often a stimulated ensemble brings up its class's pattern above."""
    shares = [f"{estimate_text(row)} in layer {row['layer']}" for row in records(rows)]
    return (
        f"Stimulated in layer 1, {images}, it brings up the class's pattern with a share of "
        f"{', '.join(shares)}. {decided(rows, 'This share', 'that with random units')}".rstrip()
    )


def _selective(of: dict[str, pd.DataFrame]) -> str:
    """Say how selective silencing is: where most, and in which layers beyond random units."""
    rows = of[SELECTIVITY].dropna(subset=["value"])
    if rows.empty:
        return "no class has an ensemble."
    best = records(rows.sort_values("value"))[-1]
    losses = [
        part.loc[part["layer"] == best["layer"], "value"].mean()
        for part in (of[OWN_LOSS], of[OTHERS_LOSS])
    ]
    return (
        f"silencing a class's ensemble matters most in layer {best['layer']}, where the class "
        f"loses {said(losses[0])} of accuracy and the others {said(losses[1])}; selectivity, the "
        f"difference, {estimate_text(best)}. "
        f"{decided(rows, 'Selectivity', 'that of random units')}".rstrip()
    )


extension(
    "causality", "Causality: silencing and stimulating ensembles", Causality,
    needs=("weights", "metadata", "activations", "data"),
    question="Does a class depend on its ensemble, and does the ensemble bring up the class?",
    results=results, verdict=verdict, summary=summary,
    note="Random units are as many as the ensemble has, from outside of it. Units are chosen on "
    "one half of the test images, effects are measured on the first images of each class in the "
    "other (`images`, `other_images`), the same in every run.",
)(measure)  # fmt: skip
