"""Readings of nets while they train: what layers do on some test images, at some epochs.

An `Observer` says at which epochs and what is measured. It gets plain arrays, so that training
knows nothing of ensembles. Readings change nothing: they draw no random number that training
uses, and the weights end with the same bits.

What is read. While the whole net is trained (BP/FF, BP), every hidden layer. While layer l of FF
is trained, layer l alone: the layers below no longer change, and those above are not trained yet.
So the epochs of a layer are those of its own training, and epoch 0 is the layer as it was drawn,
on top of trained layers below it.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ffensembles.models.network import embed, hidden, norm, readout, vote
from ffensembles.models.plain import Task
from ffensembles.runtime.random import random_stream
from ffensembles.training.evaluation import TestImages

Arrays = Mapping[str, NDArray[Any]]

_PREFIX = "readings/"
_PENALTY = 0.01  # of the linear readout, as a share of the mean squared norm of an image
_SMALLEST = 1e-12  # penalty of a silent layer


class Observer(Protocol):
    """Reads nets while they train."""

    @property
    def identity(self) -> str:
        """What an earlier attempt's readings must agree with to be continued."""

    @property
    def images(self) -> int:
        """How many test images of each class are read."""

    def epochs(self, last: int) -> Collection[int]:
        """Return the epochs after which to read, from 0 to `last`."""

    def measure(
        self,
        activations: NDArray[np.float32],
        labels: NDArray[np.int64],
        n_labels: int,
        valid: Mapping[str, float],
    ) -> Arrays:
        """Measure one layer: activations (images, units), classes (images,). Always same shapes.

        `valid` says what values activations can have, see `Recipe.valid_activations`.
        """

    def write(
        self, path: Path, run: Mapping[str, Any], weights_sha256: str, readings: Arrays
    ) -> None:
        """Write what was measured on one run, by `key` of layer, epoch and name of the array.

        Beside the arrays of `measure` there are `layer_accuracy` and `network_accuracy`, shares of
        each class's images that are classified correctly, (classes,): by the layer alone, and by
        the net as far as it is trained.
        """


def key(layer: int, epoch: int, name: str) -> str:
    """Name an array of a reading.

    Examples
    --------
    >>> key(2, 30, "size")
    '2/30/size'
    """
    return f"{layer}/{epoch}/{name}"


