"""Reading a trained net's weights."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ffensembles.errors import StoreError
from ffensembles.runtime.files import WAY_OUT
from ffensembles.training.metadata import check_file, read_run


def load_weights(
    path: str | Path, metadata: str | Path | None = None
) -> dict[str, NDArray[np.float32]]:
    """Read a run's weights: `layer1.weight` (out, in), `layer1.bias` (out,), and so on.

    Parameters
    ----------
    path
        A run's `weights.safetensors`.
    metadata
        The run's metadata, which know the checksum of the weights. None takes `run.json` beside
        the weights where there is one; weights without metadata are read without a checksum.

    Raises
    ------
    StoreError
        If a file is missing or damaged, if the weights are not those that the metadata name, or
        if a value is no finite float32.
    """
    path = Path(path)
    beside = path.with_name("run.json")
    if metadata is None and beside.exists():
        metadata = beside
    if metadata is not None:
        check_file(path, read_run(metadata), "weights_sha256")
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); {WAY_OUT}.") from error
    for name, values in weights.items():
        if values.dtype != np.float32:
            raise StoreError(f"{path}: {name} is {values.dtype}, not float32; {WAY_OUT}.")
        if not np.isfinite(values).all():
            raise StoreError(f"{path}: {name} holds values that are not finite; {WAY_OUT}.")
    return weights
