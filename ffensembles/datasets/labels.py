"""Labels carried by images: their pixels, positive and negative data.

The first pixels of an image are blanked, and the pixel of the label it carries is lit; positive
data carry the image's own label, negative data another one (Tosato et al. 2023, sec. 3.1).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def label_positions(shape: tuple[int, int, int], n_classes: int) -> NDArray[np.int64]:
    """Return each label's pixel in every channel, (channels, labels), in the flattened image.

    They are the first pixels of a channel, row by row; colour images carry the label in all
    channels.
    """
    channels, height, width = shape
    return np.arange(channels)[:, None] * height * width + np.arange(n_classes)


def standardise(
    images: NDArray[np.uint8], mean: float | Sequence[float], std: float | Sequence[float]
) -> NDArray[np.float32]:
    """Scale images (n, C, H, W) of 0..255 to [0, 1], standardise and flatten: (n, C*H*W).

    `mean` and `std` are those of all pixels, or one of each channel.
    """
    scaled = images.astype(np.float32)
    scaled /= np.float32(255)
    # one for all channels serves images of more channels too
    scaled -= np.asarray(mean, np.float32).reshape(-1, 1, 1)
    scaled /= np.asarray(std, np.float32).reshape(-1, 1, 1)
    return scaled.reshape(len(images), -1)


def blank(x: NDArray[np.float32], positions: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return a copy with every label pixel at 0, after standardisation as public code does."""
    x = x.copy()
    x[:, positions.ravel()] = 0
    return x


def negative_labels(
    labels: NDArray[np.int64],
    n_classes: int,
    rng: np.random.Generator,
    exclude: int | None = None,
) -> NDArray[np.int64]:
    """Draw for every image one of the wrong labels, all equally likely.

    Never the true label, and never `exclude`, the label of a class left out of training.
    """
    allowed, place = _allowed(labels, n_classes, exclude)
    step = rng.integers(1, len(allowed), size=len(labels))
    return allowed[(place + step) % len(allowed)]


def pooled_negatives(
    labels: NDArray[np.int64],
    n_classes: int,
    rng: np.random.Generator,
    exclude: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw as many negatives as there are images from all images with all wrong labels, pooled.

    No (image, label) is drawn twice; an image may have several negatives, or none. Their order is
    random. Never an image's true label, and never `exclude`.

    Returns
    -------
    tuple of array
        Each negative's image and its wrong label, (images,).
    """
    allowed, place = _allowed(labels, n_classes, exclude)
    wrong = len(allowed) - 1  # labels for each image
    drawn = rng.permutation(wrong * len(labels))[: len(labels)]
    image, step = np.divmod(drawn, wrong)
    return image, allowed[(place[image] + 1 + step) % len(allowed)]


def _allowed(
    labels: NDArray[np.int64], n_classes: int, exclude: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the labels that negatives may carry, and each image's own one's place among them.

    Steps of 1 to m - 1 places on from there, round the circle, lead to all wrong labels.
    """
    if exclude is not None and (labels == exclude).any():
        raise ValueError("an image of the excluded class has no place among its negatives")
    allowed = np.array([label for label in range(n_classes) if label != exclude])
    return allowed, np.searchsorted(allowed, labels)
