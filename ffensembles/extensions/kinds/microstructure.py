"""Microstructure: whether a layer responds to a class with one pattern or with several."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ffensembles.analyses.sharing import shared_units
from ffensembles.analyses.statistics import student
from ffensembles.analyses.tidy import whole_numbers
from ffensembles.datasets.loading import load
from ffensembles.extensions.across import clear_in, span, spans
from ffensembles.extensions.classes import IMAGES, ClassMatrix, class_matrices
from ffensembles.extensions.patterns import (
    OUTSIDE,
    Found,
    Search,
    cluster,
    find_patterns,
    normal_cloud,
    project,
    shuffled_units,
    typical,
)
from ffensembles.extensions.registry import extension
from ffensembles.extensions.results import (
    as_results,
    by_layer,
    decided,
    estimates,
    groups,
    spoken_runs,
)
from ffensembles.extensions.runs import ExtensionRun, OfEnsembles
from ffensembles.runtime.keys import Count, Field, Share
from ffensembles.runtime.random import random_stream

_SHOWN = ("example_pattern", "example_image", "map_pattern", "map_neuroid", "map_activation")
COLUMNS = (
    "layer", "category", "n_presentations", "silent", "patterns", "dominant", "outside",
    "explained", "shuffled", "cloud", "active", "jaccard", "jaccard_random", "stimulus_id",
    "pattern", *_SHOWN,
)  # fmt: skip
"""Columns of the frame of a run; the last ones are for figures."""

SEVERAL = "classes with several patterns, share"
NUMBER = "patterns of such a class"
DOMINANT = "images in its largest pattern, share"
OVERLAP = "Jaccard index of two patterns' active units"
AGREEMENT = "agreement of two runs on patterns, adjusted Rand index"
OF_IMAGES = "agreement with the patterns of the images themselves, adjusted Rand index"
SHUFFLED, CLOUD = "each unit shuffled over images", "one normal cloud"
LARGER = "the larger of both nulls of each class"
RANDOM = "images given to patterns at random"

_EXAMPLES = 5  # images of each pattern that a figure shows
_MAP_ROWS, _MAP_UNITS = 48, 40
_MOST_PATTERNS = 4  # that a figure shows


class Microstructure(OfEnsembles):
    """Patterns of activity within each class and layer, by density clustering."""

    components: Count = Field(10, description="principal components that are clustered")
    least_share: Share = Field(
        0.05, description="share of a class's images that a pattern has, at least"
    )
    neighbours: Count = Field(10, description="neighbours that estimate a density")
    draws: Count = Field(5, description="draws of each null for each class and layer")


def measure(run: ExtensionRun, parameters: Microstructure) -> pd.DataFrame:
    """Look for patterns in each class and layer, and in the images themselves.

    Returns
    -------
    pandas.DataFrame
        One row for each layer (0: the images) and class. Columns `layer`, `category`,
        `n_presentations`, `silent` (left out), `patterns` (0: one cloud), `dominant` (share of
        images in the largest), `outside` (share in none), `explained` (variance on the
        components), `shuffled` and `cloud` (share of draws of each null in which there are
        several), `active` (units active in a pattern, mean), `jaccard` (of the active units of two
        patterns, mean over pairs) and `jaccard_random` (the same with images given to patterns at
        random). Lists: `stimulus_id` and `pattern` of each image (-1: none). For figures, of the
        class of a layer whose second pattern is largest: `example_pattern` and `example_image`
        (pixels, uint8) of typical images; `map_pattern`, `map_neuroid` and `map_activation` of
        some images and units.
    """
    search = Search(parameters.components, parameters.least_share, parameters.neighbours)
    rows: list[dict[str, Any]] = []
    best: dict[int, tuple[int, int, dict[str, Any]]] = {}
    for one in class_matrices(run):
        rng = random_stream(int(run.run["seed"]), "patterns", 1000 * one.layer + one.category)
        loud = np.ones(len(one.x), bool) if one.layer == IMAGES else (one.x != 0).any(axis=1)
        x, ids = one.x[loud], one.stimulus_id[loud]
        found = find_patterns(x, search)
        rows.append(
            {
                **{"layer": one.layer, "category": one.category},
                **{"n_presentations": len(one.x), "silent": len(one.x) - len(x)},
                **_summary(found),
                **_nulls(x, found, search, parameters.draws, rng),
                **_units(run, parameters, one, x, found.labels, rng),
                "stimulus_id": ids.astype(np.int32) if one.layer == IMAGES else None,
                "pattern": _of_all(found.labels, loud),
            }
        )
        second = int((found.labels == 1).sum())
        if one.layer != IMAGES and second > best.get(one.layer, (0,))[0]:
            best[one.layer] = (second, len(rows) - 1, _shown(x, ids, found, rng))
    frame = pd.DataFrame(rows)
    return whole_numbers(_with_examples(frame, run, best))


def _of_all(labels: NDArray[np.int64], counted: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Return the pattern of every image of a class; those not counted are outside."""
    pattern = np.full(len(counted), OUTSIDE, np.int8)
    pattern[counted] = labels
    return pattern


