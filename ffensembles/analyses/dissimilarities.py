"""Dissimilarities of one run's representations, and their comparison across runs.

A run keeps a vector for each layer, so that a new run is compared with all others without reading
their activations again. It holds all pairs of class means, and a fixed draw of the pairs of 1,000
images: with 2,000 of the 499,500 pairs, the standard error of a rank correlation is below .023.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ffensembles.analyses.registry import RunResults, run_frame
from ffensembles.analyses.rsa import (
    IMAGES,
    class_means,
    hsic,
    noise_ceiling,
    rdm,
    spearman,
    stratified_images,
)
from ffensembles.analyses.tidy import RUN_KEYS, whole_numbers

PAIRS = 2000
"""Pairs of images whose dissimilarity is kept."""

CLASSES, OF_IMAGES = "classes", "images"
"""What the conditions are, in the column `of`."""

_FEWEST = 4  # conditions, for an estimate of CKA without bias
_GROUP = [*(key for key in RUN_KEYS if key != "seed"), "of", "layer"]


def dissimilarity_frame(
    tree: xr.DataTree, images: int = IMAGES, pairs: int = PAIRS, seed: int = 0
) -> pd.DataFrame:
    """Return the dissimilarities of a run's class means and of pairs of its images, by layer.

    Parameters
    ----------
    tree
        A run's activations.
    images
        Test images, stratified by class, correctly classified or not; the same for every run.
    pairs
        Pairs of them, drawn at random, the same for every run.
    seed
        Of both draws.

    Returns
    -------
    pandas.DataFrame
        Columns `layer`, `of` (classes, images), `one`, `other` (label, or number of the image
        among those drawn), `dissimilarity` (1 - Pearson's correlation, in [0, 2]; missing for a
        lost class, a silent image and a class beside itself) and `product`. That is the inner
        product of class means; of images the U-centred one (Szekely and Rizzo 2014), scaled to a
        mean square of 1, whose mean product over pairs of two layers is their debiased linear
        CKA.
    """
    frames = []
    for layer, means in sorted(class_means(tree).items()):
        one, other = np.triu_indices(len(means))
        square = np.full((len(means), len(means)), np.nan)
        square[np.triu_indices(len(means), 1)] = rdm(means)
        values = square[one, other], (means @ means.T)[one, other]
        frames.append(_rows(layer, CLASSES, one, other, *values))
    for layer, x in sorted(stratified_images(tree, images, seed).items()):
        n = len(x)
        i, j = np.triu_indices(n, 1)
        count = min(pairs, len(i))
        drawn = np.sort(np.random.default_rng(seed).choice(len(i), count, replace=False))
        one, other = i[drawn], j[drawn]
        products = _u_centred(np.asarray(x, dtype=np.float64))
        frames.append(_rows(layer, OF_IMAGES, one, other, rdm(x)[drawn], products[one, other]))
    return whole_numbers(pd.concat(frames, ignore_index=True))


def _rows(
    layer: int, of: str, one: NDArray[np.integer], other: NDArray[np.integer],
    dissimilarity: NDArray[np.float64], product: NDArray[np.float64],
) -> pd.DataFrame:  # fmt: skip
    return pd.DataFrame(
        {
            "layer": layer,
            "of": of,
            "one": one.astype(np.int32),
            "other": other.astype(np.int32),
            "dissimilarity": dissimilarity.astype(np.float32),
            "product": product.astype(np.float32),
        }
    )


def _u_centred(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return U-centred inner products of rows, scaled to a mean square of 1 off the diagonal."""
    n = len(x)
    centred = x - x.mean(axis=0)  # changes nothing but rounding
    k = centred @ centred.T
    np.fill_diagonal(k, 0)
    rows = k.sum(axis=0) / (n - 2)
    k += k.sum() / ((n - 1) * (n - 2)) - rows - rows[:, None]
    np.fill_diagonal(k, 0)
    scale = np.sqrt((k**2).sum() / (n * (n - 1)))
    return k / scale if scale > 0 else np.full_like(k, np.nan)


@dataclass(frozen=True)
class _Vectors:
    """One layer of a run: its keys, and its dissimilarities and products in a fixed order."""

    keys: dict[str, Any]
    one: NDArray[np.integer]
    other: NDArray[np.integer]
    dissimilarity: NDArray[np.float64]
    product: NDArray[np.float64]

    @property
    def square(self) -> NDArray[np.float64]:
        """Inner products of class means, (classes, classes)."""
        n = int(self.other.max()) + 1
        found = np.full((n, n), np.nan)
        found[self.one, self.other] = found[self.other, self.one] = self.product
        return found


