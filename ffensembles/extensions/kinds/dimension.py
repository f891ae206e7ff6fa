"""Intrinsic dimension of each class in each layer, beside the size and sparsity of ensembles."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd

from ffensembles.analyses.sparsity import hoyer
from ffensembles.analyses.statistics import contrasts, student
from ffensembles.analyses.tidy import RUN_KEYS, whole_numbers
from ffensembles.ensembles import ensemble_sizes
from ffensembles.extensions.across import clear_in, span, spans
from ffensembles.extensions.classes import IMAGES, ClassMatrix, class_matrices
from ffensembles.extensions.intrinsic_dimension import (
    RESOLVED,
    dimension_by_scale,
    distinct,
    rounding_of_distances,
)
from ffensembles.extensions.mixed_model import FEW_RUNS, Slope, mixed_slopes
from ffensembles.extensions.patterns import shuffled_units
from ffensembles.extensions.registry import extension
from ffensembles.extensions.results import (
    as_results,
    by_layer,
    decided,
    estimates,
    groups,
    model_rank,
    said,
    spoken_runs,
)
from ffensembles.extensions.runs import ExtensionRun, OfEnsembles
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.publication.tables import NOTHING
from ffensembles.runtime.keys import Count, Field
from ffensembles.runtime.random import random_stream

DIMENSION = "dimension, neighbours"
COLUMNS = (
    "layer", "category", "order", "main", "dimension", "se", "shuffled", "radius", "resolved",
    "n_presentations", "silent", "duplicates", "size", "sparsity",
)  # fmt: skip
"""Columns of the frame of a run."""

RATIO = "dimension as a multiple of that of"
TWO_NN = "dimension by TwoNN"
SLOPES = {
    "doublings": "log2 of the dimension for each doubling of 1 + units of the ensemble",
    "sparsity_tenths": "log2 of the dimension for each 0.1 of Hoyer sparsity",
}
"""Variables of the mixed model: what their slopes are in words."""
BY_RUN = "; slopes of single runs"
SPREAD = 0.5
"""Steps that the classes of a layer differ by, at least, where a slope for each step is told."""
LEFT_OUT = f"classes whose distances are less than {RESOLVED} times rounding, share"
EQUAL = "images equal to another one or silent, share"
SHUFFLED = "each unit shuffled over images"


class Dimension(OfEnsembles):
    """Intrinsic dimension of each class and layer, by TwoNN and at larger scales by Gride."""

    neighbours: Literal[1, 2, 4, 8, 16, 32] = Field(
        4, description="order of the nearer of two neighbours in main results; 1: TwoNN"
    )
    largest: Count = Field(128, description="largest order of a neighbour")
    subsamples: Count = Field(10, description="half samples for the error of each estimate")


def measure(run: ExtensionRun, parameters: Dimension) -> pd.DataFrame:
    """Measure the dimension of each class in each layer and in the images themselves.

    Returns
    -------
    pandas.DataFrame
        One row for each layer (0: the images), class and scale. Columns `layer`, `category`,
        `order` (of the nearer neighbour; the farther one's is twice it), `main` (the scale of
        main results), `dimension`, `se` (from half samples), `shuffled` (dimension with each unit
        shuffled over images), `radius` (mean distance to the farther neighbour), `resolved`
        (whether it is 10 times what rounding adds), `n_presentations`, `silent`, `duplicates`
        (left out), `size` (units of the ensemble) and `sparsity` (Hoyer), both missing for the
        images. A dimension is missing where there are too few images for the scale.
    """
    found = run.found(run.activations, str(parameters.method), parameters.quantile)
    sizes = {
        int(name.removeprefix("layer")): ensemble_sizes(layer.to_dataset())
        for name, layer in found.children.items()
    }
    rows: list[dict[str, Any]] = []
    for one in class_matrices(run):
        size, sparsity = np.nan, np.nan
        if one.layer != IMAGES:
            size = float(sizes[one.layer].sel(category=one.category))
            known = hoyer(one.x) if len(one.x) else np.array([])
            sparsity = float(np.nanmean(known)) if np.isfinite(known).any() else np.nan
        rows += [
            {**row, "size": size, "sparsity": sparsity}
            for row in _by_scale(one, parameters, int(run.run["seed"]))
        ]
    return whole_numbers(pd.DataFrame(rows, columns=list(COLUMNS)))


def _by_scale(one: ClassMatrix, parameters: Dimension, seed: int) -> list[dict[str, Any]]:
    """Return a row for each scale, those that cannot be estimated among them."""
    rng = random_stream(seed, "dimension", 1000 * one.layer + one.category)
    points = distinct(one.x)
    real = dimension_by_scale(points.x, parameters.largest, parameters.subsamples, rng)
    null = distinct(shuffled_units(points.x, rng))
    null_by = dimension_by_scale(null.x, parameters.largest, 0, rng)
    shuffled = dict(zip(null_by.orders.tolist(), null_by.dimension, strict=True))
    rounding = rounding_of_distances(points.x, one.mantissa_bits)
    place = {order: where for where, order in enumerate(real.orders.tolist())}
    rows = []
    for order in (2**k for k in range(max(1, int(np.log2(max(parameters.largest, 2)))))):
        where = place.get(order)
        radius = np.nan if where is None else float(real.radius[where])
        rows.append(
            {
                **{"layer": one.layer, "category": one.category, "order": order},
                "main": order == parameters.neighbours,
                "dimension": np.nan if where is None else float(real.dimension[where]),
                "se": np.nan if where is None else float(real.se[where]),
                "shuffled": shuffled.get(order, np.nan),
                **{"radius": radius, "resolved": radius >= RESOLVED * rounding},
                **{"n_presentations": len(one.x), "silent": points.silent},
                "duplicates": points.duplicates,
            }
        )
    return rows


def results(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn the frame across runs into estimates over runs and slopes of the mixed model."""
    if frame.empty:
        return as_results([])
    main = frame[frame["main"]]
    known = mostly_known(_resolved(main))
    parts = []
    for order in sorted(map(int, known["order"].unique())):
        rows, quantity = known[known["order"] == order], f"{DIMENSION} {order} and {2 * order}"
        parts.append(
            estimates(rows, "dimension", quantity, control=SHUFFLED, control_value="shuffled")
        )
    two_nn = frame[(frame["order"] == 1) & ~frame["main"]]
    nearest = mostly_known(_resolved(two_nn))
    parts.append(
        estimates(nearest, "dimension", TWO_NN, control=SHUFFLED, control_value="shuffled")
    )
    lost = main[main["n_presentations"] > 0].assign(
        hidden=lambda rows: (~rows["resolved"] & rows["radius"].notna()).astype(float),
        equal=lambda rows: (rows["duplicates"] + rows["silent"]) / rows["n_presentations"],
    )
    for name, quantity in (("hidden", LEFT_OUT), ("equal", EQUAL)):
        share = estimates(lost, name, quantity)
        parts.append(share[share["value"] > 0])
    parts.append(as_results(_ratios(known)))
    parts.append(as_results(_slopes(known)))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _resolved(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out dimensions at distances that rounding may have made."""
    return rows.assign(dimension=rows["dimension"].where(rows["resolved"]))


def mostly_known(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out the dimensions of a run's layer where most of its classes have none.

    A mean over the few that are left would be no mean of the layer. Classes without an image do not
    count.
    """
    asked = rows.assign(known=rows["dimension"].notna(), asked=rows["n_presentations"] > 0)
    places = asked.groupby([*RUN_KEYS, "layer", "order"], dropna=False)
    known, asked_of = (places[name].transform("sum") for name in ("known", "asked"))
    return rows.assign(dimension=rows["dimension"].where(2 * known >= asked_of))


def _ratios(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows of results: the dimension of a model as a multiple of another's.

    Two models are compared over the classes that each of their runs has a dimension of.
    """
    models = sorted(rows["model"].unique(), key=model_rank)
    of_class = ["protocol", "dataset", "layer", "category"]
    parts = []
    for pair in combinations(models, 2):
        both = rows[rows["model"].isin(pair)]
        everywhere = both.groupby(of_class)["dimension"].transform(lambda x: x.notna().all())
        parts.append(contrasts(both[everywhere.astype(bool)], "dimension", [pair]))
    compared = pd.concat(parts) if parts else pd.DataFrame()
    return [
        {
            **{name: row[name] for name in ("protocol", "dataset", "layer")},
            **{"model": row["one"], "control": ""},
            "quantity": f"{RATIO} {MODEL_TITLES.get(row['other'], row['other'])}",
            **{"value": row["ratio"], "low": row["ratio_low"], "high": row["ratio_high"]},
            **{"p": row["p"], "n_runs": min(row["n_one"], row["n_other"])},
        }
        for row in compared.to_dict("records")
    ]


def _slopes(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows of results: slopes of the mixed model, and those of single runs.

    Where the classes of a layer hardly differ in a variable, its slope would be an extrapolation,
    and is not among the rows.
    """
    rows = rows[rows["layer"] != IMAGES].assign(
        log_dimension=lambda one: np.log2(one["dimension"]),
        doublings=lambda one: np.log2(1 + one["size"]),
        sparsity_tenths=lambda one: 10 * one["sparsity"],
    )
    found = []
    by = ["protocol", "dataset", "model"]
    for key, group in rows.groupby(by, sort=False):
        spread = _spread(group.dropna(subset=["log_dimension"]))
        for name, slope in mixed_slopes(group, "log_dimension", list(SLOPES)).items():
            if not spread[name] >= SPREAD:
                continue
            head = {**dict(zip(by, key, strict=True)), "layer": pd.NA, "control": ""}
            head["n_runs"] = len(slope.by_run)
            found += [
                {**head, "quantity": SLOPES[name], **_numbers(slope)},
                {
                    **{**head, "quantity": SLOPES[name] + BY_RUN},
                    **dict(zip(("value", "low", "high", "p"), student(slope.by_run), strict=True)),
                },
            ]
    return found


def _spread(rows: pd.DataFrame) -> pd.Series[float]:
    """Return how much each variable differs over the classes of a layer.

    Of a run it is that of the layer in which it differs most; of several, of the run in which it
    differs least.
    """
    layers = rows.groupby(["seed", "layer"])[list(SLOPES)]
    return (layers.max() - layers.min()).groupby("seed").max().min()


def _numbers(slope: Slope) -> dict[str, float]:
    return {"value": slope.value, "low": slope.low, "high": slope.high, "p": slope.p}


def verdict(found: pd.DataFrame) -> list[str]:
    """Say what the results of one protocol show."""
    said_of, few = [], np.inf
    for where, here in groups(found):
        main = here[here["quantity"].str.startswith(DIMENSION)]
        images, hidden = main[main["layer"] == IMAGES], main[main["layer"] != IMAGES]
        if hidden.empty:
            continue
        if hidden["value"].isna().all():
            said_of.append(
                f"{where}: no dimension can be told, since classes have too few images for these "
                f"neighbours, or distances of less than {RESOLVED} times what rounding adds."
            )
            continue
        few = min(few, int(main.loc[main["n_runs"] > 0, "n_runs"].min()))
        of_images = said(images["value"].mean(), digits=1)
        shuffled = by_layer(hidden, "control_value", 1, named=False)
        parts = [
            f"{where}, {spoken_runs(main)}: a class's dimension is "
            f"{by_layer(hidden, 'value', 1)}; that of the images themselves is {of_images}, and "
            f"with each unit shuffled over images {shuffled}."
        ]
        left_out = here[(here["quantity"] == LEFT_OUT) & (here["layer"] != IMAGES)]
        if len(left_out):
            shares = by_layer(left_out, "value")
            parts.append(
                f"Classes left out, since rounding may have made their distances: {shares}."
            )
        parts.append(decided(hidden, "It", "that with units shuffled", below=True))
        for quantity in here["quantity"].unique():
            if quantity.startswith(RATIO):
                ratios = here[(here["quantity"] == quantity) & (here["layer"] != IMAGES)]
                other = quantity.removeprefix(RATIO).strip()
                times = by_layer(ratios, "value", ends=True)
                parts.append(f"As a multiple of that of {other} it is {times}.")
        parts.append(_slope_text(here))
        said_of.append(" ".join(filter(None, parts)))
    if 0 < few < FEW_RUNS:
        said_of.append(
            f"With fewer than {FEW_RUNS} runs the variance between runs is hardly known: a slope "
            "of the mixed model then rests on classes more than on runs."
        )
    return said_of or ["There are no runs."]


def _slope_text(rows: pd.DataFrame) -> str:
    """Say how dimension goes with size and sparsity in one model on one data set."""
    texts = []
    for name, words in (
        ("doublings", "doubling of 1 + units of the ensemble"),
        ("sparsity_tenths", "0.1 of sparsity"),
    ):
        row = rows[rows["quantity"] == SLOPES[name]]
        if not len(row) or row["value"].isna().all():
            continue
        of_runs = _factor(rows[rows["quantity"] == SLOPES[name] + BY_RUN])
        texts.append(f"{_factor(row)} for each {words} (slopes of single runs: {of_runs})")
    if not texts:
        return ""
    return (
        f"Within a layer, a class's dimension changes by a factor of {'; of '.join(texts)}; mixed "
        "model, in which classes of a run count as independent."
    )


def _factor(slope: pd.DataFrame) -> str:
    """Write a slope of logarithms to base 2 as the factor that it is, with its interval."""
    ends = ("value", "low", "high")
    return said(*(2.0 ** float(slope[end].iloc[0]) for end in ends)) if len(slope) else NOTHING


def summary(results: pd.DataFrame) -> str:
    """Say how many dimensions classes have, and what goes with it, over all groups of runs."""
    main = results[results["quantity"].str.startswith(DIMENSION)]
    images, hidden = main[main["layer"] == IMAGES], main[main["layer"] != IMAGES]
    slopes = results[results["quantity"] == SLOPES["doublings"] + BY_RUN]
    first, last = (
        f"in layer {layer} {spans(hidden[hidden['layer'] == layer], digits=1)}"
        for layer in (hidden["layer"].min(), hidden["layer"].max())
    )
    return (
        f"A class has {span(images['value'], 1)} dimensions in the images; {first}; {last}. That "
        "is below its dimension with each unit shuffled over images "
        f"{clear_in(hidden, below=True, what='layers')}. Within a layer, classes with a larger "
        f"ensemble have clearly more dimensions {clear_in(slopes, of='')}, and clearly fewer "
        f"{clear_in(slopes, of='', below=True)} (slopes of single runs)."
    )


extension(
    "dimension",
    "Intrinsic dimension",
    Dimension,
    needs=("activations", "data"),
    question=(
        "How many dimensions has a class in each layer, and has it fewer where its ensemble is "
        "small or activity sparse?"
    ),
    results=results,
    verdict=verdict,
    summary=summary,
    note=(
        "Layer 0 is the images as the net reads them. Dimension by Gride from the distances to two "
        "neighbours of each image (TwoNN: the first two), correctly classified images, means over "
        "classes with a control. Ratios of models: over the classes that each run of both has; p "
        "is of the difference (Welch). Slopes: linear mixed model over classes with a level for "
        "each layer, runs as groups; classes of a run count as independent. A slope is told "
        "where the classes of some layer differ by at least half of its step in every run; a "
        "run's layer counts where at least half of its classes have a dimension."
    ),
    minutes=20,
    memory=4000,
)(measure)