def _summary(found: Found) -> dict[str, Any]:
    n = len(found.labels)
    return {
        "patterns": found.count,
        "dominant": float((found.labels == 0).mean()) if found.count else np.nan,
        "outside": float((found.labels == OUTSIDE).mean()) if found.count else np.nan,
        "explained": found.explained if n else np.nan,
    }


def _nulls(
    x: NDArray[np.floating], found: Found, search: Search, draws: int, rng: np.random.Generator
) -> dict[str, float]:
    """Return the share of draws of each null in which several patterns are found."""
    if not len(x):
        return {"shuffled": np.nan, "cloud": np.nan}
    shuffled = [
        cluster(project(shuffled_units(x, rng), search.components)[0], search) for _ in range(draws)
    ]
    cloud = [cluster(normal_cloud(found.projected, rng), search) for _ in range(draws)]
    return {
        name: float(np.mean([labels.max(initial=OUTSIDE) > 0 for labels in drawn]))
        for name, drawn in (("shuffled", shuffled), ("cloud", cloud))
    }


def _units(
    run: ExtensionRun,
    parameters: Microstructure,
    one: ClassMatrix,
    x: NDArray[np.floating],
    labels: NDArray[np.int64],
    rng: np.random.Generator,
) -> dict[str, float]:
    """Return how many units are active in a pattern, and how far two patterns share them."""
    inside = np.flatnonzero(labels != OUTSIDE)
    if one.layer == IMAGES or not len(inside):
        return {"active": np.nan, "jaccard": np.nan, "jaccard_random": np.nan}
    method = (str(parameters.method), parameters.quantile)
    size, jaccard = overlap(run, x[inside], labels[inside], *method)
    _, by_chance = overlap(run, x[inside], rng.permutation(labels[inside]), *method)
    return {"active": size, "jaccard": jaccard, "jaccard_random": by_chance}


def overlap(
    run: ExtensionRun,
    x: NDArray[np.floating],
    labels: NDArray[np.int64],
    method: str,
    quantile: float | None,
) -> tuple[float, float]:
    """Return the mean size of patterns' ensembles, and the mean Jaccard index of two of them.

    An ensemble of a pattern is found as that of a class, from the pattern's images alone.
    """
    layer = xr.Dataset(
        {"activation": (("presentation", "neuroid"), np.asarray(x), run.recipe.valid_activations)},
        coords={"label": ("presentation", labels)},
    )
    tree = run.found(xr.DataTree.from_dict({"layer1": layer}), method, quantile)
    ensembles = tree["layer1"].to_dataset()
    jaccard = shared_units(ensembles)["jaccard"].values
    pairs = jaccard[np.triu_indices(len(jaccard), 1)]
    known = pairs[np.isfinite(pairs)]
    size = float(ensembles["active"].sum("neuroid").mean())
    return size, float(known.mean()) if len(known) else np.nan


def _shown(
    x: NDArray[np.floating], ids: NDArray[np.int64], found: Found, rng: np.random.Generator
) -> dict[str, Any]:
    """Choose what a figure shows of a class: typical images; a map of some images and units."""
    count = min(found.count, _MOST_PATTERNS)
    picked = typical(found, _EXAMPLES)[:count]
    inside = [np.flatnonzero(found.labels == pattern) for pattern in range(count)]
    share = _MAP_ROWS / sum(map(len, inside))
    rows = [
        np.sort(rng.choice(one, max(3, min(len(one), round(share * len(one)))), replace=False))
        for one in inside
    ]
    means = np.stack([np.asarray(x[one], np.float64).mean(axis=0) for one in inside])
    units = np.argsort(-np.ptp(means, axis=0), kind="stable")[:_MAP_UNITS]
    # units that prefer the same pattern stand together
    units = units[np.lexsort((-np.ptp(means[:, units], axis=0), means[:, units].argmax(axis=0)))]
    of_rows = np.concatenate(rows)
    return {
        "ids": ids[np.concatenate(picked)],
        "example_pattern": np.repeat(np.arange(count), list(map(len, picked))).astype(np.int8),
        "map_pattern": found.labels[of_rows].astype(np.int8),
        "map_neuroid": units.astype(np.int32),
        "map_activation": np.asarray(x[np.ix_(of_rows, units)], np.float32).ravel(),
    }


