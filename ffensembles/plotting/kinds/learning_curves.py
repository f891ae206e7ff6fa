"""Loss, goodness and winners against epochs of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.runtime.keys import Field, Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class LearningCurves(Group):
    """Loss, goodness and winners against epochs of training."""

    kind: Literal["learning_curves"] = Field("learning_curves", description="kind of figure")


def needs(parameters: LearningCurves) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("history",))


def draw(shown: Shown, parameters: LearningCurves) -> Figure:
    """Draw the figure."""
    raise NotImplementedError


def caption(shown: Shown, parameters: LearningCurves) -> str:
    """Write the caption."""
    raise NotImplementedError


register(
    "Learning curves", LearningCurves, by_dataset=False, needs=needs, draw=draw, caption=caption,
)  # fmt: skip
