"""Hoyer sparsity of representations by model and layer, and by class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.runtime.keys import Field, Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Sparsity(Group):
    """Hoyer sparsity of representations by model and layer, and by class."""

    kind: Literal["sparsity"] = Field("sparsity", description="kind of figure")


def needs(parameters: Sparsity) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("sparsity",))


def draw(shown: Shown, parameters: Sparsity) -> Figure:
    """Draw the figure."""
    raise NotImplementedError


def caption(shown: Shown, parameters: Sparsity) -> str:
    """Write the caption."""
    raise NotImplementedError


register(
    "Sparsity of representations", Sparsity, by_dataset=False, needs=needs, draw=draw, caption=caption,
)  # fmt: skip
