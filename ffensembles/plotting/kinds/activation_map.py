"""Activations of a layer on images, sorted by class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ffensembles.plotting.parameters import Example
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.runtime.keys import Count, Field

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ActivationMap(Example):
    """Activations of a layer on images, sorted by class."""

    kind: Literal["activation_map"] = Field("activation_map", description="kind of figure")
    layer: Count = Field(2, description="layer")


def needs(parameters: ActivationMap) -> Needs:
    """Say what the figure reads."""
    return Needs(sample=True)


def draw(shown: Shown, parameters: ActivationMap) -> Figure:
    """Draw the figure."""
    raise NotImplementedError


def caption(shown: Shown, parameters: ActivationMap) -> str:
    """Write the caption."""
    raise NotImplementedError


register(
    "Activation map", ActivationMap, by_dataset=True, needs=needs, draw=draw, caption=caption,
)  # fmt: skip
