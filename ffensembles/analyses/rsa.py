"""Representational similarity: dissimilarity matrices, their rank correlation, and linear CKA.

A representation is a matrix (conditions, units) of one layer of one run; conditions are classes or
images, the same and in the same order for every run that is compared. A representational
dissimilarity matrix (RDM; Kriegeskorte et al. 2008) holds 1 - Pearson's correlation of every two
rows, as a vector of its upper triangle.

numpy and scipy serve here, not rsatoolbox: it computes the same few formulas and installs h5py and
scikit-image for its file formats.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from math import isqrt
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ffensembles.analyses.statistics import mantel, standardised_ranks
from ffensembles.analyses.tidy import RUN_KEYS, whole_numbers
from ffensembles.datasets.loading import stratified
from ffensembles.representations.layers import layer_names, matrices

Matrix = NDArray[np.floating]

_VALUES = ("spearman", "cka", "cka_debiased", "cka_null")

IMAGES = 1000
"""Images of a test set that are compared, stratified by class."""


def rdm(x: Matrix) -> NDArray[np.float64]:
    """Compute the correlation distance of every two rows.

    Parameters
    ----------
    x
        Representation, (conditions, units).

    Returns
    -------
    numpy.ndarray
        1 - Pearson's correlation, in [0, 2], of pairs (0, 1), (0, 2), ..., (1, 2), ...; missing
        (NaN) for a row that is missing or constant, such as that of a silent image.

    Examples
    --------
    >>> rdm(np.array([[0.0, 1, 2], [0, 2, 4], [2, 1, 0], [1, 1, 1]])).round(6)
    array([ 0.,  2., nan,  2., nan, nan])
    """
    values = np.asarray(x, dtype=np.float64)
    constant = (values == values[:, :1]).all(axis=1)  # the mean of equal values may be off by a bit
    centred = values - values.mean(axis=1, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    unit = centred / np.where(constant[:, None] | (norm == 0), np.nan, norm)
    pairs = np.triu_indices(len(values), 1)
    return np.clip(1 - (unit @ unit.T)[pairs], 0, 2)


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Correlate two RDMs by rank, over the pairs that neither lacks.

    Missing where fewer than three pairs remain, or either is constant.

    Parameters
    ----------
    one, other
        Dissimilarities of the same pairs of conditions in the same order, (pairs,).

    Examples
    --------
    >>> spearman(np.array([0.1, 0.5, 0.9, np.nan]), np.array([1, 2, 3, 4.0]))
    1.0
    """
    known = ~(np.isnan(one) | np.isnan(other))
    if known.sum() < 3:
        return float("nan")
    return round(float(standardised_ranks(one[known]) @ standardised_ranks(other[known])), 12)


@dataclass(frozen=True)
class CKA:
    """Linear centred kernel alignment of two representations.

    Attributes
    ----------
    value
        In [0, 1] (Kornblith et al. 2019, eq. 4). It is biased upwards where there are not many
        more conditions than units.
    debiased
        With the unbiased estimator of HSIC (Song et al. 2012): 0 on average for independent
        representations, and possibly below 0.
    null
        Mean of `value` over all permutations of the conditions of one representation.
    """

    value: float = np.nan
    debiased: float = np.nan
    null: float = np.nan


def linear_cka(one: Matrix, other: Matrix) -> CKA:
    """Compute linear CKA of two representations of the same conditions.

    Parameters
    ----------
    one, other
        (conditions, units) each, at least four conditions; rows that are missing in either are
        left out of both.

    Returns
    -------
    CKA
        All missing for fewer than four conditions, or where a representation does not vary.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(40, 5))
    >>> round(linear_cka(x, 3 * x[:, ::-1] + 1).value, 6)
    1.0
    """
    return _cka(_Gram(np.asarray(one, float)), _Gram(np.asarray(other, float)))


class _Gram:
    """Products of a representation's conditions, computed once for all comparisons."""

    def __init__(self, x: Matrix) -> None:
        self.x = x
        self.missing = np.isnan(x).any(axis=1)

    @cached_property
    def plain(self) -> NDArray[np.float64]:
        """Inner products of rows, with units centred over conditions."""
        centred = self.x - self.x.mean(axis=0)
        products: NDArray[np.float64] = centred @ centred.T
        return products

    @cached_property
    def own(self) -> tuple[float, float, float]:
        """Norm, trace and unbiased HSIC with itself."""
        k = self.plain
        return float(np.sqrt((k * k).sum())), float(np.trace(k)), hsic(k, k)


