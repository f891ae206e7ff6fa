"""Derivatives in closed form: of the goodness loss, the non-linearities and the norms."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ffensembles.models.network import norm
from ffensembles.models.recipe import Norm, Recipe


def loss_terms(goodness: Tensor, positive: bool, theta: float) -> Tensor:
    """Return softplus(theta - g) of positive, softplus(g - theta) of negative presentations."""
    return softplus(theta - goodness if positive else goodness - theta)


def loss_slope(goodness: Tensor, positive: bool, theta: float) -> Tensor:
    """Return d softplus / d goodness: -sigmoid(theta - g), or sigmoid(g - theta)."""
    return -torch.sigmoid(theta - goodness) if positive else torch.sigmoid(goodness - theta)


def activation_slope(h: Tensor, recipe: Recipe) -> Tensor:
    """Return the derivative of the non-linearity, from its value `h`; that of ReLU is its sign."""
    return h * (1 - h) if recipe.activation == "sigmoid" else h.sign()


def norm_given_peak(h: Tensor, peak: Tensor, kind: Norm) -> Tensor:
    """Return the norm of activations that are not negative and whose maximum is known."""
    return peak if kind == "linf" else norm(h, kind)


def add_norm_slope(
    dh: Tensor, h: Tensor, size: Tensor, winner: Tensor, kind: Norm, factor: Tensor
) -> None:
    """Add factor * d size / dh to `dh` in place, where `size` is the norm of `h`.

    With l-inf that is one unit of each presentation, its `winner`.
    """
    if kind == "linf":
        place = winner[..., None]
        dh.scatter_(-1, place, dh.gather(-1, place) + factor[..., None])
    elif kind == "l2":
        tiny = torch.finfo(h.dtype).tiny  # of a silent presentation the derivative is taken as 0
        dh.addcmul_(h, (factor / size.clamp_min(tiny))[..., None])
    else:
        dh.addcmul_(h.sign(), factor[..., None])
