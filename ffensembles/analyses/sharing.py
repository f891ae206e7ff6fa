"""Which units the ensembles of two categories share."""

from itertools import combinations_with_replacement

import pandas as pd
import xarray as xr

from ffensembles.analyses.registry import RunResults, run_frame
from ffensembles.analyses.sizes import at_quantile, quantiles_of
from ffensembles.analyses.tidy import whole_numbers
from ffensembles.representations.layers import layer_names


def shared_units(found: xr.Dataset) -> xr.Dataset:
    """Count the units shared by each pair of categories, and their Jaccard index.

    Parameters
    ----------
    found
        Ensembles of one layer at one quantile: `active` (category, neuroid) and
        `n_presentations` (category).

    Returns
    -------
    xarray.Dataset
        `count` (category, other), in units, with the ensembles' sizes on the diagonal, and
        `jaccard` (category, other), shared units over units in either. Both are missing for a
        lost category, and the index is missing for two empty ensembles.

    Examples
    --------
    >>> found = xr.Dataset(
    ...     {
    ...         "active": (("category", "neuroid"), [[True, True, False], [False, True, True]]),
    ...         "n_presentations": ("category", [9, 9]),
    ...     },
    ...     coords={"category": [2, 4]},
    ... )
    >>> shared = shared_units(found)
    >>> shared["count"].values.tolist()
    [[2.0, 1.0], [1.0, 2.0]]
    >>> shared["jaccard"].sel(category=2, other=4).item().__round__(3)
    0.333
    """
    active = found["active"].astype(int)
    there = found["n_presentations"] > 0
    other = active.rename(category="other")
    count = xr.dot(active, other, dim="neuroid")
    either = active.sum("neuroid") + other.sum("neuroid") - count
    both = there & there.rename(category="other")
    return xr.Dataset(
        {"count": count.where(both), "jaccard": (count / either.where(either > 0)).where(both)}
    )


def sharing_frame(found: xr.DataTree, quantile: float | None = None) -> pd.DataFrame:
    """Return the shared units of a run, one row per layer and pair of categories.

    Parameters
    ----------
    found
        A run's ensembles by one method.
    quantile
        Which of Method 1's quantiles; None for all, or for a method without.

    Returns
    -------
    pandas.DataFrame
        Columns `layer`, `method`, `quantile`, `category`, `other` (not below `category`),
        `count` (units), `jaccard` and `unseen` (whether one of the two is the class left out).
    """
    rows = []
    held_out = found.attrs.get("held_out")
    for name in layer_names(found):
        layer = found[name].to_dataset()
        for at in quantiles_of(layer, quantile):
            shared = shared_units(at_quantile(layer, at))
            labels = shared["category"].values.tolist()
            for (i, category), (j, other) in combinations_with_replacement(enumerate(labels), 2):
                rows.append(
                    {
                        "layer": int(name.removeprefix("layer")),
                        "method": found.attrs["method"],
                        "quantile": at,
                        "category": category,
                        "other": other,
                        "count": float(shared["count"].values[i, j]),
                        "jaccard": float(shared["jaccard"].values[i, j]),
                        "unseen": held_out in (category, other),
                    }
                )
    return whole_numbers(pd.DataFrame(rows)).astype({"quantile": float})


def pair(frame: pd.DataFrame, categories: tuple[int, int], layer: int = 1) -> pd.DataFrame:
    """Keep the rows of one pair of categories in one layer, whichever is named first."""
    low, high = sorted(categories)
    return frame[(frame.category == low) & (frame.other == high) & (frame.layer == layer)]


@run_frame("sharing", shuffled=True, ending="parquet")
def _sharing(results: RunResults) -> pd.DataFrame:
    return results.over_methods(sharing_frame)
