"""How far each variation of the open settings leaves the study from what was published."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ffensembles.analyses.tidy import RUN_KEYS, whole_numbers
from ffensembles.published import published, tolerance

_FARTHEST = 10.0  # tolerances


def sweep_frame(
    accuracy: pd.DataFrame,
    sizes: pd.DataFrame,
    weights: pd.DataFrame,
    settings: Mapping[str, tuple[str, Any]],
    quantile: float = 0.95,
) -> pd.DataFrame:
    """Lay every number of a sweep beside the published one.

    Parameters
    ----------
    accuracy, sizes, weights
        Tidy frames of all the sweep's runs, those of its base among them.
    settings
        By the name of a variation's protocol: the key that it changes, and its value. Runs of
        any other protocol are the base.
    quantile
        Method 1's; the published sizes are for 0.95.

    Returns
    -------
    pandas.DataFrame
        Columns `setting` and `value` (empty for the base), `dataset`, `model`, `seed`,
        `quantity` (accuracy, ensemble_size or positive_weights), `layer` (missing for
        accuracies), `ours`, `published` and `distance`: the deviation in units of `tolerance`.
        What was not published is left out.
    """
    sizes = sizes[
        (sizes.method == "method1") & np.isclose(sizes["quantile"].astype(float), quantile)
    ]
    by = [*RUN_KEYS, "layer"]
    sizes = sizes.groupby(by, dropna=False, sort=False)["size"].mean().reset_index()
    parts = [
        accuracy[accuracy.layer == 0]
        .drop(columns="layer")
        .assign(quantity="accuracy", ours=accuracy.accuracy),
        sizes.assign(quantity="ensemble_size", ours=sizes["size"]),
        weights.assign(quantity="positive_weights", ours=weights.positive),
    ]
    columns = ["protocol", "dataset", "model", "seed", "quantity", "layer", "ours"]
    rows = pd.concat(parts, ignore_index=True)[columns]
    numbers = [
        published(quantity, dataset, model, None if pd.isna(layer) else int(layer))
        for quantity, dataset, model, layer in rows[
            ["quantity", "dataset", "model", "layer"]
        ].itertuples(index=False, name=None)
    ]
    rows["published"] = [np.nan if number is None else number.value for number in numbers]
    rows["tolerance"] = [
        np.nan if number is None else tolerance(number.quantity, number.value) for number in numbers
    ]
    rows = rows.dropna(subset="published")
    rows["distance"] = (rows.ours - rows.published).abs() / rows.pop("tolerance")
    named = {name: (key, _shown(value)) for name, (key, value) in settings.items()}
    rows.insert(0, "setting", [named.get(name, ("", ""))[0] for name in rows.protocol])
    rows.insert(1, "value", [named.get(name, ("", ""))[1] for name in rows.protocol])
    return whole_numbers(rows.drop(columns="protocol").reset_index(drop=True))


def distances(frame: pd.DataFrame) -> pd.DataFrame:
    """Average a sweep's distances over the numbers of each run.

    A single number counts for at most ten tolerances, so that a layer which has died does not
    drown all others; a missing one (every class lost) counts for as much.

    Returns
    -------
    pandas.DataFrame
        One row per `setting`, `value`, `dataset`, `model` and `seed`: `distance`, in tolerances,
        and `within`, the share of its numbers that are reproduced.
    """
    capped = frame.distance.fillna(np.inf).clip(upper=_FARTHEST)
    by = ["setting", "value", "dataset", "model", "seed"]
    keys = frame[by].fillna({"setting": "", "value": ""})
    within = (capped <= 1).astype(float)
    grouped = keys.assign(distance=capped, within=within).groupby(by, sort=False)
    return grouped[["distance", "within"]].mean().reset_index()


def _shown(value: Any) -> str:
    """Write a value as the configuration does.

    Examples
    --------
    >>> _shown(None), _shown(False), _shown(0.4)
    ('null', 'false', '0.4')
    """
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )
