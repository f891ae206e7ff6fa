"""From a data set's pictures to what a net reads: standardised, label pixels blank."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ffensembles.datasets.entries.mnist import ENTRY as MNIST  # every run depends on its scale
from ffensembles.datasets.labels import blank, label_positions, standardise
from ffensembles.datasets.loading import load
from ffensembles.datasets.registry import DATASETS


@dataclass(frozen=True)
class Presentations:
    """Images as a net reads them.

    Attributes
    ----------
    x
        Standardised images (presentations, pixels), float32; label pixels blank where
        images carry labels.
    labels, stimulus_id
        Class and index in the official split, (presentations,).
    on
        Value of a lit label pixel, (presentations,).
    positions
        Pixel of each label in every channel, (channels, labels).
    """

    x: NDArray[np.float32]
    labels: NDArray[np.int64]
    stimulus_id: NDArray[np.int64]
    on: NDArray[np.float32]
    positions: NDArray[np.int64]

    def without(self, category: int | None) -> "Presentations":
        """Return the same without one class; all of them for None."""
        if category is None:
            return self
        kept = self.labels != category
        return replace(
            self,
            x=self.x[kept],
            labels=self.labels[kept],
            stimulus_id=self.stimulus_id[kept],
            on=self.on[kept],
        )


def prepare(
    name: str,
    split: Literal["train", "test"],
    data: Mapping[str, Any],
    *,
    labelled: bool = True,
    label_value: Literal["dataset", "image"] = "dataset",
) -> Presentations:
    """Load one split of a data set as a net reads it.

    Parameters
    ----------
    name
        Name in the registry.
    split
        Which images.
    data
        standardisation (`mnist`, `own` or `channel`), source, folder, train_images, test_images,
        split_seed.
    labelled
        Whether images carry labels: their label pixels are then blank.
    label_value
        Value of a label pixel: maximum of the whole `dataset`, or of each `image`.

    Raises
    ------
    DataError
        If the data set cannot be had, or is not the official one.
    """
    loaded = load(
        name,
        split,
        source=data["source"],
        folder=data["folder"],
        limit=data[f"{split}_images"],
        seed=data["split_seed"],
    )
    return present(
        name, loaded.images, loaded.labels, loaded.stimulus_id, data["standardisation"],
        labelled=labelled, label_value=label_value,
    )  # fmt: skip


def present(
    name: str,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    stimulus_id: NDArray[np.int64],
    standardisation: Literal["mnist", "own", "channel"],
    *,
    labelled: bool = True,
    label_value: Literal["dataset", "image"] = "dataset",
) -> Presentations:
    """Standardise images of a data set and blank their label pixels, as a net reads them.

    Parameters
    ----------
    name
        Name in the registry.
    images
        Values in 0..255, (images, channels, height, width).
    labels, stimulus_id
        Class and identity of each image, (images,).
    standardisation, labelled, label_value
        As for `prepare`.

    Raises
    ------
    ValueError
        If the images are not of the data set's size.
    """
    entry = DATASETS[name]
    if images.shape[1:] != entry.shape:
        raise ValueError(f"images: found {images.shape[1:]} each, {name} has {entry.shape}.")
    # the study standardises every data set with MNIST's mean and deviation
    scale = MNIST if standardisation == "mnist" else entry
    mean, std = scale.scale(by_channel=standardisation == "channel")
    x = standardise(images, mean, std)
    if label_value == "dataset":
        on = np.full(len(x), _white(mean, std), np.float32)
    else:
        on = x.max(axis=1)
    positions = label_positions(entry.shape, len(entry.classes))
    if labelled:
        x = blank(x, positions)
    return Presentations(x, labels, stimulus_id, on, positions)


def _white(mean: Sequence[float], std: Sequence[float]) -> float:
    """Return the largest value a standardised pixel can have: white, in the widest channel."""
    return max((1 - m) / s for m, s in zip(mean, std, strict=True))
