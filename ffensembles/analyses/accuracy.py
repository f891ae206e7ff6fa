"""Accuracy on the test images, of the whole net and of each layer by itself."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ffensembles.analyses.tidy import whole_numbers


def accuracy_frame(run: Mapping[str, Any]) -> pd.DataFrame:
    """Return a run's accuracies, one row for the net (layer 0) and one per layer.

    Parameters
    ----------
    run
        Content of a run's `run.json`.

    Returns
    -------
    pandas.DataFrame
        Columns `layer` (0 is the whole net), `accuracy` in [0, 1], `n_train` (training images)
        and `dead` (whether the layer died in training; for layer 0, whether any did).

    Examples
    --------
    >>> accuracy = {"network": 0.9, "layers": [0.8, 0.7]}
    >>> run = {"n_train": 100, "accuracy": accuracy, "dead_layers": [2]}
    >>> accuracy_frame(run)[["layer", "accuracy", "dead"]].values.tolist()
    [[0, 0.9, True], [1, 0.8, False], [2, 0.7, True]]
    """
    accuracy = run["accuracy"]
    dead = set(run.get("dead_layers") or ())
    values = [accuracy["network"], *(accuracy.get("layers") or ())]
    frame = pd.DataFrame(
        {
            "layer": range(len(values)),
            "accuracy": pd.array(values, dtype="Float64").astype("float64"),
            "n_train": run.get("n_train"),
            "dead": [layer in dead if layer else bool(dead) for layer in range(len(values))],
        }
    )
    return whole_numbers(frame)
