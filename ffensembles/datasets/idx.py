"""MNIST and FashionMNIST, read by torchvision."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ffensembles.datasets.registry import Entry
from ffensembles.datasets.torchvision_shim import torchvision_datasets
from ffensembles.errors import DataError
from ffensembles.runtime.files import atomic_path


def load(
    entry: Entry, split: str, folder: Path, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (n, 1, 28, 28) and labels of one split from checked files."""
    kind = getattr(torchvision_datasets(), entry.title)
    try:
        for file in entry.files:
            _unpack(folder / entry.folder / file)
        whole = kind(str(folder), train=split == "train", download=False)
    except (RuntimeError, OSError, ValueError, EOFError) as error:
        raise DataError(
            f"{folder / entry.folder}: {entry.title} cannot be read ({error}); "
            "delete this folder and run again to fetch it anew."
        ) from error
    return whole.data.numpy()[:, None], whole.targets.numpy()


def _unpack(archive: Path) -> None:
    """Unpack a file beside itself, as torchvision wants it, unless a whole copy stands there."""
    unpacked = archive.with_suffix("")
    size = int.from_bytes(archive.read_bytes()[-4:], "little")  # as gzip states it
    if unpacked.exists() and unpacked.stat().st_size == size:
        return
    with gzip.open(archive) as packed, atomic_path(unpacked) as temporary:
        temporary.write_bytes(packed.read())


def mirrors(entry: Entry) -> tuple[str, ...]:
    """Return the public places torchvision knows."""
    return tuple(getattr(torchvision_datasets(), entry.title).mirrors)
