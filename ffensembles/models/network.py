"""The networks as the study defines them: forward pass, goodness, prediction, first weights.

Everything here is plain torch on plain tensors. Training engines and analyses share these
definitions. Weights are a mapping of `layer1.weight` (units, inputs), `layer1.bias` (units,),
... and for BP `readout.weight`, `readout.bias`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from ffensembles.models.recipe import Norm, Recipe
from ffensembles.runtime.random import random_stream

Weights = Mapping[str, Tensor]

_ORDER: dict[Norm, float] = {"linf": float("inf"), "l2": 2.0, "l1": 1.0}
SMALLEST = 1e-8
"""Smaller norms are replaced by this when dividing: a layer without activity stays at 0."""


def initial_weights(recipe: Recipe, seed: int, inputs: int, n_labels: int) -> dict[str, Tensor]:
    """Draw a run's first weights, PyTorch's default for linear layers.

    Weights and biases are uniform in +-1/sqrt(inputs). Each layer has its own random stream,
    so that they depend on seed and layer alone, not on device, block or torch's version.
    """
    sizes = [(f"layer{k}", width) for k, width in enumerate(recipe.widths, 1)]
    if recipe.spec.readout:
        sizes.append(("readout", n_labels))
    weights = {}
    for index, (name, units) in enumerate(sizes):
        stream, bound = random_stream(seed, "weights", index), inputs**-0.5
        for part, shape in (("weight", (units, inputs)), ("bias", (units,))):
            drawn = stream.uniform(-bound, bound, shape)
            weights[f"{name}.{part}"] = torch.from_numpy(drawn).float()
        inputs = units
    return weights


def norm(h: Tensor, kind: Norm) -> Tensor:
    """Return the norm of each presentation's activations, (presentations,) from (..., units).

    The l-inf norm is written as a maximum, so that where units tie its gradient is the first's.
    """
    if kind == "linf":
        return h.abs().max(-1).values
    return torch.linalg.vector_norm(h, ord=_ORDER[kind], dim=-1)


def normalise(h: Tensor, kind: Norm) -> Tensor:
    """Divide each presentation's activations by their norm."""
    return h / norm(h, kind).clamp_min(SMALLEST).unsqueeze(-1)


def activate(z: Tensor, recipe: Recipe) -> Tensor:
    """Apply the non-linearity."""
    return torch.sigmoid(z.half().float()).half().float() if recipe.activation == "sigmoid" else torch.relu(z)


def layer_input(h: Tensor, recipe: Recipe, layer: int) -> Tensor:
    """Return what hidden layer `layer` (from 1) reads of the activations or image below it."""
    if not recipe.spec.normalises or (layer == 1 and not recipe.normalise_input):
        return h
    return normalise(h, recipe.normalisation)


def hidden(
    weights: Weights, recipe: Recipe, x: Tensor, upto: int | None = None, below: int = 0
) -> list[Tensor]:
    """Return each hidden layer's activations on images `x` (presentations, pixels).

    They are read after the non-linearity and before normalisation (Tosato et al. 2023, sec. 3.4).
    `upto` stops after so many layers. With `below`, `x` are the activations of that layer, and
    those of the layers above it are returned.
    """
    layers: list[Tensor] = []
    for layer in range(below + 1, (upto or len(recipe.widths)) + 1):
        x = layer_input(x, recipe, layer)
        weight, bias = weights[f"layer{layer}.weight"], weights[f"layer{layer}.bias"]
        from ffensembles.engine.matmul import half

        x = activate(torch.nn.functional.linear(half(x), half(weight), half(bias)), recipe)
        layers.append(x)
    return layers


def logits(weights: Weights, recipe: Recipe, x: Tensor) -> Tensor:
    """Return BP's readout on images `x`, (presentations, labels)."""
    return readout(weights, hidden(weights, recipe, x)[-1])


def readout(weights: Weights, last: Tensor) -> Tensor:
    """Return BP's readout of the last hidden layer's activations, (presentations, labels)."""
    return torch.nn.functional.linear(last, weights["readout.weight"], weights["readout.bias"])


def vote(goodness: Tensor, recipe: Recipe) -> Tensor:
    """Return the label that each presentation's goodness votes for, by the recipe's rule.

    Parameters
    ----------
    goodness
        Of every layer for every label, (layers, presentations, labels).
    """
    votes = goodness.softmax(2) if recipe.prediction == "softmax" else goodness
    return votes.sum(0).argmax(1)


def embed(x: Tensor, labels: Tensor, label_value: Tensor, positions: Tensor) -> Tensor:
    """Return images with their label's pixels lit; a label of -1 lights none.

    Parameters
    ----------
    x
        Images with blank label pixels, (presentations, pixels).
    labels, label_value
        Label and value of its pixel, (presentations,).
    positions
        Index of each label's pixel in every channel, (channels, labels).
    """
    x, lit = x.clone(), labels >= 0
    rows = lit.nonzero()[:, 0]
    for channel in positions:
        x[rows, channel[labels[lit]]] = label_value[lit]
    return x


def predict(
    weights: Weights,
    recipe: Recipe,
    x: Tensor,
    label_value: Tensor,
    positions: Tensor,
    layers: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Predict the class of images that carry no label.

    FF and BP/FF embed every label in turn; the net's goodness for a label is summed over layers
    (`goodness`), or its softmax over labels is (`softmax`), and the largest wins. BP reads its
    softmax layer. `layers` uses only so many layers, as while FF is being trained.

    Returns
    -------
    tuple of Tensor
        The whole net's prediction (presentations,), and that of each hidden layer alone
        (layers, presentations), which BP has none of.
    """
    if recipe.spec.readout:
        return logits(weights, recipe, x).argmax(1), torch.empty(
            (0, len(x)), dtype=torch.int64, device=x.device
        )
    per_label = []
    for label in range(positions.shape[1]):
        carried = torch.full((len(x),), label, device=x.device)
        above = hidden(weights, recipe, embed(x, carried, label_value, positions), layers)
        per_label.append(torch.stack([norm(h, recipe.goodness) for h in above]))
    goodness = torch.stack(per_label, dim=2)  # (layers, presentations, labels)
    return vote(goodness, recipe), goodness.argmax(2)
