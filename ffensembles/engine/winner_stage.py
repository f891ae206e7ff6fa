"""Training of FF's layers with l-inf goodness on the full batch: only winners are computed.

The result is exact, see `winners`. The inputs of a layer do not change while it trains, so they
are embedded, normalised and centred once. In the first layer positive and negative presentations,
pooled ones too, differ in label pixels only and share their product with the weights.
"""

import torch
from torch import Tensor

from ffensembles.engine.adam import Adam
from ffensembles.engine.inputs import activations_below, images
from ffensembles.engine.slopes import activation_slope, loss_slope, loss_terms
from ffensembles.engine.winners import MaxLayer, Side
from ffensembles.models.network import activate
from ffensembles.models.plain import Measures, Task


class WinnerStage:
    """One layer of FF in training; gives the weights of `models.plain.PlainStage`, faster."""

    def __init__(
        self, task: Task, weights: dict[str, Tensor], layer: int, block_size: int = 2048
    ) -> None:
        self.task, self.layer, self.weights, self.block_size = task, layer, weights, block_size
        self.trained = {name: weights[f"layer{layer}.{name}"] for name in ("weight", "bias")}
        self.adam = Adam(self.trained, task.recipe.learning_rate)
        first = layer == 1
        negatives = task.negatives(0)
        if first:
            x, label_value = images(task, block_size)
            labels, rows = (task.labels, negatives.labels), (None, negatives.image)
            sides = [Side(x, (True, False), labels, label_value, task.n_labels, rows)]
        else:
            sides = [
                Side(self._below(*shown), (positive,))
                for shown, positive in (((task.labels, None), True), (negatives, False))
            ]
        self.search = MaxLayer(sides, task.positions if first else None, block_size)

    @staticmethod
    def serves(task: Task) -> bool:
        """Whether this stage trains exactly what the recipe asks for."""
        recipe = task.recipe
        on_cpu = task.x.device.type == "cpu"
        return recipe.spec.winner_search and recipe.goodness == "linf" and task.whole and on_cpu

    def epoch(self, index: int) -> Measures:
        """Take one step on all presentations."""
        if self.task.recipe.negatives == "each-epoch":
            wrong = self.task.negatives(index).labels
            if self.layer == 1:
                self.search.replace_labels(0, 1, wrong)
            else:
                self.search.replace_inputs(1, self._below(wrong, None))
        recipe, phase = self.task.recipe, self.task.phase(index, 0)
        n = 2 * len(self.task.x) if phase is None else len(self.task.x)
        divisor = n if recipe.loss == "mean" else 1
        theta = recipe.theta
        assert theta is not None

        def slope(z: Tensor, positive: bool) -> Tensor:
            if phase not in (None, positive):
                return torch.zeros_like(z)
            g = activate(z, recipe)
            return loss_slope(g, positive, theta) * activation_slope(g, recipe) / divisor

        step = self.search.step(self.trained["weight"], self.trained["bias"], slope)
        self.adam.step({"weight": step.weight, "bias": step.bias})
        goodness = {positive: activate(z, recipe) for positive, z in step.z.items()}
        terms = (
            float(loss_terms(g, positive, theta).sum())
            for positive, g in goodness.items()
            if phase in (None, positive)
        )
        loss = sum(terms) / n
        winners = len(torch.cat(list(step.winner.values())).unique())
        means = float(goodness[True].mean()), float(goodness[False].mean())
        return Measures(loss, *means, winners=winners)

    def _below(self, labels: Tensor, image: Tensor | None) -> Tensor:
        return activations_below(
            self.task, self.weights, self.layer, labels, self.block_size, image
        )

    def state(self) -> dict[str, Tensor]:
        """Return the state of Adam and of the search."""
        searched = {f"search.{name}": value for name, value in self.search.state().items()}
        return {**self.adam.state(), **searched}

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Load what `state` returned."""
        self.adam.restore(memory)
        prefix = "search."
        self.search.restore(
            {key.removeprefix(prefix): v for key, v in memory.items() if key.startswith(prefix)}
        )

    def close(self) -> None:
        """Do nothing: this stage holds nothing that must be freed."""
