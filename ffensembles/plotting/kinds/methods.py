"""Methods 1 and 2 compared, in one class and over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ffensembles.models.recipe import Model
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.runtime.keys import Field, Group, Quantile

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Methods(Group):
    """Methods 1 and 2 compared, in one class and over all of them."""

    kind: Literal["methods"] = Field("methods", description="kind of figure")
    dataset: str = Field("mnist", description="data set of panel A's example")
    model: Model = Field("FF", description="model of panel A's example")
    quantile: Quantile = Field(0.99, description="quantile of Method 1")


def needs(parameters: Methods) -> Needs:
    """Say what the figure reads."""
    return Needs(methods=("method1", "method2"), frames=("sizes",))


def draw(shown: Shown, parameters: Methods) -> Figure:
    """Draw the figure."""
    raise NotImplementedError


def caption(shown: Shown, parameters: Methods) -> str:
    """Write the caption."""
    raise NotImplementedError


register(
    "Methods 1 and 2 compared", Methods, by_dataset=False, needs=needs, draw=draw, caption=caption,
)  # fmt: skip
