"""Presentations of one layer, grouped by what they share: images, or positive and negative data."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Side:
    """Presentations that share their images: one product with the weights serves them all.

    Attributes
    ----------
    x
        Inputs of shape (presentations, inputs), without label pixels lit.
    positive
        For each variant of the presentations, whether it is positive data.
    labels
        For each variant the labels embedded, shape (presentations,), or None for none.
    label_value
        Value of a lit label pixel of each row of `x`; None where nothing is embedded.
    n_labels
        How many labels there are.
    rows
        For each variant the row of `x` that a presentation reads, ascending, shape
        (presentations,); None for one presentation of each row, as it is for variants not named.
    """

    x: Tensor
    positive: tuple[bool, ...]
    labels: tuple[Tensor | None, ...] = (None,)
    label_value: Tensor | None = None
    n_labels: int = 10
    rows: tuple[Tensor | None, ...] = ()

    def share(self, variant: int, block: slice) -> "Share":
        """Return the presentations that read a block of rows."""
        rows = self.rows[variant] if variant < len(self.rows) else None
        labels, label_value = (
            self.labels[variant],
            None if self.label_value is None else self.label_value[block],
        )
        if rows is None:
            return Share(
                None, None if labels is None else labels[block], label_value, self.n_labels
            )
        first, last = torch.searchsorted(rows, torch.tensor([block.start, block.stop])).tolist()
        own = rows[first:last] - block.start
        labels = None if labels is None else labels[first:last]
        label_value = None if label_value is None else label_value[own]
        return Share(own, labels, label_value, self.n_labels)


@dataclass
class Share:
    """A variant's presentations that read one block of rows.

    Attributes
    ----------
    rows
        The row of the block that each reads, ascending; None for one presentation of each.
    labels, label_value
        Label and value of its pixel, shape (presentations,), or None where nothing is embedded.
    n_labels
        How many labels there are.
    """

    rows: Tensor | None
    labels: Tensor | None
    label_value: Tensor | None
    n_labels: int

    def label_pixels(self) -> Tensor | None:
        """Return the lit label pixels, shape (presentations, labels), if there are any."""
        if self.labels is None or self.label_value is None:
            return None
        pixels = self.label_value.new_zeros(len(self.label_value), self.n_labels)
        return pixels.scatter_(1, self.labels[:, None], self.label_value[:, None])

    def of(self, block: Tensor) -> Tensor:
        """Return, of a block's rows of anything, the one that each presentation reads."""
        return block if self.rows is None else block.index_select(0, self.rows)

    def row(self, presentation: Tensor) -> Tensor:
        """Return the row of the block that each of some presentations reads."""
        return presentation if self.rows is None else self.rows[presentation]
