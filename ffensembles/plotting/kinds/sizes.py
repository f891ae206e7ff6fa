"""Sizes of ensembles by class, model and layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ffensembles.plotting.parameters import Found
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.runtime.keys import Field, Quantile

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Sizes(Found):
    """Sizes of ensembles by class, model and layer."""

    kind: Literal["sizes"] = Field("sizes", description="kind of figure")
    quantile: Quantile | None = Field(0.95, description="quantile, for methods that have one")


def needs(parameters: Sizes) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("sizes",))


def draw(shown: Shown, parameters: Sizes) -> Figure:
    """Draw the figure."""
    raise NotImplementedError


def caption(shown: Shown, parameters: Sizes) -> str:
    """Write the caption."""
    raise NotImplementedError


register(
    "Sizes of ensembles by class", Sizes, by_dataset=False, needs=needs, draw=draw, caption=caption,
)  # fmt: skip
