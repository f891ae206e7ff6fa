"""BP/FF with l-inf goodness by hand: end to end, but no more products than the mathematics needs.

Exact, since it is the chain rule written out: (a) an image's positive and negative copy share the
first layer's product, forwards and, summed before it, backwards; (b) the top layer's goodness
depends on one unit per presentation, so that its backward pass gathers and scatters rows; (c) of
``n = h / max(h)`` the derivative is ``dh = dn / m - [winner] (dn . n) / m``. What remains dense
are the two products forwards of layers 2 and 3 and the two backwards of each inner layer. Work goes
in blocks that stay in cache; no autograd graph and no (images, units) array is ever kept.
"""

import torch
from torch import Tensor

from ffensembles.engine.adam import Adam
from ffensembles.engine.slopes import activation_slope, loss_slope, loss_sum
from ffensembles.models.network import activate
from ffensembles.models.reference import Measures, Task

_SMALLEST = 1e-8  # as in `models.network`: a smaller norm does not divide


class EndToEndStage:
    """The whole of BP/FF in training; the fast twin of `models.reference.ReferenceStage`."""

    layer = 0

    def __init__(self, task: Task, weights: dict[str, Tensor], block_size: int = 2048) -> None:
        self.task, self.block_size, self.trained = task, block_size, weights
        self.adam = Adam(weights, task.recipe.learning_rate)
        self.depth = len(task.recipe.widths)

    @staticmethod
    def serves(task: Task) -> bool:
        """Whether this stage trains exactly what the recipe asks for."""
        recipe = task.recipe
        norms = {recipe.goodness, recipe.normalisation}
        return recipe.model == "BPFF" and norms == {"linf"} and len(recipe.widths) > 1

    def epoch(self, index: int) -> Measures:
        """Take every batch once."""
        wrong = self.task.negatives(index)
        seen = [self._step(batch, wrong) for batch in self.task.batches(index)]
        return Measures.of_epoch(seen)

    def _step(self, batch: Tensor | slice, wrong: Tensor) -> Measures:
        task = self.task
        x, on = task.x[batch], task.on[batch]
        labels = {True: task.labels[batch], False: wrong[batch]}
        gradients = {name: torch.zeros_like(p) for name, p in self.trained.items()}
        lit = torch.zeros(task.n_labels, task.recipe.widths[0], dtype=x.dtype, device=x.device)
        loss, n = 0.0, 2 * len(x)
        means = {True: 0.0, False: 0.0}
        won = torch.zeros(task.recipe.widths[-1], dtype=torch.bool, device=x.device)
        for start in range(0, len(x), self.block_size):
            rows = slice(start, start + self.block_size)
            below, light = self._image(x[rows], on[rows])
            shared = torch.addmm(
                self.trained["layer1.bias"], below, self.trained["layer1.weight"].t()
            )
            first = torch.zeros_like(shared)
            for positive in (True, False):
                own = labels[positive][rows]
                dz, goodness, winner = self._through(shared, light, own, positive, n, gradients)
                first += dz
                lit.index_add_(0, own, dz * light[:, None])
                loss += float(loss_sum(goodness, positive, self._theta)) / n
                means[positive] += float(goodness.sum()) / len(x)
                won[winner] = True
            gradients["layer1.weight"].addmm_(first.t(), below)
            gradients["layer1.bias"] += first.sum(0)
        for channel in task.positions:
            gradients["layer1.weight"][:, channel] += lit.t()
        self.adam.step(gradients)
        return Measures(loss, means[True], means[False], int(won.sum()))

    @property
    def _theta(self) -> float:
        assert self.task.recipe.theta is not None
        return self.task.recipe.theta

    def _image(self, x: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
        """Return images and the value of a lit label pixel as the first layer reads them."""
        if not self.task.recipe.normalise_input:
            return x, on
        scale = torch.maximum(x.abs().amax(1), on.abs()).clamp_min(_SMALLEST)
        return x / scale[:, None], on / scale

    def _through(
        self,
        shared: Tensor,
        light: Tensor,
        labels: Tensor,
        positive: bool,
        n: int,
        gradients: dict[str, Tensor],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Go up and down the net for one block carrying `labels`.

        Adds to the gradients of all layers but the first. Returns dLoss/dz of the first layer
        (presentations, units), the summed goodness and the top layer's winners.
        """
        recipe, trained, top = self.task.recipe, self.trained, self.depth
        column = trained["layer1.weight"][:, self.task.positions].sum(1).t()
        lamp = shared.new_zeros(len(shared), len(column))
        lamp.scatter_(1, labels[:, None], light[:, None])
        h = [activate(torch.addmm(shared, lamp, column), recipe)]
        peak, winner = [], []
        read: list[Tensor] = []
        for layer in range(1, top + 1):
            largest = h[-1].max(1)
            peak.append(largest.values)
            winner.append(largest.indices)
            if layer < top:
                read.append(h[-1] / largest.values.clamp_min(_SMALLEST)[:, None])
                weight, bias = (trained[f"layer{layer + 1}.{k}"] for k in ("weight", "bias"))
                h.append(activate(torch.addmm(bias, read[-1], weight.t()), recipe))
        goodness = torch.stack(peak).sum(0)
        pull = loss_slope(goodness, positive, self._theta) / n

        # the top layer: one unit per presentation
        weight = trained[f"layer{top}.weight"]
        dz_top = pull * activation_slope(peak[-1], recipe)
        gradients[f"layer{top}.weight"].index_add_(0, winner[-1], read[-1] * dz_top[:, None])
        gradients[f"layer{top}.bias"].index_add_(0, winner[-1], dz_top)
        dn = weight.index_select(0, winner[-1]).mul_(dz_top[:, None])
        for layer in range(top - 1, 0, -1):
            dz = self._below(dn, h[layer - 1], read[layer - 1], peak[layer - 1],
                             winner[layer - 1], pull)  # fmt: skip
            if layer == 1:
                return dz, goodness, winner[-1]
            gradients[f"layer{layer}.weight"].addmm_(dz.t(), read[layer - 2])
            gradients[f"layer{layer}.bias"] += dz.sum(0)
            dn = torch.mm(dz, trained[f"layer{layer}.weight"])
        raise AssertionError("a net of one layer is not served")

    def _below(
        self, dn: Tensor, h: Tensor, n: Tensor, peak: Tensor, winner: Tensor, pull: Tensor
    ) -> Tensor:
        """Return dLoss/dz of a layer from dLoss/dn of its normalised activations, in `dn`."""
        peak_or_one = peak.clamp_min(_SMALLEST)
        through_norm = (dn * n).sum(1) * (peak > _SMALLEST) / peak_or_one
        dh = dn.div_(peak_or_one[:, None])
        dh.scatter_add_(1, winner[:, None], (pull - through_norm)[:, None])
        return dh.mul_(activation_slope(h, self.task.recipe))

    def state(self) -> dict[str, Tensor]:
        """Return Adam's memory."""
        return self.adam.state()

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Take up the memory that `state` returned."""
        self.adam.restore(memory)

    def close(self) -> None:
        """Nothing to let go of."""
