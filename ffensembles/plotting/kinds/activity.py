"""Activation patterns of images, mean activations of classes, activation map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ffensembles.plotting.parameters import Example, Found
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.runtime.keys import Field

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Activity(Found, Example):
    """Activation patterns of images, mean activations of classes, activation map."""

    kind: Literal["activity"] = Field("activity", description="kind of figure")


def needs(parameters: Activity) -> Needs:
    """Say what the figure reads."""
    return Needs(sample=True, methods=(parameters.method,))


def draw(shown: Shown, parameters: Activity) -> Figure:
    """Draw the figure."""
    raise NotImplementedError


def caption(shown: Shown, parameters: Activity) -> str:
    """Write the caption."""
    raise NotImplementedError


register(
    "Activation patterns", Activity, by_dataset=True, needs=needs, draw=draw, caption=caption,
)  # fmt: skip
