"""Pooled negatives on the full batch: every image has none, one or several."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Pooled:
    """The pooled negatives of one block of images, for several runs.

    Runs have different numbers of negatives in a block. Shorter ones are padded, so that the
    arrays are rectangular.

    Attributes
    ----------
    image
        The image, as an index into the block, that each negative shows, ascending,
        (runs, presentations).
    labels
        The wrong labels that they carry, (runs, presentations).
    real
        False for padding, (runs, presentations); None if there is no padding.
    edges
        The negatives of image i are those from edges[i] to edges[i + 1], (runs, images + 1).
    """

    image: Tensor
    labels: Tensor
    real: Tensor | None
    edges: Tensor

    @classmethod
    def of(cls, image: Tensor, labels: Tensor, block: slice) -> "Pooled":
        """Select a block's negatives from all, (runs, presentations), sorted by image."""
        edges = torch.arange(block.start, block.stop + 1, device=image.device)
        edges = torch.searchsorted(image, edges.expand(len(image), -1).contiguous())
        first, count = edges[:, :1], edges[:, -1:] - edges[:, :1]
        place = torch.arange(max(int(count.max()), 1), device=image.device)
        real = place < count
        picked = torch.where(real, first + place, 0)
        own = torch.where(real, image.gather(1, picked) - block.start, 0)
        padding = None if bool(real.all()) else real
        return cls(own, labels.gather(1, picked), padding, edges - first)


def join(images: Tensor, negatives: Tensor, pooled: Pooled | None) -> Tensor:
    """Add negatives' gradients to those of the images that they show, (runs, images, units).

    Works in place. The sums of an image are taken in their order, on a GPU too, where
    `index_add_` has no fixed order.
    """
    if pooled is None:
        return images.add_(negatives)
    for run, of_run in enumerate(images):
        if images.is_cuda:
            sums = torch.segment_reduce(
                negatives[run], "sum", offsets=pooled.edges[run], unsafe=True
            )
            of_run.add_(sums)
        else:
            of_run.index_add_(0, pooled.image[run], negatives[run])
    return images