class Readings:
    """The readings of a block of runs.

    Parameters
    ----------
    observer
        Says when to read and what to measure.
    tasks
        The runs.
    test_images
        Test images, of which the same ones are read at every epoch and in every run.

    Attributes
    ----------
    seconds
        How long readings took.
    """

    def __init__(self, observer: Observer, tasks: Sequence[Task], test_images: TestImages) -> None:
        self.observer, self.tasks, self.task = observer, tasks, tasks[0]
        self._due = set(observer.epochs(self.task.recipe.epochs))
        self.seconds = 0.0
        drawn = _of_each_class(test_images.labels, observer.images)
        self._x, self._label_value = test_images.x[drawn], test_images.label_value[drawn]
        self._labels = test_images.labels[drawn]
        self._fit = _of_each_class(self.task.labels, observer.images)
        self._below: list[tuple[list[Tensor], Tensor]] = []  # see _read_labelled, for each run
        self._below_layer = 1
        self._taken: dict[str, NDArray[Any]] = {}

    def due(self, epoch: int) -> bool:
        """Whether to read after an epoch of a stage."""
        return epoch in self._due

    def take(self, layer: int, epoch: int, nets: Sequence[Mapping[str, Tensor]]) -> None:
        """Read the layer of FF that is trained, or all layers (0), of every run."""
        began = time.monotonic()
        with torch.inference_mode():
            read = [self._read(net, run, layer) for run, net in enumerate(nets)]
        for number in read[0]:
            measured = [self._measured(*of_run[number]) for of_run in read]
            for name in measured[0]:
                place = key(number, epoch, name)
                self._taken[place] = np.stack([of_run[name] for of_run in measured])
        self.seconds += time.monotonic() - began

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything taken, for a checkpoint; the first axis is that of the runs."""
        return {f"{_PREFIX}{name}": array for name, array in self._taken.items()}

    def restore(self, arrays: Arrays) -> None:
        """Load what `state` returned, from all arrays of a checkpoint."""
        self._taken = {
            name.removeprefix(_PREFIX): array
            for name, array in arrays.items()
            if name.startswith(_PREFIX)
        }

    def of_run(self, run: int) -> dict[str, NDArray[Any]]:
        """Return the readings of one run."""
        return {name: array[run] for name, array in self._taken.items()}

    def _measured(self, own: Tensor, alone: Tensor, net: Tensor) -> dict[str, NDArray[Any]]:
        """Return what was measured on one layer, from its activations and two predictions."""
        labels, n_labels = self._labels.cpu().numpy(), self.task.n_labels
        right = {
            name: _shares((predicted == self._labels).cpu().numpy(), labels, n_labels)
            for name, predicted in (("layer_accuracy", alone), ("network_accuracy", net))
        }
        activations = own.float().cpu().numpy()
        valid = self.task.recipe.valid_activations
        return {**right, **self.observer.measure(activations, labels, n_labels, valid)}

    def _read(
        self, net: Mapping[str, Tensor], run: int, layer: int
    ) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
        """Return activations, the layer's prediction and the net's, of each layer that is read."""
        if self.task.recipe.spec.readout:
            return self._read_unlabelled(net)
        return self._read_labelled(net, run, layer)

    def _read_labelled(
        self, net: Mapping[str, Tensor], run: int, layer: int
    ) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
        """Read with every label embedded; kept are the activations with the images' own.

        What the layers below the trained one do does not change. It is computed once for each
        stage: activations with every label, and the goodness of each layer.
        """
        recipe, n_labels = self.task.recipe, self.task.n_labels
        first = layer or 1
        if first != self._below_layer:
            self._below, self._below_layer = [], first
        if run == len(self._below):
            self._below.append(self._labelled(net, first - 1))
        shown, goodness_below = self._below[run]
        layers = range(first, layer + 1 if layer else len(recipe.widths) + 1)
        goodness = [goodness_below]
        own = [self._x.new_empty(len(self._x), recipe.widths[k - 1]) for k in layers]
        for label in range(n_labels):
            seen, rows = [], self._labels == label
            above = hidden(net, recipe, shown[label], layers[-1], first - 1)
            for place, h in enumerate(above):
                seen.append(norm(h, recipe.goodness))
                own[place][rows] = h[rows]
            goodness.append(torch.stack(seen)[..., None])
        of_layers = torch.cat(goodness[1:], dim=2)  # (layers, images, labels)
        every = torch.cat([goodness_below, of_layers])
        predicted, alone = vote(every, recipe), every.argmax(2)
        return {k: (own[place], alone[k - 1], predicted) for place, k in enumerate(layers)}

    def _labelled(self, net: Mapping[str, Tensor], upto: int) -> tuple[list[Tensor], Tensor]:
        """Return the activations of a layer, or images (0), with every label; goodness up to it."""
        recipe, task = self.task.recipe, self.task
        shown, goodness = [], []
        for label in range(task.n_labels):
            carried = torch.full_like(self._labels, label)
            h = embed(self._x, carried, self._label_value, task.positions)
            layers = hidden(net, recipe, h, upto) if upto else []
            seen = [norm(above, recipe.goodness) for above in layers]
            shown.append(layers[-1] if layers else h)
            goodness.append(torch.stack(seen) if seen else h.new_empty(0, len(h)))
        return shown, torch.stack(goodness, dim=2)

    def _read_unlabelled(
        self, net: Mapping[str, Tensor]
    ) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
        """Read a net with a readout; a layer alone has a linear readout of its own."""
        recipe, labels = self.task.recipe, self.task.labels[self._fit]
        layers = hidden(net, recipe, self._x)
        fitted = hidden(net, recipe, self.task.x[self._fit])
        predicted = readout(net, layers[-1]).argmax(1)
        return {
            k: (h, _linear_readout(at, labels, h, self.task.n_labels), predicted)
            for k, (h, at) in enumerate(zip(layers, fitted, strict=True), 1)
        }


def _of_each_class(labels: Tensor, n: int) -> Tensor:
    """Draw n images of each class, always the same, or all where there are fewer; sorted."""
    own = labels.cpu().numpy()
    order = random_stream(0, "readings").permutation(len(own))
    drawn: Iterable[NDArray[np.int64]] = (
        order[own[order] == label][:n] for label in np.unique(own)
    )
    return torch.from_numpy(np.sort(np.concatenate(list(drawn)))).to(labels.device)


def _shares(
    right: NDArray[np.bool_], labels: NDArray[np.int64], n_labels: int
) -> NDArray[np.float64]:
    """Return the share of each class's images that are right; missing for a class without any."""
    count = np.bincount(labels, minlength=n_labels)
    with np.errstate(invalid="ignore"):
        return np.bincount(labels, weights=right, minlength=n_labels) / count


def _linear_readout(at: Tensor, labels: Tensor, x: Tensor, n_labels: int) -> Tensor:
    """Predict classes (images,) by ridge regression on indicators of the classes.

    Parameters
    ----------
    at, labels
        Activations of training images (images, units) and their classes.
    x
        Activations of the images to predict.
    n_labels
        How many classes there are.
    """
    mean = at.mean(0)
    at, x = at - mean, x - mean
    kernel = (at @ at.t()).double()
    penalty = max(_PENALTY * float(kernel.diagonal().mean()), _SMALLEST)
    kernel.diagonal().add_(penalty)
    indicators = torch.nn.functional.one_hot(labels, n_labels).double()
    shares = indicators.mean(0)
    dual = torch.linalg.solve(kernel, indicators - shares)
    return ((x @ at.t()).double() @ dual + shares).argmax(1)
