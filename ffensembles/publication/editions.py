"""What each edition of the study was made with: scale, runs, and what its figures show."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from ffensembles.publication.numbers import Published, published


@dataclass(frozen=True)
class Publication:
    """An edition of the study as it was published.

    Attributes
    ----------
    protocol
        The protocol of its runs.
    source
        Where it was published.
    runs
        Runs of each model and data set.
    images
        Training images of each data set.
    epochs
        Epochs of each model, for FF of each layer; of the first data set shown where they differ.
    figures
        The data sets that each of its figures shows.
    """

    protocol: str
    source: str
    runs: int
    images: Mapping[str, int]
    epochs: Mapping[str, int]
    figures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_IMAGES = {"mnist": 60_000, "fashionmnist": 60_000}

PUBLICATIONS = {
    "2023": Publication(
        protocol="sigmoid-linf",
        source="arXiv:2305.18353v1",
        runs=15,
        images=_IMAGES,
        epochs={"FF": 1000, "BPFF": 1000, "BP": 20},
        figures={
            "figure1": ("mnist",),
            "figure2": ("mnist",),
            "figure3": ("fashionmnist",),
            "figure4": ("fashionmnist",),
            "figure5": ("mnist",),
            "figure6": ("mnist",),
            "figure7": ("mnist",),
            "figure8": ("mnist", "fashionmnist"),
        },
    ),
    "2025": Publication(
        protocol="relu-l2",
        source="arXiv:2305.18353v4",
        runs=10,
        images=_IMAGES,
        epochs={},
        figures={
            "figure1": ("mnist",),
            "figure2": ("mnist",),
            "figure3": ("fashionmnist",),
            "figure4": ("fashionmnist",),
            "figure5": ("mnist",),
        },
    ),
}
"""Every edition by name."""


def as_published(edition: str, figure: str) -> dict[str, Any]:
    """Return what a figure of an edition showed when published; empty for an edition of one's own.

    Returns
    -------
    dict
        `datasets`, `images` (by data set), `epochs` (by model) and `runs`.
    """
    known = PUBLICATIONS.get(edition)
    if known is None:
        return {}
    scale = {key: asdict(known)[key] for key in ("images", "epochs", "runs")}
    return {"datasets": known.figures.get(figure, ()), **scale}


def look_up(
    edition: str,
) -> "partial[Published | None]":
    """Return a function that finds the published numbers of an edition; see `published`."""
    known = PUBLICATIONS.get(edition)
    return partial(published, protocol=known.protocol if known else "")
