"""Units that the ensembles of two classes, and of every two classes, share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from ffensembles.plotting.parameters import Example, Found
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.runtime.keys import Field, Label, Len, Unique

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Sharing(Found, Example):
    """Units that the ensembles of two classes, and of every two classes, share."""

    kind: Literal["sharing"] = Field("sharing", description="kind of figure")
    dataset: str = Field("fashionmnist", description="data set of the study's figure")
    categories: Annotated[list[Label], Len(2, 2), Unique] = Field(
        [2, 4], description="the two classes of panel A"
    )
    measure: Literal["count", "jaccard"] = Field(
        "count",
        description="what panel B shows: shared units, or these as a share of both ensembles' units",
    )


def needs(parameters: Sharing) -> Needs:
    """Say what the figure reads."""
    return Needs(methods=(parameters.method,), run_frames=("sharing",))


def draw(shown: Shown, parameters: Sharing) -> Figure:
    """Draw the figure."""
    raise NotImplementedError


def caption(shown: Shown, parameters: Sharing) -> str:
    """Write the caption."""
    raise NotImplementedError


register(
    "Units that ensembles share", Sharing, by_dataset=True, needs=needs, draw=draw, caption=caption,
)  # fmt: skip