def compare(frame: pd.DataFrame) -> pd.DataFrame:
    """Compare every two layers of every two runs on a data set, those of one run among them.

    Parameters
    ----------
    frame
        `dissimilarity_frame` of many runs, with their keys.

    Returns
    -------
    pandas.DataFrame
        One row per data set, kind of conditions and unordered pair of layers: `RUN_KEYS` and
        `layer` of the one, the same with `other_` before them, `of`, `n` (pairs of conditions
        that both have), `spearman` of their dissimilarities, `cka_debiased`, and
        `spearman_null`: the same correlation with the classes of the one permuted once at random
        (missing for images, of which single pairs are known). Debiased CKA is 0 on average where
        two representations have nothing in common.

    Raises
    ------
    ValueError
        If runs on a data set have other pairs of conditions.
    """
    rows = []
    rng = np.random.default_rng(0)
    for _, group in frame.groupby(["dataset", "of"], sort=False):
        vectors = list(_vectors(group))
        first = vectors[0]
        if any(
            len(one.one) != len(first.one)
            or (one.one != first.one).any()
            or (one.other != first.other).any()
            for one in vectors
        ):
            raise ValueError(
                f"{group['dataset'].iloc[0]}: runs have dissimilarities of different "
                f"{group['of'].iloc[0]}; all must have the same ones."
            )
        for one, two in combinations_with_replacement(vectors, 2):
            known = ~(np.isnan(one.dissimilarity) | np.isnan(two.dissimilarity))
            rows.append(
                {
                    **{key: one.keys[key] for key in (*RUN_KEYS, "layer")},
                    **{f"other_{key}": two.keys[key] for key in (*RUN_KEYS, "layer")},
                    "of": one.keys["of"],
                    "n": int(known.sum()),
                    "spearman": spearman(one.dissimilarity, two.dissimilarity),
                    "spearman_null": _permuted(one, two, rng),
                    "cka_debiased": _cka(one, two),
                }
            )
    whole = {f"other_{key}": "Int64" for key in ("held_out", "seed", "layer")}
    return whole_numbers(pd.DataFrame(rows)).astype(whole)


def _vectors(group: pd.DataFrame) -> Iterator[_Vectors]:
    for _, rows in group.groupby([*RUN_KEYS, "layer"], dropna=False, sort=False):
        keys: Mapping[Any, Any] = rows.iloc[0][[*RUN_KEYS, "of", "layer"]].to_dict()
        yield _Vectors(
            {str(key): value for key, value in keys.items()},
            *(rows[name].to_numpy(int) for name in ("one", "other")),
            *(rows[name].to_numpy(float) for name in ("dissimilarity", "product")),
        )


def _cka(one: _Vectors, two: _Vectors) -> float:
    if one.keys["of"] == OF_IMAGES:
        k, m = one.product, two.product
        scale = np.sqrt((k @ k) * (m @ m))
        return float(k @ m / scale) if scale > 0 else np.nan
    k, m = one.square, two.square
    there = ~np.isnan(k.diagonal() + m.diagonal())
    if there.sum() < _FEWEST:
        return np.nan
    k, m = k[np.ix_(there, there)], m[np.ix_(there, there)]
    own, other = hsic(k, k), hsic(m, m)
    return float(hsic(k, m) / np.sqrt(own * other)) if own > 0 and other > 0 else np.nan


def _permuted(one: _Vectors, two: _Vectors, rng: np.random.Generator) -> float:
    """Correlate dissimilarities with the classes of the one permuted."""
    if one.keys["of"] == OF_IMAGES:
        return np.nan
    n = int(one.other.max()) + 1
    order = rng.permutation(n)
    square = np.full((n, n), np.nan)
    square[one.one, one.other] = square[one.other, one.one] = one.dissimilarity
    return spearman(square[np.ix_(order, order)][one.one, one.other], two.dissimilarity)


def ceilings(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the noise ceiling over seeds of each kind of run and layer (Nili et al. 2014).

    Parameters
    ----------
    frame
        `dissimilarity_frame` of many runs, with their keys.

    Returns
    -------
    pandas.DataFrame
        Columns `protocol`, `dataset`, `model`, `held_out`, `of`, `layer`, `lower`, `upper`
        (missing for a single run) and `n_runs`.
    """
    rows = []
    for known, group in frame.groupby(_GROUP, dropna=False, sort=False):
        own = [run["dissimilarity"].to_numpy(float) for _, run in group.groupby("seed")]
        lower, upper = noise_ceiling(own)
        rows.append(
            {
                **dict(zip(_GROUP, known, strict=True)),
                **{"lower": lower, "upper": upper, "n_runs": len(own)},
            }
        )
    return whole_numbers(pd.DataFrame(rows))


@run_frame("dissimilarities", of="whole", ending="parquet", on_demand=True)
def _dissimilarities(results: RunResults) -> pd.DataFrame:
    return dissimilarity_frame(results.activations)
