"""Every model by hand, for a block of runs at once: what GPUs train with, and CPUs where it pays.

Exact, since it is the chain rule written out; nothing is left away but what is zero.

(a) An image's positive and negative copies differ in label pixels only. They share the first
layer's product forwards and, their gradients summed before it, backwards. Pooled negatives, none
or several of an image, do so on the full batch; in a smaller one they show other images than the
positive presentations, and both sides are computed as they are.
(b) With l-inf goodness only the strongest unit of a presentation has a gradient: the backward pass
of a trained layer adds up rows instead of taking a product.
(c) Of ``n = h / |h|`` the derivative is ``dh = dn / |h| - (dn . n) / |h| * d|h|/dh``.
(d) Runs that differ in their seed alone read the same images, in one product with all their
weights; above the first layer one batched product serves all runs.

Work goes in blocks of presentations; no autograd graph and no (images, units) array is kept. Sums
are taken in an order that does not depend on timing, so that a seed fixes every bit, on a GPU too.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ffensembles.engine import matmul
from ffensembles.engine.adam import Adam
from ffensembles.engine.inputs import activations_below, blocks, images
from ffensembles.engine.scatter import add_rows
from ffensembles.engine.slopes import activation_slope, loss_slope, loss_terms
from ffensembles.models.network import SMALLEST, activate, norm
from ffensembles.models.plain import Measures, Task
from ffensembles.models.recipe import Norm
from ffensembles.models.spec import resolve

log = logging.getLogger(__name__)

_EAGER_STEPS = 3  # before a GPU's step is captured: libraries set themselves up in the first ones


@dataclass
class Pooled:
    """One block's images' pooled negatives, for runs that differ in how many there are.

    Attributes
    ----------
    image
        Which of the block's images each shows, ascending, (runs, presentations).
    labels
        The wrong labels that they carry, (runs, presentations).
    real
        Which of them there are, (runs, presentations): runs with fewer are filled up. None if all.
    edges
        An image i's are those from edges[i] to edges[i + 1], (runs, images + 1).
    """

    image: Tensor
    labels: Tensor
    real: Tensor | None
    edges: Tensor

    @classmethod
    def of(cls, image: Tensor, labels: Tensor, block: slice) -> "Pooled":
        """Pick a block's from all negatives, (runs, presentations), in the order of images."""
        edges = torch.arange(block.start, block.stop + 1, device=image.device)
        edges = torch.searchsorted(image, edges.expand(len(image), -1).contiguous())
        first, count = edges[:, :1], edges[:, -1:] - edges[:, :1]
        place = torch.arange(max(int(count.max()), 1), device=image.device)
        real = place < count
        picked = torch.where(real, first + place, 0)
        own = torch.where(real, image.gather(1, picked) - block.start, 0)
        filled = None if bool(real.all()) else real
        return cls(own, labels.gather(1, picked), filled, edges - first)