def _cka(one: _Gram, other: _Gram) -> CKA:
    missing = one.missing | other.missing
    if missing.any():
        one, other = (_Gram(gram.x[~missing]) for gram in (one, other))
    n = len(one.x)
    if n < 4:
        return CKA()
    (norm, trace, own), (other_norm, other_trace, other_own) = one.own, other.own
    if not norm > 0 or not other_norm > 0:
        return CKA()
    scale = norm * other_norm
    positive = own > 0 and other_own > 0
    return CKA(
        float((one.plain * other.plain).sum() / scale),
        hsic(one.plain, other.plain) / np.sqrt(own * other_own) if positive else np.nan,
        trace * other_trace / (n - 1) / scale,
    )


def hsic(k: NDArray[np.float64], m: NDArray[np.float64]) -> float:
    """Estimate HSIC without bias, up to a factor that CKA loses (Song et al. 2012, eq. 5).

    Parameters
    ----------
    k, m
        Inner products of the same conditions in two representations, (conditions, conditions),
        at least four; whether units are centred does not matter.
    """
    n = len(k)
    rows, others = k.sum(axis=0) - k.diagonal(), m.sum(axis=0) - m.diagonal()
    inner = (k * m).sum() - (k.diagonal() * m.diagonal()).sum()
    both = rows.sum() * others.sum() / ((n - 1) * (n - 2))
    return float(inner + both - 2 * (rows @ others) / (n - 2))


def class_means(tree: xr.DataTree) -> dict[int, NDArray[np.float64]]:
    """Average the activations of each class, by layer.

    Parameters
    ----------
    tree
        A run's activations. Correctly classified presentations count, and all of the class left
        out, as when ensembles are found.

    Returns
    -------
    dict
        By number of the layer a matrix (classes, units); a lost class is a row of NaN.
    """
    names = tree.attrs.get("categories")
    which = (None if names is None else range(len(names)), tree.attrs.get("held_out"))
    found = {}
    for name in layer_names(tree):
        layer = tree[name].to_dataset()
        empty = np.full(layer.sizes["neuroid"], np.nan)
        means = [
            x.mean(axis=0, dtype=np.float64) if len(x) else empty
            for _, x in matrices(layer, *which)
        ]
        found[int(name.removeprefix("layer"))] = np.stack(means)
    return found


def stratified_images(
    tree: xr.DataTree, images: int = IMAGES, seed: int = 0
) -> dict[int, NDArray[np.float32]]:
    """Read the activations on the same images of every run, stratified by class, by layer.

    Images are drawn by class and `stimulus_id`, correctly classified or not, so that all runs on
    a data set are read on the same ones in the same order.

    Returns
    -------
    dict
        By number of the layer a matrix (images, units).
    """
    found = {}
    for name in layer_names(tree):
        layer = tree[name].to_dataset()
        order = np.lexsort((layer["stimulus_id"].values, layer["label"].values))
        labels = layer["label"].values[order]
        count = min(images, len(labels))
        drawn = order[stratified(labels, count, np.random.default_rng(seed))]
        activation = layer["activation"].transpose("presentation", "neuroid")
        ascending = np.argsort(drawn)  # a store is read in its own order
        rows = activation.isel(presentation=drawn[ascending]).values
        found[int(name.removeprefix("layer"))] = rows[np.argsort(ascending)]
    return found


Runs = Iterable[tuple[Mapping[str, Any], Mapping[int, Matrix]]]
"""Keys of each run and its representations by layer (`class_means`, `stratified_images`)."""


def rsa_frame(runs: Runs, permutations: int = 0, seed: int = 0) -> pd.DataFrame:
    """Compare every two layers of every two runs, those of one run among them.

    Parameters
    ----------
    runs
        Runs on one data set; untrained nets, a null, are runs of another protocol.
    permutations
        Of the conditions, for the p of the rank correlation (Mantel's test); 0 for none. Tests
        over 1,000 images take a second for every hundred.
    seed
        Of the permutations.

    Returns
    -------
    pandas.DataFrame
        One row per unordered pair: `RUN_KEYS` and `layer` of the one, the same with `other_`
        before them, `n` (conditions), `spearman` of their RDMs, `p` (one-sided; missing without
        permutations), `cka`, `cka_debiased` and `cka_null` (mean over permutations).

    Raises
    ------
    ValueError
        If the representations do not have the same number of conditions.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(6, 4))
    >>> keys = {"protocol": "p", "dataset": "d", "model": "FF", "held_out": None, "seed": 0}
    >>> frame = rsa_frame([(keys, {1: x, 2: x**3})])
    >>> frame[["layer", "other_layer", "n"]].values.tolist()
    [[1, 1, 6], [1, 2, 6], [2, 2, 6]]
    """
    known = [
        (_keys(keys, layer), _Gram(np.asarray(x, dtype=float)), rdm(x))
        for keys, layers in runs
        for layer, x in sorted(layers.items())
    ]
    sizes = {len(gram.x) for _, gram, _ in known}
    if len(sizes) > 1:
        raise ValueError(f"runs: found {sorted(sizes)} conditions; all must have the same ones.")
    rows = []
    for (one, gram, first), (two, beside, second) in combinations_with_replacement(known, 2):
        cka = _cka(gram, beside)
        rows.append(
            {
                **one,
                **{f"other_{key}": value for key, value in two.items()},
                "n": len(gram.x),
                "spearman": spearman(first, second),
                "p": _permuted(first, second, permutations, seed),
                "cka": cka.value,
                "cka_debiased": cka.debiased,
                "cka_null": cka.null,
            }
        )
    whole = {f"other_{key}": "Int64" for key in ("held_out", "seed", "layer")}
    frame = pd.DataFrame(rows)
    return frame if frame.empty else whole_numbers(frame).astype(whole)


