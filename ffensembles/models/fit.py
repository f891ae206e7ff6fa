"""Training parameters of the models, as the configuration names them. Values are in config.yaml."""

from typing import Annotated

from ffensembles.runtime.keys import Count, Field, Ge, Group, Number, Positive


class Fit(Group):
    """Adam's settings."""

    learning_rate: Positive = Field(description="Adam's learning rate")
    epochs: Count = Field(description="epochs; for FF, of each layer")
    batch_size: Count | None = Field(description="images per step; null: all of them")


class GoodnessFit(Fit):
    """Adam's settings, and the goodness to reach."""

    theta: Positive = Field(description="threshold of the goodness; for BPFF, of its sum")


class ClassificationFit(Fit):
    """Adam's settings, and what is added to the cross-entropy."""

    l1_penalty: Annotated[Number, Ge(0)] = Field(
        default=0.0,
        description="weight of the sum of |a| over a batch's images, hidden layers and units, "
        "added to the mean cross-entropy",
    )
