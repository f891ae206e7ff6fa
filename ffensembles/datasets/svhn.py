"""SVHN's cropped digits, MATLAB files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ffensembles.datasets.entry import Entry
from ffensembles.errors import DataError
from ffensembles.runtime.files import WAY_OUT


def load(
    entry: Entry, split: str, folder: Path, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (n, 3, 32, 32) and labels; the files call the digit 0 class 10."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    path = folder / entry.folder / f"{split}_32x32.mat"
    try:
        content = loadmat(path)
        pixels, labels = content["X"], content["y"].ravel().astype(np.int64)
        images = np.ascontiguousarray(np.transpose(pixels, (3, 2, 0, 1)))
    except (MatReadError, OSError, KeyError, ValueError, NotImplementedError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); {WAY_OUT}.") from error
    return images, labels % 10
