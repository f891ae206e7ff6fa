"""Reading a trained net's weights."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ffensembles.errors import StoreError


def load_weights(path: str | Path) -> dict[str, NDArray[np.float32]]:
    """Read a run's weights: `layer1.weight` (out, in), `layer1.bias` (out,), and so on.

    Raises
    ------
    StoreError
        If the file is missing, truncated or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"{path}: cannot be read ({error}); delete it and start the same command again."
        ) from error