def rsa_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Average a comparison of runs over pairs of different ones, by model and layer.

    Parameters
    ----------
    frame
        What `rsa_frame` or `dissimilarities.compare` returned, of one data set.

    Returns
    -------
    pandas.DataFrame
        Both orders of each pair of `protocol`, `model` and `layer`: these, the same with `other_`
        before them, means of `spearman` and of what there is of CKA, and `n_pairs` of runs.
        Pairs share runs and are not independent, so that no standard error is given. A layer
        beside itself is a comparison of seeds; layers of one net are compared within the run.
    """
    group = ["protocol", "model", "layer"]
    others = [f"other_{key}" for key in group]
    same_run = pd.Series(True, index=frame.index)
    for key in RUN_KEYS:
        one, other = frame[key], frame[f"other_{key}"]
        same_run &= (one == other).fillna(False) | (one.isna() & other.isna())
    same_net = (frame["protocol"] == frame["other_protocol"]) & (
        frame["model"] == frame["other_model"]
    )
    across = same_net & (frame["layer"] != frame["other_layer"])
    rows = frame[(across & same_run) | (~across & ~same_run)]
    swapped = rows.rename(
        columns={
            **dict(zip(group, others, strict=True)),
            **dict(zip(others, group, strict=True)),
        }
    )
    itself = (rows[group].to_numpy() == rows[others].to_numpy()).all(axis=1)
    both = pd.concat([rows, swapped[~itself]])
    values = [name for name in _VALUES if name in rows]
    grouped = both.groupby([*group, *others])
    return grouped[values].mean().assign(n_pairs=grouped.size()).reset_index()


def noise_ceiling(rdms: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Bound how well any RDM can correlate with those of several seeds (Nili et al. 2014).

    Parameters
    ----------
    rdms
        RDMs of runs that differ in their seed alone, at least two.

    Returns
    -------
    tuple[float, float]
        Lower bound: mean correlation of each with the mean ranks of the others; upper bound: with
        the mean ranks of all. Over pairs that none lacks; missing for a single run.

    Examples
    --------
    >>> noise_ceiling([np.array([0.1, 0.2, 0.3]), np.array([0.2, 0.4, 0.9])])
    (1.0, 1.0)
    """
    values = np.stack(rdms)
    values = values[:, ~np.isnan(values).any(axis=0)]
    if len(values) < 2 or values.shape[1] < 3:
        return float("nan"), float("nan")
    from scipy import stats

    ranks = stats.rankdata(values, axis=1)
    total = ranks.sum(axis=0)  # sums order as means do, and keep ties exact
    lower = [spearman(one, total - one) for one in ranks]
    upper = [spearman(one, total) for one in ranks]
    return float(np.mean(lower)), float(np.mean(upper))


def _keys(keys: Mapping[str, Any], layer: int) -> dict[str, Any]:
    return {**{key: keys[key] for key in RUN_KEYS}, "layer": layer}


def _permuted(
    one: NDArray[np.float64], other: NDArray[np.float64], permutations: int, seed: int
) -> float:
    """Test the rank correlation of two RDMs by permuting conditions, lost classes left out.

    Missing where single pairs are.
    """
    if not permutations:
        return float("nan")
    first, second = _square(one), _square(other)
    lost = (np.isnan(first) | np.isnan(second)).all(axis=1)
    kept = np.ix_(~lost, ~lost)
    first, second = first[kept], second[kept]
    pairs = np.triu_indices(len(first), 1)
    if len(first) < 3 or np.isnan([first[pairs], second[pairs]]).any():
        return float("nan")
    return mantel(first, second, permutations, seed)[1]


def _square(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    n = (1 + isqrt(1 + 8 * len(vector))) // 2
    square = np.full((n, n), np.nan)
    square[np.triu_indices(n, 1)] = vector
    return np.where(np.isnan(square), square.T, square)
