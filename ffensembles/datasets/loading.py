"""Loading any data set of the registry: the same call, the same arrays."""

from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ffensembles.datasets.entry import Entry
from ffensembles.datasets.registry import DATASETS
from ffensembles.datasets.sources import obtain
from ffensembles.errors import DataError
from ffensembles.runtime.files import write_json
from ffensembles.runtime.random import random_stream


@dataclass(frozen=True)
class Split:
    """Images of one split.

    Attributes
    ----------
    images
        Pixels, uint8, (n, channels, height, width).
    labels
        Class of each image, (n,).
    stimulus_id
        Index of each image in the official split, (n,).
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    stimulus_id: NDArray[np.int64]

    def take(self, index: NDArray[np.int64]) -> "Split":
        """Return some of the images."""
        return replace(
            self,
            images=self.images[index],
            labels=self.labels[index],
            stimulus_id=self.stimulus_id[index],
        )


def fetch(
    dataset: str | Entry, *, source: str | None = None, folder: str | Path = "data"
) -> list[Path]:
    """Bring a data set's files into the data folder and check them; return their paths.

    Parameters
    ----------
    dataset
        A name in the registry, or an entry.
    source
        A local folder or http mirror, laid out `{source}/{name}/{file}`; the environment's
        FFENSEMBLES_DATA stands in for None, and the public places come last.
    folder
        Where files are kept.

    Raises
    ------
    DataError
        If a file could not be downloaded or found, or is not the official one.
    """
    entry = _entry(dataset)
    return [obtain(entry, file, source, Path(folder)) for file in entry.files]


def fetch_checked(
    dataset: str, record: str | Path, *, source: str | None, folder: str | Path
) -> None:
    """Fetch a data set and write down what it is: titles, licence and checksums.

    Raises
    ------
    DataError
        As `fetch`.
    """
    entry = _entry(dataset)
    fetch(entry, source=source, folder=folder)
    unsaid = ("loader", "order")  # of the library, not of the data
    write_json(record, {key: value for key, value in asdict(entry).items() if key not in unsaid})


def load(
    dataset: str | Entry,
    split: Literal["train", "test"],
    *,
    source: str | None = None,
    folder: str | Path = "data",
    limit: int | None = None,
    seed: int = 0,
) -> Split:
    """Load one split of a data set, fetching it first if need be.

    Parameters
    ----------
    dataset, source, folder
        As for `fetch`.
    split
        `train` or `test`.
    limit
        Take only so many images, classes in the proportion they have; None takes all.
    seed
        Fixes which images those are, and the split of data sets that come without one.

    Raises
    ------
    DataError
        As `fetch`, if more images are wanted than there are, or if the loader returns what is not
        of the entry.
    """
    entry = _entry(dataset)
    fetch(entry, source=source, folder=folder)
    reader = import_module(entry.module)
    images, labels = reader.load(entry, split, Path(folder), seed)
    if wrong := _wrong(entry, images, labels):
        raise DataError(f"{entry.name}: {entry.module}.load returned {wrong}.")
    whole = Split(images, labels.astype(np.int64), np.arange(len(labels)))
    if limit is None:
        return whole
    if limit > len(labels):
        raise DataError(
            f"{entry.name}: images.{split}_images asks for {limit} images, the {split} split has "
            f"{len(labels)}; write a smaller number or null."
        )
    return whole.take(stratified(whole.labels, limit, random_stream(seed, f"subset of {split}")))


def _wrong(entry: Entry, images: NDArray[Any], labels: NDArray[Any]) -> str:
    """Say what is wrong with what a loader returned; nothing if it is as the entry says."""
    if images.dtype != np.uint8:
        return f"images of type {images.dtype}; needed are values 0 to 255 of type uint8"
    if images.ndim != 4 or images.shape[1:] != entry.shape:
        return f"images of shape {images.shape}; needed is (images, *{entry.shape})"
    if labels.shape != images.shape[:1]:
        return f"labels of shape {labels.shape} for {len(images)} images"
    known = len(entry.classes)
    if labels.dtype.kind not in "iu" or ((labels < 0) | (labels >= known)).any():
        return f"labels that are not whole numbers from 0 to {known - 1}"
    return ""


def stratified(labels: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw `n` indices with classes in proportion (largest remainders), in ascending order."""
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * n / len(labels)
    shares = np.floor(exact).astype(int)
    shares[np.argsort(shares - exact, kind="stable")[: n - shares.sum()]] += 1
    drawn = [
        rng.choice(np.flatnonzero(labels == c), share, replace=False)
        for c, share in zip(classes, shares, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def _entry(dataset: str | Entry) -> Entry:
    if isinstance(dataset, Entry):
        return dataset
    try:
        return DATASETS[dataset]
    except KeyError:
        raise DataError(f"{dataset}: no such data set; there are {', '.join(DATASETS)}.") from None
