"""Patterns within a class: groups of images on which a layer responds alike.

Groups are found by density, with HDBSCAN (Campello, Moulavi & Sander 2013), which needs no number
of groups, leaves images between groups out, and finds none in a single cloud. Densities say little
in a thousand dimensions, where all distances become alike. So activations are first projected on
their leading principal components: about as many as a class has dimensions (the extension
`dimension` measures 5 to 15 where ensembles are found).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OUTSIDE = -1
"""The label of an image that belongs to no pattern."""

_FEWEST = 10
"""Images of the smallest pattern, however few there are in the class.

With 5, half of the elongated normal clouds of 36 images fall into several groups; with 10, 3 %.
"""


@dataclass(frozen=True)
class Search:
    """How patterns are looked for.

    Attributes
    ----------
    components
        Principal components kept, at most.
    least_share
        Share of the class's images that a pattern has, at least; and at least 10 images.
    neighbours
        Neighbours that estimate the density; at most the size of the smallest pattern.
    """

    components: int
    least_share: float
    neighbours: int


@dataclass(frozen=True)
class Found:
    """Patterns of one class in one layer.

    Attributes
    ----------
    labels
        Pattern of each image, (images,), from 0, the largest one; -1 is outside of all.
    projected
        Images on the principal components, (images, components).
    explained
        Share of the variance on these components.
    """

    labels: NDArray[np.int64]
    projected: NDArray[np.float64]
    explained: float

    @property
    def count(self) -> int:
        """How many patterns there are."""
        return int(self.labels.max(initial=OUTSIDE)) + 1


def find_patterns(x: NDArray[np.floating], search: Search) -> Found:
    """Find groups of images on which a layer responds alike.

    Parameters
    ----------
    x
        Activations of one class, (images, units).
    search
        How they are looked for.

    Returns
    -------
    Found
        Either no pattern, all images being one cloud, or at least two.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(100, 30))
    >>> x[:30, :10] += 6
    >>> search = Search(components=5, least_share=0.05, neighbours=10)
    >>> [find_patterns(one, search).count for one in (x, x[30:])]
    [2, 0]
    """
    projected, explained = project(x, search.components)
    return Found(cluster(projected, search), projected, explained)


def project(x: NDArray[np.floating], components: int) -> tuple[NDArray[np.float64], float]:
    """Return images on their leading principal components, and the share of variance there."""
    from sklearn.decomposition import PCA

    values = np.asarray(x, dtype=np.float64)
    kept = min(components, *values.shape) if values.size else 0
    if kept < 1 or not np.ptp(values, axis=0).any():
        return np.zeros((len(values), max(kept, 0))), 0.0
    found = PCA(kept, random_state=0)  # where it is approximate, the same bits each time
    return found.fit_transform(values), float(found.explained_variance_ratio_.sum())


def cluster(projected: NDArray[np.float64], search: Search) -> NDArray[np.int64]:
    """Return the pattern of each image, the largest pattern first."""
    from sklearn.cluster import HDBSCAN

    n = len(projected)
    least = max(_FEWEST, int(np.ceil(search.least_share * n)))
    if n < 2 * least or not np.ptp(projected, axis=0).any():
        return np.full(n, OUTSIDE, np.int64)
    found = HDBSCAN(
        min_cluster_size=least, min_samples=min(search.neighbours, least), copy=True
    ).fit_predict(projected)
    sizes = np.bincount(found[found >= 0], minlength=1)
    rank = np.argsort(np.argsort(-sizes, kind="stable"), kind="stable")
    return np.where(found >= 0, rank[np.maximum(found, 0)], OUTSIDE).astype(np.int64)


def shuffled_units(x: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.floating]:
    """Shuffle every unit over images by itself: a null without anything that units do together.

    Examples
    --------
    >>> x = np.arange(6.0).reshape(3, 2)
    >>> np.sort(shuffled_units(x, np.random.default_rng(0)), axis=0).tolist() == x.tolist()
    True
    """
    return rng.permuted(np.asarray(x), axis=0)


def normal_cloud(projected: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw as many points from one normal cloud with the same covariance, on the same components.

    It keeps how units vary together, but has a single group. Neither it nor shuffled units is the
    stricter null everywhere: units with two levels each have groups after shuffling, too.
    """
    return rng.normal(size=projected.shape) * projected.std(axis=0)


def typical(found: Found, number: int) -> list[NDArray[np.int64]]:
    """Return the images nearest to the mean of each pattern, nearest first."""
    picked = []
    for pattern in range(found.count):
        rows = np.flatnonzero(found.labels == pattern)
        here = found.projected[rows]
        away = ((here - here.mean(axis=0)) ** 2).sum(axis=1)
        picked.append(rows[np.argsort(away, kind="stable")[:number]])
    return picked
