"""MNIST and FashionMNIST, their files read by torchvision.

Its classes of data sets are not used: they prefer tensors that older versions left in a folder
`processed`, which nothing has checked, to the files that have been.
"""

import gzip
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ffensembles.datasets.entry import Entry
from ffensembles.datasets.torchvision_shim import torchvision_datasets
from ffensembles.errors import DataError
from ffensembles.runtime.files import atomic_path

log = logging.getLogger(__name__)


def load(
    entry: Entry, split: str, folder: Path, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (n, 1, 28, 28) and labels of one split from checked files."""
    idx, of_split = torchvision_datasets().mnist, "train" if split == "train" else "t10k"
    try:
        images, labels = (
            _unpack(folder / entry.folder / f"{of_split}-{file}-ubyte.gz")
            for file in ("images-idx3", "labels-idx1")
        )
        pixels, categories = idx.read_image_file(str(images)), idx.read_label_file(str(labels))
    except (
        RuntimeError,
        OSError,
        ValueError,
        EOFError,
        struct.error,
    ) as error:
        raise DataError(
            f"{folder / entry.folder}: {entry.title} cannot be read ({error}); "
            "delete this folder and start the same command again."
        ) from error
    return pixels.numpy()[:, None], categories.numpy()


def _unpack(archive: Path) -> Path:
    """Unpack a file beside itself, unless the same content stands there; return where it is.

    gzip ends with CRC-32 and size of the content; the archive itself has been checked.
    """
    unpacked = archive.with_suffix("")
    expected = struct.unpack("<II", archive.read_bytes()[-8:])
    if unpacked.exists():
        content = unpacked.read_bytes()
        if (zlib.crc32(content), len(content)) == expected:
            return unpacked
        log.warning("%s: has changed since it was unpacked; unpacking it again", unpacked)
    with gzip.open(archive) as stream, atomic_path(unpacked, "`data.folder`") as temporary:
        temporary.write_bytes(stream.read())
    return unpacked


def mirrors(entry: Entry) -> tuple[str, ...]:
    """Return the public places torchvision knows."""
    return tuple(getattr(torchvision_datasets(), entry.title).mirrors)
