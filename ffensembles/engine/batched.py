"""All models with gradients in closed form, for several runs at once: the engine for GPUs.

CPUs use it too, where `winner_stage` does not apply. The gradients are exact: they are the chain
rule written out, and only terms that are zero are left out.

(a) An image's positive and negative presentations differ in label pixels only. They share the
first layer's product forwards and, after their gradients are summed, backwards. Pooled negatives,
of which an image has none or several, do so on the full batch; in a smaller batch they show other
images than the positive presentations, and both sides are computed as they are.
(b) With l-inf goodness only the strongest unit of a presentation has a gradient: the backward pass
of a trained layer adds rows instead of taking a product.
(c) The derivative of ``n = h / |h|`` gives ``dh = dn / |h| - (dn . n) / |h| * d|h|/dh``.
(d) Runs that differ in their seed alone read the same images, in one product with the weights of
all runs; above the first layer one batched product serves all runs.

Presentations are computed in blocks; no autograd graph and no (images, units) array is kept. Sums
are taken in an order that does not depend on timing, so that a seed fixes every bit, on a GPU too.

The models' own gradients are in `steps`. This module has what they share.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ffensembles.engine import matmul
from ffensembles.engine.adam import Adam
from ffensembles.engine.algebra import add_product, linear, product, take, take_runs
from ffensembles.engine.capture import Steps
from ffensembles.engine.inputs import activations_below, blocks, images
from ffensembles.engine.pooled import Pooled
from ffensembles.engine.scatter import add_rows
from ffensembles.engine.slopes import loss_slope, loss_terms
from ffensembles.models.plain import Measures, Task
from ffensembles.models.spec import resolve

SMALLEST_BLOCK = 256
"""Where memory does not suffice, blocks are halved down to so many presentations."""


class BatchedStage:
    """A layer of FF, or the whole of another net, in training for several runs at once.

    Parameters
    ----------
    tasks
        The runs: one recipe, one set of images, different seeds.
    weights
        All weights of the nets, stacked: (runs, units, inputs) and (runs, units). Those of the
        stage are changed in place.
    layer
        The hidden layer to train, from 1 (FF); 0 for the whole net (BP/FF, BP).
    block_size
        Presentations per block.

    Attributes
    ----------
    gradients
        Of the stage's weights, by name; a step adds to them.
    seen
        Loss, positive and negative goodness of the batch, (3, runs).
    won
        Which units were the strongest of any presentation, (runs, units + 1); the last column
        takes the padding of pooled negatives.
    """

    fused_adam = False

    def __init__(
        self, tasks: Sequence[Task], weights: dict[str, Tensor], layer: int, block_size: int = 2048
    ) -> None:
        self.tasks, self.layer, self.weights, self.block_size = tasks, layer, weights, block_size
        self.task, self.recipe, self.runs = tasks[0], tasks[0].recipe, len(tasks)
        self.trained = {
            name: w for name, w in weights.items() if not layer or name.startswith(f"layer{layer}.")
        }
        self.adam = Adam(self.trained, self.recipe.learning_rate, self.fused_adam)
        self.gradients = {name: torch.zeros_like(w) for name, w in self.trained.items()}
        device = self.task.x.device
        self.wrong = torch.empty(0, dtype=torch.int64, device=device)
        self.image: Tensor | None = None  # that pooled negatives show, (runs, presentations)
        self.pooled: list[Pooled] = []  # of every block of the full batch
        self.sides: tuple[Tensor, Tensor] | None = None
        if layer <= 1:
            self.x, self.label_value = map(matmul.half, images(self.task, block_size))
        units = self.recipe.widths[layer - 1] if layer else self.recipe.widths[-1]
        # of positive and negative data in the loss of a step, where steps learn from one alone
        self.shares: Tensor | None = None
        if any(self.recipe.steps_of_phases):
            self.shares = torch.zeros(2, dtype=self.task.x.dtype, device=device)
        self.won = torch.zeros((self.runs, units + 1), dtype=torch.bool, device=device)
        self.seen = torch.zeros((3, self.runs), dtype=self.task.x.dtype, device=device)
        self._add_gradients = resolve(self.recipe.spec.batched_step)
        self.steps = Steps(
            self.compute, self.update, device, self._smaller_blocks, capture=device.type == "cuda"
        )

    def epoch(self, index: int) -> list[Measures]:
        """Take every batch once; return what was measured, for each run."""
        self._draw_negatives(index)
        orders = [task.batches(index) for task in self.tasks]
        batches: list[list[Measures]] = []
        for place, batch in enumerate(zip(*orders, strict=True)):
            if self.shares is not None:
                phase = float(bool(self.task.phase(index, place)))
                self.shares.copy_(torch.tensor([phase, 1 - phase]))  # a captured step reads it
            whole = isinstance(batch[0], slice)
            rows = None if whole else torch.stack([b for b in batch if isinstance(b, Tensor)])
            self.steps.take(rows)
            batches.append(self._measures())
        return [Measures.of_epoch(of_run) for of_run in zip(*batches, strict=True)]

    def _draw_negatives(self, index: int) -> None:
        """Set the wrong labels (runs, presentations) and, above the first layer, the inputs."""
        redraw = self.recipe.negatives == "each-epoch"
        if not self.recipe.spec.reads_labels or (len(self.wrong) and not redraw):
            return
        drawn = [task.negatives(index) for task in self.tasks]
        wrong = torch.stack([labels for labels, _ in drawn])
        if self.recipe.negatives == "pooled":
            self.image = torch.stack([image for _, image in drawn if image is not None])
        if len(self.wrong):
            self.wrong.copy_(wrong)  # in place: a captured step reads this array
        else:
            self.wrong = wrong
        if self.layer <= 1:
            self._cut_pooled()
            return
        for run, (task, negatives) in enumerate(zip(self.tasks, drawn, strict=True)):
            weights = {name: w[run] for name, w in self.weights.items()}
            if self.sides is None:
                shape = (self.runs, len(task.x), self.recipe.widths[self.layer - 2])
                self.sides = (task.x.new_empty(shape), task.x.new_empty(shape))
            shown = ((task.labels, None), negatives)
            for side, (labels, image) in zip(self.sides, shown, strict=True):
                side[run] = activations_below(
                    task, weights, self.layer, labels, self.block_size, image
                )

    def _cut_pooled(self) -> None:
        """Cut pooled negatives of the full batch into blocks."""
        if self.image is not None and self.task.whole:
            cut = blocks(len(self.task.x), self.block_size)
            self.pooled = [Pooled.of(self.image, self.wrong, block) for block in cut]

    def _smaller_blocks(self) -> int | None:
        """Halve the block size; return it, or None if blocks are the smallest already."""
        if self.block_size <= SMALLEST_BLOCK:
            return None
        self.block_size = max(min(self.block_size, len(self.task.x)) // 2, SMALLEST_BLOCK)
        if self.layer <= 1:
            self._cut_pooled()
        return self.block_size

    def compute(self, rows: Tensor | None) -> None:
        """Compute all gradients from each run's own `rows` (runs, batch), or from all images."""
        for gradient in self.gradients.values():
            gradient.zero_()
        self.won.zero_()
        self.seen.zero_()
        if rows is None:
            n = len(self.task.x)
            for block in blocks(n, self.block_size):
                self._add_gradients(self, block, n)
        else:
            for part in rows.split(self.block_size, dim=1):
                self._add_gradients(self, part, rows.shape[1])

    def update(self) -> None:
        """Move the weights by the gradients."""
        for g in self.gradients.values():
            g.copy_(matmul.scaled(g))
            assert g.isfinite().all()
        self.adam.step(self.gradients)

    def dloss_dgoodness(
        self, goodness: Tensor, positive: bool, n: int, pooled: Pooled | None
    ) -> Tensor:
        """Return dLoss/dgoodness of every presentation; add mean loss and goodness to `seen`."""
        theta = self.recipe.theta
        assert theta is not None
        terms, slope = (f(goodness, positive, theta) for f in (loss_terms, loss_slope))
        if pooled is not None and pooled.real is not None:
            terms, slope, goodness = (value * pooled.real for value in (terms, slope, goodness))
        self.seen[1 if positive else 2] += goodness.sum(1) / n
        most = 0.5 if self.shares is None else 1.0  # share in the loss of what a step learns from
        share = most if self.shares is None else self.shares[0 if positive else 1]
        self.seen[0] += share * terms.sum(1) / n
        return slope * share / (n if self.recipe.loss == "mean" else most)

    def parameters(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return a layer's weights and biases, stacked; 0 is the readout."""
        name = f"layer{layer}" if layer else "readout"
        return matmul.half(self.weights[f"{name}.weight"]), matmul.half(self.weights[f"{name}.bias"])

    def by_label(self, positive: bool, rows: slice | Tensor) -> slice | Tensor:
        """Return a block's rows in an order of the engine's own; here as they are."""
        return rows

    def linear(self, layer: int, x: Tensor) -> Tensor:
        """Return a layer's pre-activations (runs, presentations, units) on its inputs `x`."""
        z = linear(x, *self.parameters(layer))
        return matmul.half(z) if layer > 1 else z

    def backward(self, layer: int, dz: Tensor) -> Tensor:
        """Return dLoss/dx (runs, presentations, inputs) of a layer from its dLoss/dz."""
        return product(dz, self.parameters(layer)[0])

    def labels(self, positive: bool, rows: slice | Tensor) -> Tensor:
        """Return the labels that a block's presentations carry, (runs, presentations)."""
        if not positive:
            return take_runs(self.wrong, rows)
        own = take(self.task.labels, rows)
        return own if own.dim() == 2 else own.expand(self.runs, -1)

    def add_labels(
        self,
        shared: Tensor,
        label_value: Tensor,
        positive: bool,
        rows: slice | Tensor,
        pooled: Pooled | None,
    ) -> tuple[Tensor, Tensor]:
        """Add labels to the first layer's pre-activation on images that carry none.

        Parameters
        ----------
        shared
            The pre-activation without labels, (runs, images, units).
        label_value
            Value of a lit label pixel, (presentations,) or (runs, presentations).
        positive, rows, pooled
            Which presentations.

        Returns
        -------
        tuple of Tensor
            The pre-activation with labels (runs, presentations, units), and the label pixels
            (runs, presentations, labels).
        """
        if pooled is None:
            label_pixels = self._label_pixels(self.labels(positive, rows), label_value)
        else:
            shared = take_runs(shared, pooled.image)
            label_pixels = self._label_pixels(pooled.labels, label_value[pooled.image])
        weight = self.parameters(1)[0]
        column = weight[:, :, self.task.positions].sum(2)  # (runs, units, labels)
        return matmul.half(add_product(shared, label_pixels, column.transpose(1, 2))), label_pixels

    def _label_pixels(self, labels: Tensor, label_value: Tensor) -> Tensor:
        """Return the value of each label's pixel, (runs, presentations, labels)."""
        pixels = label_value.new_zeros((*labels.shape, self.task.n_labels))
        values = label_value.expand(labels.shape)[..., None]
        return pixels.scatter_(-1, labels[..., None], values)

    def unpaired(self, rows: slice | Tensor) -> bool:
        """Whether a batch's negatives show other images than its positive presentations do."""
        return self.image is not None and isinstance(rows, Tensor)

    def pooled_negatives(self, rows: slice | Tensor) -> Pooled | None:
        """Return the negatives of a block of the full batch, if they are pooled."""
        if self.image is None or isinstance(rows, Tensor):
            return None
        return self.pooled[rows.start // self.block_size]

    def side(self, positive: bool, rows: slice | Tensor) -> Tensor:
        """Return the inputs of positive or negative presentations, (runs, presentations, inputs).

        Those of the first layer are images with their labels, one by one.
        """
        if self.sides is not None:
            return take_runs(self.sides[0 if positive else 1], rows)
        assert self.image is not None
        shown = rows if positive else take_runs(self.image, rows)
        x, label_value = take(self.x, shown), take(self.label_value, shown)
        labels = self.labels(positive, rows)
        pixels = self.task.positions.t()[labels]  # (runs, presentations, channels)
        return x.scatter_(-1, pixels, label_value[..., None].expand(pixels.shape))

    def add_label_pixels(self, label_pixels: Tensor, dz: Tensor, winner: Tensor | None) -> None:
        """Add the label pixels' part to the first layer's gradient."""
        gradient = self.gradients["layer1.weight"]
        if winner is None:
            lit = product(dz.transpose(1, 2), label_pixels)  # (runs, units, labels)
        else:
            lit = torch.zeros_like(gradient[:, :, : label_pixels.shape[-1]])
            add_rows(lit, winner, label_pixels, matmul.scaled(dz))
        for channel in self.task.positions:
            gradient[:, :, channel] += lit

    def add(self, layer: int, x: Tensor, dz: Tensor, winner: Tensor | None) -> None:
        """Add a block's part to the gradient of a layer that reads `x`.

        Parameters
        ----------
        layer
            The layer, from 1; 0 is the readout.
        x
            Its inputs, (runs, presentations, inputs), or (presentations, inputs) where shared.
        dz
            dLoss/dz: of all units (runs, presentations, units); with `winner` of those alone
            (runs, presentations).
        winner
            The one unit of each presentation that has a gradient, or None.
        """
        name = f"layer{layer}" if layer else "readout"
        weight, bias = self.gradients[f"{name}.weight"], self.gradients[f"{name}.bias"]
        if winner is not None:
            dz = matmul.scaled(dz)
            add_rows(weight, winner, x, dz)
            one = dz.new_ones(1).expand(*dz.shape, 1)
            add_rows(bias[..., None], winner, one, dz)
            return
        bias += dz.sum(1)
        if x.dim() == 3 and len(x) > 1:
            weight.baddbmm_(dz.transpose(1, 2), x)
            return
        shared = x if x.dim() == 2 else x[0]
        flat = dz.transpose(0, 1).reshape(len(shared), -1)
        self.add_outer(weight.view(-1, weight.shape[-1]), flat, shared)

    def add_outer(self, total: Tensor, dz: Tensor, x: Tensor) -> None:
        """Add dz^T x to a gradient: dz (presentations, units), x (presentations, inputs)."""
        total.add_(matmul.product(dz.t(), x))

    def mark(self, winner: Tensor, pooled: Pooled | None) -> None:
        """Record which units were the strongest of any presentation; see `won`."""
        if pooled is not None and pooled.real is not None:
            winner = torch.where(pooled.real, winner, self.won.shape[1] - 1)
        self.won.scatter_(1, winner, True)

    def _measures(self) -> list[Measures]:
        """Return what a step measured, for each run."""
        loss, positive, negative = self.seen.tolist()
        if not self.recipe.spec.reads_labels:
            return [Measures(value) for value in loss]
        winners = self.won[:, :-1].sum(1).tolist()
        return [Measures(*of_run) for of_run in zip(loss, positive, negative, winners, strict=True)]

    def state(self) -> dict[str, Tensor]:
        """Return Adam's state; everything else is drawn from the seeds again."""
        return self.adam.state()

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Load what `state` returned."""
        self.adam.restore(memory)

    def close(self) -> None:
        """Free the inputs and the captured steps."""
        self.steps.release()
        self.sides = None
