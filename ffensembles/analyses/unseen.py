"""Ensembles and activity of a class that the net was not trained on, beside the other classes."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from ffensembles.analyses.sizes import by_quantile
from ffensembles.analyses.tidy import whole_numbers
from ffensembles.ensembles import ensemble_sizes, layer_names


def unseen_frame(found: xr.DataTree, quantile: float | None = None) -> pd.DataFrame:
    """Return each category's ensemble and its activity in a run that left one class out.

    The first version of the study uses Method 2 here (Tosato et al. 2023, sec. 4.4), the later one
    leave-one-out.

    Parameters
    ----------
    found
        Ensembles of one run by one method; its attribute `held_out` is the label of the class
        left out.
    quantile
        Which of Method 1's quantiles; None for all of them, or for a method without.

    Returns
    -------
    pandas.DataFrame
        Columns `layer`, `category`, `method`, `quantile` (missing for a method without), `unseen`
        (whether it is the class left out), `size` (units; missing for a lost category),
        `activity` (mean activation of the active units; missing if there is none), `shared`
        (active units that belong to the ensemble of some other category too) and
        `n_presentations`.

    Raises
    ------
    KeyError
        If the quantile is not among those the ensembles were found for.
    """
    held_out = found.attrs.get("held_out")
    rows = [
        {
            "layer": int(name.removeprefix("layer")),
            "category": category,
            "method": found.attrs["method"],
            "quantile": at,
            "unseen": category == held_out,
            **values,
        }
        for name in layer_names(found)
        for at, layer in by_quantile(found[name].to_dataset(), quantile)
        for category, values in _by_category(layer)
    ]
    return whole_numbers(pd.DataFrame(rows)).astype({"quantile": float})


def _by_category(layer: xr.Dataset) -> Iterator[tuple[int, dict[str, float]]]:
    active = layer["active"].values
    mean, size = layer["mean"].transpose("category", "neuroid").values, ensemble_sizes(layer).values
    for i, category in enumerate(layer["category"].values.tolist()):
        others = np.delete(active, i, axis=0).any(axis=0)
        yield (
            category,
            {
                "size": float(size[i]),
                "activity": float(mean[i, active[i]].mean()) if active[i].any() else np.nan,
                "shared": np.nan if np.isnan(size[i]) else float((active[i] & others).sum()),
                "n_presentations": int(layer["n_presentations"].values[i]),
            },
        )