def _with_examples(
    frame: pd.DataFrame, run: ExtensionRun, best: Mapping[int, tuple[int, int, dict[str, Any]]]
) -> pd.DataFrame:
    """Add what figures show of the clearest class of each layer; elsewhere it is missing."""
    added: dict[str, list[Any]] = {name: [None] * len(frame) for name in _SHOWN}
    if best:
        pixels = _pixels(run)
        for _, row, shown in best.values():
            content = dict(shown)
            content["example_image"] = pixels(content.pop("ids"))
            for name, values in content.items():
                added[name][row] = values
    return frame.assign(**{name: pd.Series(values, dtype=object) for name, values in added.items()})


def _pixels(run: ExtensionRun) -> Any:
    """Return a function from indices of test images to their pixels, one after the other."""
    data = run.data
    images = load(
        str(run.run["dataset"]), "test", source=data["source"], folder=data["folder"],
        limit=data["test_images"], seed=data["split_seed"],
    )  # fmt: skip
    place = {int(one): row for row, one in enumerate(images.stimulus_id)}
    return lambda ids: images.images[[place[int(one)] for one in ids]].ravel()


def results(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn the frame across runs into estimates over runs."""
    if frame.empty:
        return as_results([])
    known = frame[frame["n_presentations"] > frame["silent"]]
    larger = known[["shuffled", "cloud"]].max(axis=1)
    known = known.assign(several=(known["patterns"] > 1).astype(float), larger=larger)
    several = known[known["patterns"] > 1]
    parts = [
        estimates(known, "several", SEVERAL, control=SHUFFLED, control_value="shuffled"),
        estimates(known, "several", SEVERAL, control=CLOUD, control_value="cloud"),
        estimates(known, "several", SEVERAL, control=LARGER, control_value="larger"),
        estimates(several.astype({"patterns": float}), "patterns", NUMBER),
        estimates(several, "dominant", DOMINANT),
        estimates(
            several[several["layer"] != IMAGES], "jaccard", OVERLAP, control=RANDOM,
            control_value="jaccard_random",
        ),
        as_results(_agreements(known)),
    ]  # fmt: skip
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _agreements(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return how far patterns agree: those of two runs, and those of a layer and of the images.

    Both have to find several patterns in a class; images outside of all patterns do not count.
    """
    of_images = frame[frame["layer"] == IMAGES]
    ids = {_run_and_class(row): row["stimulus_id"] for row in of_images.to_dict("records")}
    several = frame[frame["patterns"] > 1].to_dict("records")
    labels = {
        (row["layer"], *_run_and_class(row)): pd.Series(row["pattern"], ids[_run_and_class(row)])
        for row in several
    }
    found: list[dict[str, Any]] = []
    by = ["protocol", "dataset", "model", "layer"]
    for key, group in frame[frame["patterns"] > 1].groupby(by, sort=False):
        head = {**dict(zip(by, key, strict=True)), "control": ""}
        rows = [(row["layer"], *_run_and_class(row)) for row in group.to_dict("records")]
        pairs = [(one, two) for one, two in combinations(rows, 2) if one[-1] == two[-1]]
        scored = {pair: rand_index(*(labels[row] for row in pair)) for pair in pairs}
        scored = {pair: score for pair, score in scored.items() if not np.isnan(score)}
        runs = len({row[:-1] for pair in scored for row in pair})
        agreement = {"value": _mean(list(scored.values())), "n_runs": runs}
        found.append({**head, "quantity": AGREEMENT, **agreement})
        if head["layer"] == IMAGES:
            continue
        by_run: dict[Any, list[float]] = {}
        for row in rows:
            images = labels.get((IMAGES, *row[1:]))
            if images is not None:
                by_run.setdefault(row[:-1], []).append(rand_index(labels[row], images))
        scores = [_mean(values) for values in by_run.values()]
        known = [value for value in scores if not np.isnan(value)]
        mean, low, high, _ = student(known)
        numbers = {"value": mean, "low": low, "high": high, "n_runs": len(known)}
        found.append({**head, "quantity": OF_IMAGES, **numbers})
    return [row for row in found if not np.isnan(row["value"])]


def _run_and_class(row: Mapping[Any, Any]) -> tuple[Any, ...]:
    return (*(row[key] for key in ("protocol", "dataset", "model", "seed")), row["category"])


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan


def rand_index(one: pd.Series, other: pd.Series) -> float:
    """Return the adjusted Rand index of two groupings of images, given by their indices.

    Missing unless the images that both place are in several groups of each.

    Examples
    --------
    >>> one, other = pd.Series([0, 0, 1, -1], [7, 8, 9, 5]), pd.Series([1, 1, 0], [7, 8, 9])
    >>> rand_index(one, other), rand_index(one[:2], other)
    (1.0, nan)
    """
    from sklearn.metrics import adjusted_rand_score

    both = pd.concat([one, other], axis=1, join="inner")
    both = both[(both != OUTSIDE).all(axis=1)]
    if (both.nunique() < 2).any():
        return np.nan
    return float(adjusted_rand_score(both.iloc[:, 0], both.iloc[:, 1]))


def verdict(found: pd.DataFrame) -> list[str]:
    """Say what the results of one protocol show."""
    said_of = []
    for where, here in groups(found):
        shares = here[here["quantity"] == SEVERAL]
        hidden = shares[shares["layer"] != IMAGES]
        if hidden.empty:
            continue
        images = shares[shares["layer"] == IMAGES]["value"].mean()
        nulls = {name: hidden[hidden["control"] == name] for name in (SHUFFLED, CLOUD, LARGER)}
        of_units, of_cloud, _ = (
            by_layer(rows, "control_value", named=False) for rows in nulls.values()
        )
        parts = [
            f"{where}, {spoken_runs(shares)}: the share of classes with several patterns is "
            f"{by_layer(nulls[SHUFFLED], 'value')}; for the images themselves it is {images:.2f}, "
            f"with each unit shuffled over images {of_units}, and in one normal cloud of the same "
            f"covariance {of_cloud}."
        ]
        parts.append(decided(nulls[LARGER], "The share", "the larger null of each class"))
        parts += [_said_of(here[here["layer"] != IMAGES], *words) for words in _SENTENCES]
        said_of.append(" ".join(filter(None, parts)))
    return said_of or ["There are no runs."]


def summary(results: pd.DataFrame) -> str:
    """Say how often classes have several patterns, over all groups of runs."""
    several = results[(results["quantity"] == SEVERAL) & (results["control"] == LARGER)]
    images, hidden = several[several["layer"] == IMAGES], several[several["layer"] != IMAGES]
    first, last = hidden["layer"].min(), hidden["layer"].max()
    agreement = results[(results["quantity"] == AGREEMENT) & (results["layer"] != IMAGES)]
    return (
        f"The share of classes with several patterns is {span(images['value'])} in the images; in "
        f"layer {first} {spans(hidden[hidden['layer'] == first])}; in layer {last} "
        f"{spans(hidden[hidden['layer'] == last])}. It is above the larger of two nulls, units "
        "shuffled over images and one normal cloud of the same covariance, "
        f"{clear_in(hidden, what='layers')}. Two runs agree on the patterns with an adjusted Rand "
        f"index of {spans(agreement)} (0 by chance)."
    )


_SENTENCES = (
    (DOMINANT, "Where there are several, the largest holds {} of the images."),
    (OVERLAP, "The Jaccard index of two patterns' active units is {}."),
    (AGREEMENT, "Two runs agree on them with an adjusted Rand index of {} (0 by chance)."),
    (OF_IMAGES, "With the patterns of the images themselves the index is {}."),
)


def _said_of(rows: pd.DataFrame, quantity: str, sentence: str) -> str:
    """Say the values of a quantity, with those of its control; nothing if there are none."""
    here = rows[(rows["quantity"] == quantity) & rows["value"].notna()]
    if here.empty:
        return ""
    text = by_layer(here, "value")
    if here["control_value"].notna().any():
        text += f" ({by_layer(here, 'control_value', named=False)} with {here['control'].iloc[0]})"
    return sentence.format(text)


extension(
    "microstructure",
    "Microstructure of classes",
    Microstructure,
    needs=("activations", "data"),
    question="Does a layer respond to a class with one pattern of activity, or with several?",
    results=results,
    verdict=verdict,
    summary=summary,
    note=(
        "Layer 0 is the images as the net reads them. Patterns: groups that HDBSCAN finds among a "
        "class's correctly classified images on the leading principal components of their "
        "activations. Nulls are measured in the same way. Runs of a pair see the same images; "
        "their agreement has no interval."
    ),
    minutes=30,
    memory=4000,
)(measure)
