"""The plain training of FF, BP/FF and BP: autograd through the published definitions.

Every faster engine must give the same weights. A *stage* is what is trained at one time: a layer
of FF, or the whole net of BP/FF and BP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean as mean
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from ffensembles.datasets.labels import negative_labels, pooled_negatives
from ffensembles.models.network import activate, embed, hidden, layer_input, norm, readout
from ffensembles.models.recipe import Recipe
from ffensembles.models.spec import resolve
from ffensembles.runtime.random import random_stream


class Negatives(NamedTuple):
    """Negative presentations of a run, as many as it has images.

    Attributes
    ----------
    labels
        The labels that they carry, wrong ones unless labels are permuted, (presentations,).
    image
        The images that they show, (presentations,); None if each image has one, in their order.
    """

    labels: Tensor
    image: Tensor | None


@dataclass(frozen=True)
class Task:
    """One run to be trained, with its data in memory.

    Attributes
    ----------
    recipe, seed
        The run's mathematics, and the number that fixes all its random choices.
    x
        Standardised training images (presentations, pixels), label pixels blank except for BP,
        without any image of the held-out class.
    labels
        Their classes (presentations,).
    label_value
        Value of a lit label pixel (presentations,).
    positions
        Pixel of each label in every channel (channels, labels).
    held_out
        The class left out, or None.
    """

    recipe: Recipe
    seed: int
    x: Tensor
    labels: Tensor
    label_value: Tensor
    positions: Tensor
    held_out: int | None = None

    @property
    def n_labels(self) -> int:
        """How many labels there are, the held-out one among them."""
        return self.positions.shape[1]

    @property
    def whole(self) -> bool:
        """Whether an epoch is one batch."""
        size = self.recipe.batch_size
        return size is None or size >= len(self.x)

    def negatives(self, epoch: int) -> Negatives:
        """Return the negatives of an epoch; of permuted labels alone some are the true ones.

        Where an epoch is one batch, pooled negatives are sorted by image, so that those of an
        image are found together.
        """
        draw = epoch if self.recipe.negatives == "each-epoch" else 0
        exclude = self.held_out if self.recipe.held_out_negatives == "exclude" else None
        stream = random_stream(self.seed, "negatives", draw)
        own, device = self.labels.cpu().numpy(), self.labels.device
        if self.recipe.negatives == "permuted":
            return Negatives(torch.from_numpy(stream.permutation(own)).to(device), None)
        if self.recipe.negatives != "pooled":
            wrong = negative_labels(own, self.n_labels, stream, exclude)
            return Negatives(torch.from_numpy(wrong).to(device), None)
        image, wrong = pooled_negatives(own, self.n_labels, stream, exclude)
        if self.whole:
            order = image.argsort(kind="stable")
            image, wrong = image[order], wrong[order]
        return Negatives(torch.from_numpy(wrong).to(device), torch.from_numpy(image).to(device))

    def phase(self, epoch: int, batch: int) -> bool | None:
        """Return which data a step learns from: positive (True), negative (False), both (None).

        With the recipe's `phases` n-m, n steps on positive data alone and m on negative data alone
        follow each other; steps are counted from the beginning of the stage.
        """
        positive, negative = self.recipe.steps_of_phases
        if not positive + negative:
            return None
        size = len(self.x) if self.whole else self.recipe.batch_size
        assert size is not None
        step = epoch * -(-len(self.x) // size) + batch
        return step % (positive + negative) < positive

    def batches(self, epoch: int) -> list[Tensor | slice]:
        """Return the batches of an epoch: all images at once, or a new shuffle cut into batches.

        A batch takes the positive and the negative presentations of the same places, which with
        pooled negatives show different images. The last batch may be a smaller one.
        """
        size = self.recipe.batch_size
        if size is None or self.whole:
            return [slice(None)]
        order = random_stream(self.seed, "order", epoch).permutation(len(self.x))
        return list(torch.from_numpy(order).to(self.x.device).split(size))


@dataclass(frozen=True)
class Measures:
    """What was measured in an epoch, always before the weights moved (means over batches)."""

    loss: float
    goodness_positive: float = float("nan")
    goodness_negative: float = float("nan")
    winners: int = -1

    @classmethod
    def of_epoch(cls, batches: Sequence["Measures"]) -> "Measures":
        """Return the means over an epoch's batches, and the most winners of any."""
        return cls(
            mean([m.loss for m in batches]),
            mean([m.goodness_positive for m in batches]),
            mean([m.goodness_negative for m in batches]),
            max(m.winners for m in batches),
        )


def goodness_loss(
    positive: Tensor, negative: Tensor, theta: float, phase: bool | None = None
) -> Tensor:
    """Return the mean loss of positive and negative presentations, from their goodness.

    Goodness is (presentations,); or (layers, presentations), where the layers' losses are summed.
    In a `phase` (`Task.phase`) it is the mean over one kind of data alone.

    softplus(theta - g) for positive data, softplus(g - theta) for negative data
    (Hinton 2022; Tosato et al. 2023, sec. 2.1).
    """
    if phase is not None:
        return softplus(theta - positive if phase else negative - theta).mean(-1).sum()
    return softplus(torch.cat([theta - positive, negative - theta], -1)).mean(-1).sum()


