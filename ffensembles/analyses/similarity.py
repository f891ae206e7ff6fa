"""Which classes are alike, by their images alone: what shared units are compared with."""

from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffensembles.analyses.tidy import whole_numbers


def similarity_frame(x: NDArray[np.floating], labels: NDArray[np.integer]) -> pd.DataFrame:
    """Correlate the mean images of each pair of classes (Pearson, over pixels).

    Parameters
    ----------
    x
        Images, shape (presentations, pixels), without label pixels.
    labels
        Their classes, shape (presentations,).

    Returns
    -------
    pandas.DataFrame
        Columns `category`, `other` (not below `category`) and `similarity`, in [-1, 1].

    Examples
    --------
    >>> x = np.array([[0.0, 1, 2], [0, 2, 4], [3, 2, 1]])
    >>> similarity_frame(x, np.array([0, 0, 1])).similarity.round(6).tolist()
    [1.0, -1.0, 1.0]
    """
    categories = np.unique(labels)
    means = np.stack([x[labels == category].mean(axis=0, dtype=float) for category in categories])
    correlation = np.atleast_2d(np.corrcoef(means))
    rows = [
        {"category": categories[i], "other": categories[j], "similarity": correlation[i, j]}
        for i, j in combinations_with_replacement(range(len(categories)), 2)
    ]
    return whole_numbers(pd.DataFrame(rows))
