"""Excitation and inhibition: signs of the weights that reach each unit."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffensembles.analyses.registry import RunResults, run_frame
from ffensembles.analyses.tidy import RUN_KEYS, whole_numbers

Weights = Mapping[str, NDArray[np.floating]]


def weights_by_unit(weights: Weights) -> pd.DataFrame:
    """Return the fraction of positive and of negative weights that each unit receives.

    Biases and the readout of BP are no synapses between hidden units and do not count; a weight
    of exactly 0 is neither positive nor negative (Tosato et al. 2023, sec. 4.5 and A.2).

    Parameters
    ----------
    weights
        Matrices by name, `layer1.weight` (units, inputs) and so on.

    Returns
    -------
    pandas.DataFrame
        Columns `layer`, `neuroid`, `positive` and `negative`, fractions in [0, 1].

    Examples
    --------
    >>> weights_by_unit({"layer1.weight": np.array([[1.0, 2, 3, -1], [-1, -2, 0, -3]])})
       layer  neuroid  positive  negative
    0      1        0      0.75      0.25
    1      1        1      0.00      0.75
    """
    parts = [
        pd.DataFrame(
            {
                "layer": layer,
                "neuroid": np.arange(len(matrix)),
                "positive": (matrix > 0).mean(axis=1),
                "negative": (matrix < 0).mean(axis=1),
            }
        )
        for layer, matrix in _hidden(weights)
    ]
    return whole_numbers(pd.concat(parts, ignore_index=True))


def weights_frame(weights: Weights) -> pd.DataFrame:
    """Return the fraction of positive weights of each layer, and how many units stand out.

    Parameters
    ----------
    weights
        Matrices by name, `layer1.weight` (units, inputs) and so on.

    Returns
    -------
    pandas.DataFrame
        Columns `layer`, `positive` and `negative` (fractions of the layer's weights), `units`,
        `all_negative` and `all_positive` (units whose incoming weights are all of that sign).

    Examples
    --------
    >>> weights = {"layer1.weight": np.array([[1.0, 2, 3, -1], [-1, -2, -4, -3]])}
    >>> weights_frame(weights)[["layer", "positive", "units", "all_negative"]]
       layer  positive  units  all_negative
    0      1     0.375      2             1
    """
    by_unit = weights_by_unit(weights)
    grouped = by_unit.groupby("layer")
    return pd.DataFrame(
        {
            # every unit of a layer receives equally many weights
            "positive": grouped["positive"].mean(),
            "negative": grouped["negative"].mean(),
            "units": grouped.size(),
            "all_negative": (by_unit.negative == 1).groupby(by_unit.layer).sum(),
            "all_positive": (by_unit.positive == 1).groupby(by_unit.layer).sum(),
        }
    ).reset_index()


def weights_histogram(
    frame: pd.DataFrame,
    layer: int,
    bins: int | Sequence[float] = 50,
    sign: str = "negative",
) -> pd.DataFrame:
    """Return the distribution over units of the fraction of negative (or positive) weights.

    Parameters
    ----------
    frame
        Rows of `weights_by_unit` of many runs, with their keys.
    layer
        Which layer.
    bins
        Number of equal bins from 0 to 1, or their edges.
    sign
        `negative` or `positive`.

    Returns
    -------
    pandas.DataFrame
        Columns `protocol`, `dataset`, `model`, `left`, `right` (edges of a bin), `units` (mean
        number of units in it per run) and `n_runs`. The last bin holds 1.
    """
    edges = np.linspace(0, 1, bins + 1) if isinstance(bins, int) else np.asarray(bins, dtype=float)
    parts = []
    by = ["protocol", "dataset", "model"]
    for keys, group in frame[frame.layer == layer].groupby(by, sort=False):
        n_runs = len(group[list(RUN_KEYS)].drop_duplicates())
        counts, _ = np.histogram(group[sign], edges)
        part = {"left": edges[:-1], "right": edges[1:], "units": counts / n_runs, "n_runs": n_runs}
        parts.append(pd.DataFrame({**dict(zip(by, keys, strict=True)), **part}))
    return pd.concat(parts, ignore_index=True)


def _hidden(weights: Weights) -> list[tuple[int, NDArray[np.floating]]]:
    names = [name for name in weights if name.startswith("layer") and name.endswith(".weight")]
    numbered = sorted((int(name[len("layer") : -len(".weight")]), name) for name in names)
    return [(layer, np.asarray(weights[name])) for layer, name in numbered]


@run_frame("positive_weights", of="whole")
def _by_layer(results: RunResults) -> pd.DataFrame:
    return weights_frame(results.weights)


@run_frame("positive_weights_by_unit", of="whole", untrained=False, ending="parquet")
def _by_unit(results: RunResults) -> pd.DataFrame:
    return weights_by_unit(results.weights)