class BatchedStage:
    """A layer of FF, or the whole of another net, in training for some runs at once.

    Parameters
    ----------
    tasks
        The runs: one recipe, one set of images, different seeds.
    weights
        All of the nets' weights, stacked: (runs, units, inputs) and (runs, units). Those of the
        stage are changed in place.
    layer
        The hidden layer to train, from 1 (FF); 0 for the whole net (BP/FF, BP).
    block_size
        Presentations per block.
    """

    def __init__(
        self, tasks: Sequence[Task], weights: dict[str, Tensor], layer: int, block_size: int = 2048
    ) -> None:
        self.tasks, self.layer, self.weights, self.block_size = tasks, layer, weights, block_size
        self.task, self.recipe, self.runs = tasks[0], tasks[0].recipe, len(tasks)
        self.trained = {
            name: w for name, w in weights.items() if not layer or name.startswith(f"layer{layer}.")
        }
        self._add_block = resolve(self.recipe.spec.batched_step)
        self.adam = Adam(self.trained, self.recipe.learning_rate)
        self.gradients = {name: torch.zeros_like(w) for name, w in self.trained.items()}
        self.wrong = torch.empty(0, dtype=torch.int64, device=self.task.x.device)
        self.image: Tensor | None = None  # that pooled negatives show, (runs, presentations)
        self.pooled: list[Pooled] = []  # on the full batch, of every block
        self.sides: tuple[Tensor, Tensor] | None = None
        if layer <= 1:
            self.x, self.on = images(self.task, block_size)
        units = self.recipe.widths[layer - 1] if layer else self.recipe.widths[-1]
        self.won = torch.zeros((self.runs, units + 1), dtype=torch.bool, device=self.task.x.device)
        self.seen = torch.zeros((3, self.runs), dtype=self.task.x.dtype, device=self.task.x.device)
        self._captured: dict[int, Captured] = {}
        self._eager: dict[int, int] = {}

    def epoch(self, index: int) -> list[Measures]:
        """Take every batch once; what was seen, for each run."""
        self._draw_negatives(index)
        orders = [task.batches(index) for task in self.tasks]
        batches: list[list[Measures]] = []
        for batch in zip(*orders, strict=True):
            whole = isinstance(batch[0], slice)
            rows = None if whole else torch.stack([b for b in batch if isinstance(b, Tensor)])
            self._step(rows)
            batches.append(self._measures())
        return [Measures.of_epoch(of_run) for of_run in zip(*batches, strict=True)]

    def _draw_negatives(self, index: int) -> None:
        """Set the wrong labels (runs, presentations) and, above the first layer, what is read."""
        fresh = self.recipe.negatives == "each-epoch"
        if not self.recipe.spec.reads_labels or (len(self.wrong) and not fresh):
            return
        drawn = [task.negatives(index) for task in self.tasks]
        wrong = torch.stack([labels for labels, _ in drawn])
        if self.recipe.negatives == "pooled":
            self.image = torch.stack([image for _, image in drawn if image is not None])
        if len(self.wrong):
            self.wrong.copy_(wrong)
        else:
            self.wrong = wrong
        if self.layer <= 1:
            if self.image is not None and self.task.whole:
                cut = blocks(len(self.task.x), self.block_size)
                self.pooled = [Pooled.of(self.image, wrong, block) for block in cut]
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

    def _step(self, rows: Tensor | None) -> None:
        """Take one step on all presentations, or on each run's own `rows` (runs, batch)."""
        if not self.task.x.is_cuda:
            self._compute(rows)
            return
        size = -1 if rows is None else rows.shape[1]
        if size in self._captured:
            self._captured[size].replay(rows)
            return
        eager = self._eager.get(size, 0)
        self._eager[size] = eager + 1
        if eager == _EAGER_STEPS:
            captured = Captured.of(self._compute, rows)
            if captured is not None:
                self._captured[size] = captured
                captured.replay(rows)
                return
        self._compute(rows)

    def _compute(self, rows: Tensor | None) -> None:
        """Compute all gradients and move the weights."""
        for gradient in self.gradients.values():
            gradient.zero_()
        self.won.zero_()
        self.seen.zero_()
        if rows is None:
            n = len(self.task.x)
            for block in blocks(n, self.block_size):
                self._add_block(self, block, n)
        else:
            for part in rows.split(self.block_size, dim=1):
                self._add_block(self, part, rows.shape[1])
        self.adam.step(self.gradients)

    def add_layer(self, rows: slice | Tensor, n: int) -> None:
        """Add a block's part to the gradients of one layer of FF."""
        weight, bias = self._weights(self.layer)
        if self.layer > 1 or self._unpaired(rows):
            for positive in (True, False):
                x = self._side(positive, rows)
                z = linear(x, weight, bias)
                self._add(self.layer, x, *self._goodness_gradient(z, positive, n))
            return
        x, on = take(self.x, rows), take(self.on, rows)
        shared = linear(x, weight, bias)
        parts = []
        for positive in (True, False):
            pooled = None if positive else self._pooled(rows)
            z, lamps = self._light(shared, on, positive, rows, pooled)
            dz, winner = self._goodness_gradient(z, positive, n, pooled)
            parts.append((dz, winner))
            self._add_lamps(lamps, dz, winner)
        if self.recipe.goodness == "linf":
            for (dz, winner), shown in zip(parts, (None, pooled), strict=True):
                self._add(1, x if shown is None else x[shown.image], dz, winner)
        else:
            self._add(1, x, join(parts[0][0], parts[1][0], pooled), None)

    def _goodness_gradient(
        self, z: Tensor, positive: bool, n: int, pooled: Pooled | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return dLoss/dz of a layer of FF: (runs, presentations, units), or of the winners alone.

        With l-inf goodness the gradient is (runs, presentations), with the units that it belongs
        to, since all others' is zero.
        """
        if self.recipe.goodness == "linf" and self.recipe.activation == "sigmoid":
            largest = z.max(-1)  # the sigmoid rises: the largest activation is there too
            g, winner = activate(largest.values, self.recipe), largest.indices
            pull = self._pull(g, positive, n, pooled)
            self._mark(winner, pooled)
            return pull * activation_slope(g, self.recipe), winner
        h = activate(z, self.recipe)
        peak = h.max(-1)
        self._mark(peak.indices, pooled)
        if self.recipe.goodness == "linf":
            pull = self._pull(peak.values, positive, n, pooled)
            return pull * activation_slope(peak.values, self.recipe), peak.indices
        g = norm(h, self.recipe.goodness)
        pull, dh = self._pull(g, positive, n, pooled), torch.zeros_like(h)
        add_norm_slope(dh, h, g, peak.indices, self.recipe.goodness, pull)
        if self.recipe.activation == "relu":  # the norm's slope is 0 where the unit's is
            return dh, None
        return dh.mul_(activation_slope(h, self.recipe)), None

    def _pull(self, goodness: Tensor, positive: bool, n: int, pooled: Pooled | None) -> Tensor:
        """Return dLoss/dgoodness of every presentation, and count what was seen."""
        theta = self.recipe.theta
        assert theta is not None
        terms, slope = (f(goodness, positive, theta) for f in (loss_terms, loss_slope))
        if pooled is not None and pooled.real is not None:
            terms, slope, goodness = (value * pooled.real for value in (terms, slope, goodness))
        self.seen[0] += terms.sum(1) / (2 * n)
        self.seen[1 if positive else 2] += goodness.sum(1) / n
        return slope / (2 * n)

    def add_net(self, rows: slice | Tensor, n: int) -> None:
        """Add a block's part to the gradients of BP/FF."""
        if self._unpaired(rows):
            for positive in (True, False):
                x = self._side(positive, rows)
                dz = self._through(linear(x, *self._weights(1)), positive, n)
                self._add(1, x, dz, None)
            return
        x, on = take(self.x, rows), take(self.on, rows)
        shared = linear(x, *self._weights(1))
        first = None
        for positive in (True, False):
            pooled = None if positive else self._pooled(rows)
            z, lamps = self._light(shared, on, positive, rows, pooled)
            dz = self._through(z, positive, n, pooled)
            self._add_lamps(lamps, dz, None)
            first = dz if first is None else join(first, dz, pooled)
        assert first is not None
        self._add(1, x, first, None)

    def _through(self, z: Tensor, positive: bool, n: int, pooled: Pooled | None = None) -> Tensor:
        """Go up and down BP/FF from the first layer's pre-activation; return dLoss/dz of it.

        Adds to the gradients of all layers but the first.
        """
        recipe, top = self.recipe, len(self.recipe.widths)
        h, read = [activate(z, recipe)], [z]
        goodness, sizes, winners = [], [], []
        for layer in range(1, top + 1):
            peak = h[-1].max(-1)
            goodness.append(size(h[-1], peak.values, recipe.goodness))
            sizes.append(size(h[-1], peak.values, recipe.normalisation))
            winners.append(peak.indices)
            if layer < top:
                read.append(h[-1] / sizes[-1].clamp_min(SMALLEST)[..., None])
                h.append(activate(linear(read[-1], *self._weights(layer + 1)), recipe))
        self._mark(winners[-1], pooled)
        pull = self._pull(torch.stack(goodness).sum(0), positive, n, pooled)

        dn = torch.empty(0)  # dLoss/dn, n being what the layer above reads
        for layer in range(top, 0, -1):
            own, below = h[layer - 1], read[layer - 1]
            g, m, winner = goodness[layer - 1], sizes[layer - 1], winners[layer - 1]
            if layer == top > 1 and recipe.goodness == "linf":  # one unit per presentation
                dz = pull * activation_slope(g, recipe)
                self._add(top, below, dz, winner)
                dn = rows_of(self._weights(top)[0], winner).mul_(dz[..., None])
                continue
            if layer == top:
                dh = torch.zeros_like(own)
            else:
                inward = (dn * read[layer]).sum(-1) / m.clamp_min(SMALLEST)
                inward *= m > SMALLEST  # a smaller norm does not divide
                dh = dn.div_(m.clamp_min(SMALLEST)[..., None])
                add_norm_slope(dh, own, m, winner, recipe.normalisation, -inward)
            add_norm_slope(dh, own, g, winner, recipe.goodness, pull)
            dz = dh.mul_(activation_slope(own, recipe))
            if layer > 1:
                self._add(layer, below, dz, None)
                dn = product(dz, self._weights(layer)[0])
        return dz

    def add_classifier(self, rows: slice | Tensor, n: int) -> None:
        """Add a block's part to the gradients of BP."""
        recipe, x = self.recipe, take(self.x, rows)
        names = [*range(1, len(recipe.widths) + 1), 0]
        h = [x]
        for layer in names[:-1]:
            h.append(activate(linear(h[-1], *self._weights(layer)), recipe))
        logits = linear(h[-1], *self._weights(0))
        chances = logits.log_softmax(-1)
        labels = self._labels(True, rows)[..., None]
        self.seen[0] -= chances.gather(-1, labels)[..., 0].sum(1) / n
        dz = chances.exp_()
        dz.scatter_(-1, labels, dz.gather(-1, labels) - 1).div_(n)
        for place in range(len(names) - 1, -1, -1):
            self._add(names[place], h[place], dz, None)
            if place:
                dh = product(dz, self._weights(names[place])[0])
                dz = dh.mul_(activation_slope(h[place], recipe))

    def _weights(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return a layer's weights and biases, stacked; 0 is BP's readout."""
        name = f"layer{layer}" if layer else "readout"
        return self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]

    def _labels(self, positive: bool, rows: slice | Tensor) -> Tensor:
        """Return the labels that a block's presentations carry, (runs, presentations)."""
        if not positive:
            return take_runs(self.wrong, rows)
        own = take(self.task.labels, rows)
        return own if own.dim() == 2 else own.expand(self.runs, -1)

    def _lamps(self, labels: Tensor, on: Tensor) -> Tensor:
        """Return the value of each label's pixel on each image, (runs, presentations, labels)."""
        lamps = on.new_zeros((*labels.shape, self.task.n_labels))
        return lamps.scatter_(-1, labels[..., None], on.expand(labels.shape)[..., None])

    def _light(
        self,
        shared: Tensor,
        on: Tensor,
        positive: bool,
        rows: slice | Tensor,
        pooled: Pooled | None,
    ) -> tuple[Tensor, Tensor]:
        """Return the first layer's pre-activation on images that carry labels, and their lamps.

        `shared` is that of images without labels, (runs, images, units); `on` a lit pixel's value.
        """
        if pooled is None:
            lamps = self._lamps(self._labels(positive, rows), on)
        else:
            shared = take_runs(shared, pooled.image)
            lamps = self._lamps(pooled.labels, on[pooled.image])
        weight = self._weights(1)[0]
        column = weight[:, :, self.task.positions].sum(2)  # (runs, units, labels)
        return add_product(shared, lamps, column.transpose(1, 2)), lamps

    def _unpaired(self, rows: slice | Tensor) -> bool:
        """Whether a batch's negatives show other images than its positive presentations do."""
        return self.image is not None and isinstance(rows, Tensor)

    def _pooled(self, rows: slice | Tensor) -> Pooled | None:
        """Return the negatives of a block of the full batch, if they are pooled."""
        if self.image is None or isinstance(rows, Tensor):
            return None
        return self.pooled[rows.start // self.block_size]

    def _side(self, positive: bool, rows: slice | Tensor) -> Tensor:
        """Return what presentations of one kind read, (runs, presentations, inputs).

        Of the first layer these are images with their labels, one by one.
        """
        if self.sides is not None:
            return take_runs(self.sides[0 if positive else 1], rows)
        assert self.image is not None
        shown = rows if positive else take_runs(self.image, rows)
        x, on, labels = take(self.x, shown), take(self.on, shown), self._labels(positive, rows)
        pixels = self.task.positions.t()[labels]  # (runs, presentations, channels)
        return x.scatter_(-1, pixels, on[..., None].expand(pixels.shape))

    def _add_lamps(self, lamps: Tensor, dz: Tensor, winner: Tensor | None) -> None:
        """Add the label pixels' part to the first layer's gradient."""
        gradient = self.gradients["layer1.weight"]
        if winner is None:
            lit = product(dz.transpose(1, 2), lamps)  # (runs, units, labels)
        else:
            lit = torch.zeros_like(gradient[:, :, : lamps.shape[-1]])
            add_rows(lit, winner, lamps, dz)
        for channel in self.task.positions:
            gradient[:, :, channel] += lit

    def _add(self, layer: int, x: Tensor, dz: Tensor, winner: Tensor | None) -> None:
        """Add a block's part to the gradient of a layer that reads `x`."""
        name = f"layer{layer}" if layer else "readout"
        weight, bias = self.gradients[f"{name}.weight"], self.gradients[f"{name}.bias"]
        if winner is not None:
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
        weight.view(-1, weight.shape[-1]).add_(matmul.product(flat.t(), shared))

    def _mark(self, winner: Tensor, pooled: Pooled | None) -> None:
        """Remember which units were the strongest of any presentation.

        Those of presentations that are there to fill up go to a unit that there is not.
        """
        if pooled is not None and pooled.real is not None:
            winner = torch.where(pooled.real, winner, self.won.shape[1] - 1)
        self.won.scatter_(1, winner, True)

    def _measures(self) -> list[Measures]:
        """Return what a step saw, for each run."""
        loss, positive, negative = self.seen.tolist()
        if not self.recipe.spec.reads_labels:
            return [Measures(value) for value in loss]
        winners = self.won[:, :-1].sum(1).tolist()
        return [Measures(*of_run) for of_run in zip(loss, positive, negative, winners, strict=True)]

    def state(self) -> dict[str, Tensor]:
        """Return Adam's memory; all else is drawn from the seeds again."""
        return self.adam.state()

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Take up the memory that `state` returned."""
        self.adam.restore(memory)

    def close(self) -> None:
        """Let go of the inputs and of what was captured."""
        self._captured.clear()
        self.sides = None


class Captured:
    """A step recorded as a CUDA graph, so that one call starts all its kernels."""

    def __init__(self, graph: "torch.cuda.CUDAGraph", rows: Tensor | None) -> None:
        self.graph, self.rows = graph, rows

    @classmethod
    def of(cls, compute: object, rows: Tensor | None) -> "Captured | None":
        """Record a step; None, and a line in the log, where that is not possible.

        Nothing is computed while recording.
        """
        assert callable(compute)
        held = None if rows is None else rows.clone()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                compute(held)
        except RuntimeError as error:
            first = str(error).splitlines()[0]
            log.warning("steps are not captured as a graph, only slower for it: %s", first)
            return None
        return cls(graph, held)

    def replay(self, rows: Tensor | None) -> None:
        """Do the step, on other rows if it takes any."""
        if self.rows is not None and rows is not None:
            self.rows.copy_(rows)
        self.graph.replay()


def take(shared: Tensor, rows: slice | Tensor) -> Tensor:
    """Return rows of what all runs share: (presentations, ...), or (runs, presentations, ...)."""
    if isinstance(rows, slice):
        return shared[rows]
    return shared.index_select(0, rows.flatten()).unflatten(0, rows.shape)


def take_runs(own: Tensor, rows: slice | Tensor) -> Tensor:
    """Return rows (runs, presentations, ...) of what each run has its own of."""
    if isinstance(rows, slice):
        return own[:, rows]
    if len(own) == 1:
        return take(own[0], rows)
    return torch.stack([of_run[picked] for of_run, picked in zip(own, rows, strict=True)])


def join(images: Tensor, negatives: Tensor, pooled: Pooled | None) -> Tensor:
    """Add negatives' gradients to those of the images they show, (runs, images, units), in place.

    An image's are summed in their order, on a GPU too, whose own `index_add_` has none.
    """
    if pooled is None:
        return images.add_(negatives)
    for run, of_run in enumerate(images):
        if images.is_cuda:
            sums = torch.segment_reduce(
                negatives[run], "sum", offsets=pooled.edges[run], unsafe=True
            )
            of_run.add_(sums)
        else:
            of_run.index_add_(0, pooled.image[run], negatives[run])
    return images


def rows_of(weight: Tensor, winner: Tensor) -> Tensor:
    """Return each presentation's winner's weights, (runs, presentations, inputs)."""
    return take_runs(weight, winner)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return a run's product with its own matrix, for all runs: a (runs, m, k), b (runs, k, n)."""
    return matmul.product(a[0], b[0])[None] if len(a) == 1 else torch.bmm(a, b)


def add_product(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return c + a b for all runs."""
    if len(a) == 1:
        return torch.addmm(c[0], a[0], b[0])[None]
    return torch.baddbmm(c, a, b)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x w + b for all runs, (runs, presentations, units), from own or shared `x`."""
    if x.dim() == 3 and len(x) > 1:
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))
    shared = x if x.dim() == 2 else x[0]
    flat = matmul.product(shared, weight.flatten(0, 1).t(), bias.flatten())
    return flat.unflatten(1, bias.shape).transpose(0, 1)


def size(h: Tensor, peak: Tensor, kind: Norm) -> Tensor:
    """Return the norm of activations, none of them negative, whose maximum is at hand."""
    return peak if kind == "linf" else norm(h, kind)


def add_norm_slope(
    dh: Tensor, h: Tensor, size: Tensor, winner: Tensor, kind: Norm, factor: Tensor
) -> None:
    """Add factor * d size / dh to `dh`; with l-inf that is one unit of each presentation."""
    if kind == "linf":
        place = winner[..., None]
        dh.scatter_(-1, place, dh.gather(-1, place) + factor[..., None])
    elif kind == "l2":
        tiny = torch.finfo(h.dtype).tiny  # without any activity the slope is taken as 0
        dh.addcmul_(h, (factor / size.clamp_min(tiny))[..., None])
    else:
        dh.addcmul_(h.sign(), factor[..., None])
