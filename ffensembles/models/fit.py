"""Training parameters of the models, as the configuration names them. Values are in config.yaml."""

from ffensembles.runtime.keys import Count, Field, Group, Positive


class Fit(Group):
    """Adam's settings."""

    learning_rate: Positive = Field(description="Adam's learning rate")
    epochs: Count = Field(description="epochs; for FF, of each layer")
    batch_size: Count | None = Field(description="images per step; null: all of them")


class GoodnessFit(Fit):
    """Adam's settings, and the goodness to reach."""

    theta: Positive = Field(description="threshold of the goodness; for BPFF, of its sum")
