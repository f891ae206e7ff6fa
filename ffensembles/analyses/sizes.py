"""How many units an ensemble has, per layer and category."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from ffensembles.analyses.tidy import whole_numbers
from ffensembles.ensembles import ensemble_sizes, layer_names


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


def by_quantile(
    found: xr.Dataset, quantile: float | None = None
) -> Iterator[tuple[float, xr.Dataset]]:
    """Yield a layer's ensembles at each of Method 1's quantiles, or at the one given.

    Parameters
    ----------
    found
        Ensembles of one layer by one method.
    quantile
        Which quantile; None for all of them, or for a method without quantiles.

    Yields
    ------
    tuple[float, xarray.Dataset]
        The quantile (missing if None was given for a method without quantiles) and the ensembles
        there, without that dimension.

    Raises
    ------
    KeyError
        If the quantile is not among those the ensembles were found for.

    Examples
    --------
    >>> active = (("quantile", "category", "neuroid"), [[[True, True]], [[True, False]]])
    >>> found = xr.Dataset({"active": active}, coords={"quantile": [0.9, 0.95]})
    >>> [(q, int(layer["active"].sum())) for q, layer in by_quantile(found)]
    [(0.9, 2), (0.95, 1)]
    """
    if quantile is None and "quantile" in found.dims:
        wanted: list[float | None] = found["quantile"].values.tolist()
    else:
        wanted = [quantile]
    for one in wanted:
        yield np.nan if one is None else one, at_quantile(found, one)