class PlainStage:
    """A layer of FF, or the whole of another net, trained by autograd and `torch.optim.Adam`.

    Parameters
    ----------
    task
        The run.
    weights
        All of the net's weights; those of the stage are changed in place.
    layer
        The hidden layer to train, from 1 (FF); 0 for the whole net (BP/FF, BP).
    """

    def __init__(self, task: Task, weights: dict[str, Tensor], layer: int) -> None:
        self.task, self.layer, self.weights = task, layer, weights
        names = [name for name in weights if not layer or name.startswith(f"layer{layer}.")]
        self.trained = {name: weights[name].requires_grad_() for name in names}
        self.adam = torch.optim.Adam(self.trained.values(), lr=task.recipe.learning_rate)
        self._take_step = resolve(task.recipe.spec.plain_step)
        self.phase: bool | None = None  # which data the step learns from, see `Task.phase`
        self._inputs_of = -1
        self._inputs = (torch.empty(0), torch.empty(0))

    def epoch(self, index: int) -> Measures:
        """Take every batch once."""
        seen = []
        for place, batch in enumerate(self.task.batches(index)):
            self.phase = self.task.phase(index, place)
            seen.append(self._take_step(self, index, batch))
        return Measures.of_epoch(seen)

    def goodness(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the stage's goodness on its inputs, and each presentation's strongest unit.

        Goodness is (presentations,), or (layers, presentations) if each layer has its own loss.
        """
        recipe = self.task.recipe
        if self.layer:
            weight, bias = (
                self.trained[f"layer{self.layer}.{name}"] for name in ("weight", "bias")
            )
            z = torch.nn.functional.linear(x, weight, bias)
            h = activate(z, recipe)
            return norm(h, recipe.goodness), h.detach().argmax(1)
        layers = self._layers(x)
        goodness = torch.stack([norm(h, recipe.goodness) for h in layers])
        if recipe.objective == "max":
            goodness = goodness.max(0).values
        elif recipe.objective in ("sum", "mean"):
            goodness = goodness.sum(0) if recipe.objective == "sum" else goodness.mean(0)
        return goodness, layers[-1].detach().argmax(1)

    def _layers(self, x: Tensor) -> list[Tensor]:
        """Return the activations of all layers, from which gradients go where they should."""
        recipe, layers = self.task.recipe, [x]
        if recipe.objective != "local":
            return hidden(self.weights, recipe, x)
        for below in range(len(recipe.widths)):
            layers += hidden(self.weights, recipe, layers[-1].detach(), below + 1, below)
        return layers[1:]

    def descend(self, loss: Tensor) -> None:
        """Move the stage's weights by one step of Adam on the loss."""
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()

    def positive_and_negative(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Return the stage's inputs; they are the same every epoch unless negatives are drawn."""
        if self._inputs_of == -1 or self.task.recipe.negatives == "each-epoch":
            task = self.task
            positive, negative = (
                stage_input(task, self.weights, self.layer, *shown)
                for shown in ((task.labels, None), task.negatives(epoch))
            )
            self._inputs, self._inputs_of = (positive, negative), epoch
        return self._inputs

    def state(self) -> dict[str, Tensor]:
        """Return Adam's state by name; `restore` loads it to continue from there."""
        memory = {}
        for name, parameter in self.trained.items():
            for key, value in self.adam.state[parameter].items():
                memory[f"{name}.{key}"] = value
        return memory

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Load what `state` returned."""
        for name, parameter in self.trained.items():
            keys = ("step", "exp_avg", "exp_avg_sq")
            self.adam.state[parameter] = {key: memory[f"{name}.{key}"] for key in keys}

    def close(self) -> None:
        """Stop tracking gradients."""
        for parameter in self.trained.values():
            parameter.requires_grad_(False)


def goodness_step(stage: PlainStage, epoch: int, batch: Tensor | slice) -> Measures:
    """Take one step on the goodness of positive and of negative data (FF, BP/FF)."""
    theta = stage.task.recipe.theta
    assert theta is not None
    sides = [stage.goodness(x[batch]) for x in stage.positive_and_negative(epoch)]
    (positive, winners), (negative, others) = sides
    loss = goodness_loss(positive, negative, theta, stage.phase)
    learnt_from = positive.shape[-1] * (2 if stage.phase is None else 1)
    stage.descend(loss * learnt_from if stage.task.recipe.loss == "sum" else loss)
    n_winners = len(torch.cat([winners, others]).unique())
    return Measures(
        float(loss.detach()),
        float(positive.detach().mean(-1).sum()),
        float(negative.detach().mean(-1).sum()),
        n_winners,
    )


def classification_step(stage: PlainStage, epoch: int, batch: Tensor | slice) -> Measures:
    """Take one step on the cross-entropy of the readout, and the l1 norm of activations (BP)."""
    task = stage.task
    layers = hidden(stage.weights, task.recipe, task.x[batch])
    loss = cross_entropy(readout(stage.weights, layers[-1]), task.labels[batch])
    if task.recipe.l1_penalty:
        loss = loss + task.recipe.l1_penalty * sum(h.abs().sum() for h in layers)
    stage.descend(loss)
    return Measures(float(loss.detach()))


def stage_input(
    task: Task, weights: dict[str, Tensor], layer: int, labels: Tensor, image: Tensor | None = None
) -> Tensor:
    """Return what a stage reads of every image, or of those in `image`, carrying `labels`.

    For layer l of FF that is the normalised activations of layer l - 1, whose training is over;
    for the first layer and for the whole net it is the image.
    """
    with torch.no_grad():
        x, label_value = task.x, task.label_value
        if image is not None:
            x, label_value = x[image], label_value[image]
        x = embed(x, labels, label_value, task.positions)
        if layer > 1:
            x = hidden(weights, task.recipe, x, layer - 1)[-1]
        return layer_input(x, task.recipe, layer) if layer else x
