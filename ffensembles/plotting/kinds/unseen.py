"""Response to a class that was left out of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ffensembles.plotting.parameters import Example, Found, MethodName
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.runtime.keys import Field, Label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Unseen(Found, Example):
    """Response to a class that was left out of training."""

    kind: Literal["unseen"] = Field("unseen", description="kind of figure")
    dataset: str = Field("fashionmnist", description="data set of the study's figure")
    method: MethodName = Field("method2", description="method that finds ensembles")
    held_out: Label = Field(0, description="the class left out")
    panel: Literal["diagram", "sharing"] = Field(
        "diagram", description="panel C: Method 2's decision diagram, or the matrix of shared units"
    )


def needs(parameters: Unseen) -> Needs:
    """Say what the figure reads."""
    return Needs(sample=True, methods=(parameters.method,), run_frames=("unseen",))


def draw(shown: Shown, parameters: Unseen) -> Figure:
    """Draw the figure."""
    raise NotImplementedError


def caption(shown: Shown, parameters: Unseen) -> str:
    """Write the caption."""
    raise NotImplementedError


register(
    "Response to an unseen class", Unseen, by_dataset=True, needs=needs, draw=draw, caption=caption,
)  # fmt: skip
