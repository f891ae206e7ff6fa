"""CIFAR-10 in its official binary version: nothing is unpickled."""

import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ffensembles.datasets.entry import Entry
from ffensembles.errors import DataError
from ffensembles.runtime.files import WAY_OUT

_BATCHES = {
    "train": tuple(f"cifar-10-batches-bin/data_batch_{k}.bin" for k in range(1, 6)),
    "test": ("cifar-10-batches-bin/test_batch.bin",),
}


def load(
    entry: Entry, split: str, folder: Path, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (n, 3, 32, 32) and labels: a record is a label byte and the pixels."""
    (archive,) = (folder / entry.folder / file for file in entry.files)
    record = 1 + int(np.prod(entry.shape))
    try:
        with tarfile.open(archive) as tar:
            parts = [tar.extractfile(name).read() for name in _BATCHES[split]]  # type: ignore[union-attr]
        rows = np.frombuffer(b"".join(parts), np.uint8).reshape(-1, record)
    except (tarfile.TarError, OSError, KeyError, EOFError, ValueError) as error:
        raise DataError(f"{archive}: cannot be read ({error}); {WAY_OUT}.") from error
    return rows[:, 1:].reshape(-1, *entry.shape).copy(), rows[:, 0].astype(np.int64)
