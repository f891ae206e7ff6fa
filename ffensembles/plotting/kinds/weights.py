"""Distribution over units of the fraction of negative or positive weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.runtime.keys import Count, Field, Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Weights(Group):
    """Distribution over units of the fraction of negative or positive weights."""

    kind: Literal["weights"] = Field("weights", description="kind of figure")
    layer: Count = Field(2, description="layer")
    bins: Count = Field(50, description="bins of the histogram")
    sign: Literal["negative", "positive"] = Field(
        "negative", description="sign of the weights counted"
    )


def needs(parameters: Weights) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("positive_weights_by_unit",))


def draw(shown: Shown, parameters: Weights) -> Figure:
    """Draw the figure."""
    raise NotImplementedError


def caption(shown: Shown, parameters: Weights) -> str:
    """Write the caption."""
    raise NotImplementedError


register(
    "Signs of weights by unit", Weights, by_dataset=False, needs=needs, draw=draw, caption=caption,
)  # fmt: skip
