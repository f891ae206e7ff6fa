"""scikit-learn's bundled handwritten digits, laid out like MNIST's; needs no network."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ffensembles.datasets.entry import Entry
from ffensembles.runtime.random import random_stream

_TEST = 360  # a fifth of 1,797
_INNER, _BORDER = 20, 4  # MNIST's digits are 20 x 20 in a frame of 28 x 28


def load(
    entry: Entry, split: str, folder: Path, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return 1,437 training or 360 test images (n, 1, 28, 28) and their labels.

    The 8 x 8 pictures are resampled to 20 x 20 (cubic splines) within a black frame; `seed`
    fixes the stratified split.
    """
    from scipy.ndimage import zoom

    from ffensembles.datasets.loading import stratified

    pictures, labels = _pictures()
    enlarged = zoom(pictures * (255 / 16), (1, _INNER / 8, _INNER / 8), order=3, mode="nearest")
    framed = np.pad(enlarged, ((0, 0), (_BORDER, _BORDER), (_BORDER, _BORDER)))
    images = np.clip(np.rint(framed), 0, 255).astype(np.uint8)[:, None]
    test = stratified(labels, _TEST, random_stream(seed, "split of digits"))
    chosen = np.isin(np.arange(len(labels)), test, invert=split == "train")
    return images[chosen], labels[chosen]


def _pictures() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return all pictures (n, 8, 8), values 0 to 16, and their labels, as `load_digits` does.

    Read off scikit-learn's file: importing the package takes longer than training on it.
    """
    package = find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    rows = np.loadtxt(Path(package.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
