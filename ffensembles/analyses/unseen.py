"""What a class that the net was never trained on evokes, beside the classes it knows."""

import numpy as np
import pandas as pd
import xarray as xr

from ffensembles.analyses.registry import RunResults, run_frame
from ffensembles.analyses.sizes import at_quantile, quantiles_of
from ffensembles.analyses.tidy import whole_numbers
from ffensembles.ensembles.common import ensemble_sizes
from ffensembles.representations.layers import layer_names


def unseen_frame(found: xr.DataTree, quantile: float | None = None) -> pd.DataFrame:
    """Return each category's ensemble and its activity in a run that left one class out.

    The study uses Method 2 here, which is more sensitive to weak activations (Tosato et al. 2023,
    sec. 4.4).

    Parameters
    ----------
    found
        Ensembles of one run; its attribute `held_out` is the label of the class left out.
    quantile
        Which of Method 1's quantiles; None for all, or for a method without.

    Returns
    -------
    pandas.DataFrame
        Columns `layer`, `category`, `method`, `quantile`, `unseen` (whether it is the class left
        out), `size` (units; missing for a lost category), `activity` (mean activation of the
        active units; missing if there is none), `shared` (active units that belong to the
        ensemble of some other category too) and `n_presentations`.
    """
    rows = []
    held_out = found.attrs.get("held_out")
    for name in layer_names(found):
        whole = found[name].to_dataset()
        for at in quantiles_of(whole, quantile):
            layer = at_quantile(whole, at)
            active = layer["active"].values
            mean, size = layer["mean"].values, ensemble_sizes(layer).values
            for i, category in enumerate(layer["category"].values.tolist()):
                others = np.delete(active, i, axis=0).any(axis=0)
                lost = np.isnan(size[i])
                rows.append(
                    {
                        "layer": int(name.removeprefix("layer")),
                        "category": category,
                        "method": found.attrs["method"],
                        "quantile": at,
                        "unseen": category == held_out,
                        "size": float(size[i]),
                        "activity": float(mean[i, active[i]].mean()) if active[i].any() else np.nan,
                        "shared": np.nan if lost else float((active[i] & others).sum()),
                        "n_presentations": int(layer["n_presentations"].values[i]),
                    }
                )
    return whole_numbers(pd.DataFrame(rows)).astype({"quantile": float})


@run_frame("unseen", of="held_out")
def _unseen(results: RunResults) -> pd.DataFrame:
    return results.over_methods(unseen_frame)
