"""Closed-form slopes of the goodness loss and of the non-linearities."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ffensembles.models.recipe import Recipe


def loss_terms(goodness: Tensor, positive: bool, theta: float) -> Tensor:
    """Return softplus(theta - g) of positive, softplus(g - theta) of negative presentations."""
    return softplus(theta - goodness if positive else goodness - theta)


def loss_slope(goodness: Tensor, positive: bool, theta: float) -> Tensor:
    """Return d softplus / d goodness: -sigmoid(theta - g), or sigmoid(g - theta)."""
    return -torch.sigmoid(theta - goodness) if positive else torch.sigmoid(goodness - theta)


def activation_slope(h: Tensor, recipe: Recipe) -> Tensor:
    """Return the non-linearity's slope, from its value `h`; that of a rectified one is its sign."""
    return h * (1 - h) if recipe.activation == "sigmoid" else h.sign()
