"""How many units an ensemble has, per layer and category."""

import numpy as np
import pandas as pd
import xarray as xr

from ffensembles.analyses.registry import RunResults, run_frame
from ffensembles.analyses.tidy import whole_numbers
from ffensembles.ensembles.common import ensemble_sizes
from ffensembles.representations.layers import layer_names


def sizes_frame(found: xr.DataTree) -> pd.DataFrame:
    """Return the sizes of a run's ensembles, one row per layer, category and quantile.

    Parameters
    ----------
    found
        A run's ensembles by one method (`ensembles.find_ensembles`).

    Returns
    -------
    pandas.DataFrame
        Columns `layer`, `category`, `method`, `quantile` (missing for methods without one),
        `size` (units; missing for a lost category), `floor` (units that Method 1 finds where
        activations do not depend on the image; missing for other methods), `units` of the
        layer, `n_presentations` and `lost`.

    Examples
    --------
    >>> from ffensembles.ensembles import find_ensembles
    >>> layer = xr.Dataset(
    ...     {"activation": (("presentation", "neuroid"), [[0.9, 0.0, 0.1], [0.1, 0.8, 0.7]])},
    ...     coords={"label": ("presentation", [0, 1])},
    ... )
    >>> found = find_ensembles(xr.DataTree.from_dict({"layer1": layer}), "method1", quantiles=[0.5])
    >>> sizes_frame(found)[["layer", "category", "quantile", "size", "floor"]]
       layer  category  quantile  size  floor
    0      1         0       0.5   1.0    1.5
    1      1         1       0.5   1.0    1.5
    """
    rows = []
    for name in layer_names(found):
        layer = found[name].to_dataset()
        if "quantile" not in layer.dims:
            layer = layer.expand_dims(quantile=[np.nan])
        size = ensemble_sizes(layer)
        for quantile in range(layer.sizes["quantile"]):
            for category in range(layer.sizes["category"]):
                n_presentations = _one(layer["n_presentations"], quantile, category)
                rows.append(
                    {
                        "layer": int(name.removeprefix("layer")),
                        "category": layer["category"].values[category],
                        "method": found.attrs["method"],
                        "quantile": layer["quantile"].values[quantile],
                        "size": _one(size, quantile, category),
                        "floor": _one(layer["floor"], quantile, category)
                        if "floor" in layer
                        else np.nan,
                        "units": layer.sizes["neuroid"],
                        "n_presentations": n_presentations,
                        "lost": n_presentations == 0,
                    }
                )
    return whole_numbers(pd.DataFrame(rows))


def _one(values: xr.DataArray, quantile: int, category: int) -> float:
    where = {"quantile": quantile, "category": category}
    return float(values.isel(where, missing_dims="ignore"))


def quantiles_of(found: xr.Dataset, quantile: float | None) -> list[float | None]:
    """Return the quantiles to measure: the one asked for, all there are, or none (None alone)."""
    if quantile is not None or "quantile" not in found.dims:
        return [quantile]
    return [float(value) for value in found["quantile"].values]


def at_quantile(found: xr.Dataset, quantile: float | None) -> xr.Dataset:
    """Select one of Method 1's quantiles; other methods' results pass as they are.

    Raises
    ------
    KeyError
        If the quantile is not among those the ensembles were found for.
    """
    if "quantile" not in found.dims:
        return found
    if quantile is None:
        raise KeyError(f"which quantile? There are {found['quantile'].values.tolist()}.")
    return found.sel(quantile=quantile, method="nearest", tolerance=1e-6)


@run_frame("sizes", shuffled=True)
def _sizes(results: RunResults) -> pd.DataFrame:
    return results.over_methods(sizes_frame)
