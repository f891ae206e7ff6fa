"""Training parameters of the models, as the configuration names them. Values are in config.yaml."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from ffensembles.runtime.keys import Allowed, Count, Field, Ge, Group, Number, Positive


def _phases(text: str) -> str:
    if not re.fullmatch(r"0-0|[1-9]\d*-[1-9]\d*", text):
        raise ValueError
    return text


Negatives = Literal["once", "each-epoch", "pooled", "permuted"]
"""How negatives are drawn; see `Recipe.negatives`."""

Objective = Literal["sum", "mean", "max", "layers", "local"]
"""What BP/FF compares with its threshold; see `Recipe.objective`."""


Loss = Literal["mean", "sum"]
"""What is taken over a step's presentations; see `Recipe.loss`."""


class Fit(Group):
    """Adam's settings."""

    learning_rate: Positive = Field(description="Adam's learning rate")
    epochs: Count = Field(description="epochs; for FF, of each layer")
    batch_size: Count | None = Field(description="images per step; null: all of them")


Phases = Annotated[
    str,
    AfterValidator(_phases),
    Allowed("0-0, or two whole numbers from 1 with a hyphen between them"),
]


class GoodnessFit(Fit):
    """Adam's settings, and the goodness to reach."""

    theta: Positive = Field(description="threshold of the goodness")
    negatives: Negatives | None = Field(
        None, description="negatives of this model alone; null: those of the protocol"
    )
    phases: Phases = Field(
        "0-0",
        description="steps in a row on positive data alone, then on negative data alone: n-m; "
        "0-0: every step learns from both",
    )
    loss: Loss = Field(
        "mean",
        description="mean: the loss is the mean over a step's presentations; sum: their sum, of "
        "which Adam's steps differ where gradients of the mean are as small as its epsilon, 1e-8",
    )


class EndToEndFit(GoodnessFit):
    """Adam's settings, the goodness to reach, and of what."""

    theta: Positive = Field(
        description="threshold of the goodness: of its sum, mean or largest over layers, or of "
        "each layer's"
    )
    objective: Objective = Field(
        "sum",
        description="sum, mean, max: one loss, of the goodness summed or averaged over layers, or "
        "of the largest; layers: each layer has a loss of its own goodness, and the net learns "
        "from their sum; local: likewise, but a layer learns from its own loss alone",
    )


class ClassificationFit(Fit):
    """Adam's settings, and what is added to the cross-entropy."""

    l1_penalty: Annotated[Number, Ge(0)] = Field(
        default=0.0,
        description="weight of the sum of |a| over a batch's images, hidden layers and units, "
        "added to the mean cross-entropy",
    )
