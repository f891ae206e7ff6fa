"""Layers of which only the largest unit counts: find the winners, and nothing else.

With l-inf goodness a presentation's goodness is its largest activation, and since the
non-linearity is monotone that is the activation of the unit with the largest pre-activation
``z_ij = x_i . w_j + b_j``. Only this *winner* has a gradient. `MaxLayer` therefore needs, for each
presentation, one number and one index, where the plain algorithm writes two arrays of
presentations x units and multiplies them again on the way back.

Why the result is exact. Winners are found in two stages. A *screen* computes approximate
pre-activations (a product in bfloat16 where the processor has instructions for it, otherwise in
float32) together with a bound on their error, and keeps every unit that could still be the
largest. The kept candidates, seldom more than two, are then computed one by one as dot products,
each in the same order of summation, and the largest of these is the winner; among equals the
lowest index, as `torch.max` does. The screen decides only where not to look, never a value. Units
that have not won for a while are *idle*: their largest pre-activation per presentation is
remembered from when they were last looked at, and a unit that has moved by dw and db since can
have gained at most ``|dw| |x| + |db|`` (Cauchy-Schwarz). While that stays below what the other
units reach, no product with them is needed; as accelerated k-means does (Hamerly 2010). Where
many units lie within the bounds of each other, as for negative data in deeper layers, little can
be screened out: such a *crowded* block takes the full product in its own precision and its
maximum, as the plain algorithm does. Whether a block is crowded follows from the numbers and from
what the layer remembers, which `state` hands out, so that a resumed run takes the same way to the
last bit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

Slope = Callable[[Tensor, bool], Tensor]
"""Maps winning pre-activations and whether they belong to positive data to dLoss/dz."""

_CROWD = 6.0  # candidates per presentation above which a block is crowded
_CROWDED = 0.3  # share of such blocks above which a side is not screened for `_REVIEW_EPOCHS`
_QUIET_EPOCHS = 60  # a unit that has won nothing for so long becomes idle: Adam's momentum is gone
_REVIEW_EPOCHS = 50  # epochs between two reviews of which units are idle
_EARLY_EPOCHS = 5  # the same, where idle units concern more than `_MISSES` of the presentations
_MISSES = 0.05


@dataclass
class Side:
    """Presentations that share their images: one product with the weights serves them all.

    Attributes
    ----------
    x
        Inputs of shape (presentations, inputs), without label pixels lit.
    positive
        For each variant of the presentations, whether it is positive data.
    labels
        For each variant the labels embedded, shape (presentations,), or None for none.
    on
        Value of a lit label pixel, shape (presentations,); None where nothing is embedded.
    n_labels
        How many labels there are.
    """

    x: Tensor
    positive: tuple[bool, ...]
    labels: tuple[Tensor | None, ...] = (None,)
    on: Tensor | None = None
    n_labels: int = 10

    def weigh(self, variant: int, rows: slice, weighing: Tensor) -> Tensor:
        """Put the lit label pixels of some rows beside what else weighs in their bounds."""
        labels = self.labels[variant]
        if labels is None or self.on is None:
            return weighing
        lamp = self.on.new_zeros(len(weighing), self.n_labels)
        lamp.scatter_(1, labels[rows, None], self.on[rows, None])
        return torch.cat([weighing, lamp], dim=1)


@dataclass
class Step:
    """What one pass over all presentations brings.

    Attributes
    ----------
    z
        Winning pre-activations, shape (presentations,), of the positive and the negative data.
    winner
        Index of the winning unit, shape (presentations,), likewise.
    weight, bias
        Gradient of the loss, shapes (units, inputs) and (units,).
    """

    z: dict[bool, Tensor]
    winner: dict[bool, Tensor]
    weight: Tensor
    bias: Tensor


@dataclass
class _Screen:
    """A side's inputs as the screen sees them: centred, in the screen's precision."""

    coarse: Tensor
    weighing: Tensor  # (presentations, 3): |x - mean - coarse|, |x - mean| and 1
    reach: list[Tensor] = field(default_factory=list)  # idle units' best, per variant


class MaxLayer:
    """All presentations of one layer, ready to be asked for winners at any weights.

    Parameters
    ----------
    sides
        The presentations. A first layer has one side with two variants (the same image with its
        own label and with a wrong one), a deeper layer one side for each kind of data.
    positions
        Indices of the label pixels, shape (channels, labels); None where nothing is embedded.
    block_size
        Presentations per block; a block's products should stay in the processor's cache.
    screen
        `bfloat16`, `float32`, or `auto`: bfloat16 where the processor has instructions for it.
    """

    def __init__(
        self,
        sides: list[Side],
        positions: Tensor | None = None,
        block_size: int = 2048,
        screen: str = "auto",
    ) -> None:
        self.sides = sides
        self.positions = positions
        self.block_size = block_size
        first = sides[0].x
        self.mean = first.mean(0)
        if first.dtype == torch.float64 or screen == "float32":
            self.precision = first.dtype
        elif screen == "bfloat16":
            self.precision = torch.bfloat16
        else:
            self.precision = torch.bfloat16 if _multiplies_bfloat16() else first.dtype
        self._screens = [self._prepare(side) for side in sides]
        self._idle: Tensor | None = None  # indices of idle units
        self._busy: Tensor | None = None
        self._idle_weight: Tensor | None = None  # idle units' parameters when last looked at
        self._idle_offset: Tensor | None = None
        self._quiet: Tensor | None = None  # epochs since each unit won
        self._since_review = 0
        self._unscreened = [0 for _ in sides]  # epochs for which a side is not screened
        self.misses = 0  # presentations of the last step that idle units concerned
        self.candidates = 0  # dot products of the last step

    @property
    def n_idle(self) -> int:
        """How many units are idle."""
        return 0 if self._idle is None else len(self._idle)

    def replace_labels(self, side: int, variant: int, labels: Tensor) -> None:
        """Embed other labels in one variant of a side; its images stay."""
        kept = list(self.sides[side].labels)
        kept[variant] = labels
        self.sides[side].labels = tuple(kept)
        self._forget_idle()

    def replace_inputs(self, side: int, x: Tensor) -> None:
        """Let one side read other inputs, of the same shape."""
        self.sides[side].x = x
        self._screens[side] = self._prepare(self.sides[side])
        self._forget_idle()

    def step(self, weight: Tensor, bias: Tensor, slope: Slope) -> Step:
        """Find every presentation's winner and sum the gradient over winners.

        Parameters
        ----------
        weight, bias
            The layer's parameters, shapes (units, inputs) and (units,).
        slope
            Called with a block's winning pre-activations and whether they are positive data;
            returns dLoss/dz, same shape.
        """
        units = len(bias)
        review = self._begin(weight, bias)
        lit = None if self.positions is None else weight[:, self.positions].sum(1)
        grad_weight, grad_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        grad_lit = None if lit is None else torch.zeros_like(lit.t().contiguous())
        z: dict[bool, list[Tensor]] = {True: [], False: []}
        winner: dict[bool, list[Tensor]] = {True: [], False: []}
        search = _Search(self, weight, bias, lit, review)
        for index, side in enumerate(self.sides):
            for start in range(0, len(side.x), self.block_size):
                rows = slice(start, min(start + self.block_size, len(side.x)))
                x = side.x[rows]
                found = search.block(index, rows)
                for variant, (best, unit) in enumerate(found):
                    positive = side.positive[variant]
                    pull = slope(best, positive)
                    z[positive].append(best)
                    winner[positive].append(unit)
                    grad_bias.index_add_(0, unit, pull)
                    grad_weight.index_add_(0, unit, x * pull[:, None])
                    labels = side.labels[variant]
                    if grad_lit is not None and labels is not None and side.on is not None:
                        cell = labels[rows] * units + unit
                        grad_lit.view(-1).index_add_(0, cell, pull * side.on[rows])
        if grad_lit is not None and self.positions is not None:
            for channel in self.positions:
                grad_weight[:, channel] += grad_lit.t()
        step = Step(
            {kind: torch.cat(parts) for kind, parts in z.items() if parts},
            {kind: torch.cat(parts) for kind, parts in winner.items() if parts},
            grad_weight,
            grad_bias,
        )
        self._end(search, step, units)
        return step

    # ---- what the screen needs to know -------------------------------------------------

    def _prepare(self, side: Side) -> _Screen:
        coarse = torch.empty_like(side.x, dtype=self.precision)
        weighing = torch.ones(len(side.x), 3, dtype=side.x.dtype)
        for start in range(0, len(side.x), self.block_size):
            rows = slice(start, start + self.block_size)
            centred = side.x[rows] - self.mean
            coarse[rows] = centred
            weighing[rows, 0] = (centred - coarse[rows]).norm(dim=1)
            weighing[rows, 1] = centred.norm(dim=1)
        return _Screen(coarse, weighing)

    def _begin(self, weight: Tensor, bias: Tensor) -> bool:
        """Choose the idle units if it is time to; say whether this step looks at all units."""
        if self._quiet is None:
            self._quiet = torch.zeros(len(bias), dtype=torch.int64)
        many = self.misses > _MISSES * self._presentations
        due = self._since_review >= (_EARLY_EPOCHS if many else _REVIEW_EPOCHS)
        self._since_review += 1
        if not due:
            return False
        self._since_review = 0
        quiet = self._quiet >= _QUIET_EPOCHS
        self._forget_idle()
        if quiet.any() and not quiet.all():
            self._idle, self._busy = quiet.nonzero()[:, 0], (~quiet).nonzero()[:, 0]
            self._idle_weight = weight[self._idle].clone()
            self._idle_offset = (bias + weight @ self.mean)[self._idle].clone()
        return True

    def _end(self, search: "_Search", step: Step, units: int) -> None:
        assert self._quiet is not None
        self._quiet += 1
        for unit in step.winner.values():
            self._quiet[unit] = 0
        self.misses, self.candidates = search.misses, search.candidates
        for index, crowded in enumerate(search.crowded):
            self._unscreened[index] -= self._unscreened[index] > 0
            blocks = len(range(0, len(self.sides[index].x), self.block_size))
            if crowded > _CROWDED * blocks * len(self.sides[index].positive):
                self._unscreened[index] = _REVIEW_EPOCHS

    def _forget_idle(self) -> None:
        self._idle = self._busy = self._idle_weight = self._idle_offset = None
        for screen in self._screens:
            screen.reach = []

    def state(self) -> dict[str, Tensor]:
        """Return what the search remembers from step to step; `restore` takes it up again."""
        memory = {
            "counts": torch.tensor([self._since_review, self.misses, *self._unscreened]),
            **_named("quiet", self._quiet),
            **_named("idle", self._idle),
            **_named("idle_weight", self._idle_weight),
            **_named("idle_offset", self._idle_offset),
        }
        for index, screen in enumerate(self._screens):
            for variant, reach in enumerate(screen.reach):
                memory[f"reach.{index}.{variant}"] = reach
        return memory

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Take up the memory that `state` returned."""
        self._since_review, self.misses, *self._unscreened = memory["counts"].tolist()
        self._quiet = memory.get("quiet")
        self._idle = memory.get("idle")
        self._idle_weight, self._idle_offset = memory.get("idle_weight"), memory.get("idle_offset")
        if self._idle is not None and self._quiet is not None:
            busy = torch.ones(len(self._quiet), dtype=torch.bool)
            busy[self._idle] = False
            self._busy = busy.nonzero()[:, 0]
        for index, screen in enumerate(self._screens):
            names = (f"reach.{index}.{variant}" for variant in range(2))
            screen.reach = [memory[name] for name in names if name in memory]

    @property
    def _presentations(self) -> int:
        return sum(len(side.x) * len(side.positive) for side in self.sides)


class _Search:
    """One step's search: the weights as the screen sees them, and the bounds that follow."""

    def __init__(
        self, layer: MaxLayer, weight: Tensor, bias: Tensor, lit: Tensor | None, review: bool
    ) -> None:
        self.layer, self.weight, self.bias, self.lit = layer, weight, bias, lit
        self.offset = bias + weight @ layer.mean
        self.misses = self.candidates = 0
        self.review = review
        idle, busy = layer._idle, layer._busy
        everything = torch.arange(len(bias))
        self.idle = None if idle is None else _Units(self, idle, layer.precision)
        self.crowded = [0 for _ in layer.sides]  # crowded blocks among those screened
        self.busy = _Units(self, everything if busy is None else busy, layer.precision)
        if idle is not None:
            assert layer._idle_weight is not None
            assert layer._idle_offset is not None
            moved = weight[idle] - layer._idle_weight
            self.moved = moved.norm(dim=1).max()
            self.moved_offset = (self.offset[idle] - layer._idle_offset).abs().max()
            if lit is not None and layer.positions is not None:
                self.moved_lit = moved[:, layer.positions].sum(1).abs().max()

    def block(self, index: int, rows: slice) -> list[tuple[Tensor, Tensor]]:
        """Return the winning pre-activation and unit of each row, for each variant."""
        side, screen = self.layer.sides[index], self.layer._screens[index]
        coarse, weighing = screen.coarse[rows], screen.weighing[rows]
        whole: Tensor | None = None
        screened = not self.layer._unscreened[index]
        found = []
        product = self.busy.product(coarse) if screened else coarse
        reviewed = self.idle.product(coarse) if self.idle and self.review else None
        for variant in range(len(side.positive)):
            weighed = side.weigh(variant, rows, weighing)
            if self.idle is not None and reviewed is not None:
                self._remember(index, variant, rows, self.idle.at_most(reviewed, weighed))
            if screened:
                floor = self.busy.at_least(product, weighed).amax(1)  # the winner reaches this
                row, unit = self.busy.may_reach(floor, product, weighed)
                if len(row) <= _CROWD * len(floor):
                    if self.idle is not None:
                        more_row, more_unit = self._idle_pairs(index, variant, rows, floor, weighed)
                        row, unit = torch.cat([row, more_row]), torch.cat([unit, more_unit])
                    found.append(self._settle(side, variant, rows, row, unit))
                    continue
                self.crowded[index] += 1
            if whole is None:
                whole = torch.addmm(self.bias, side.x[rows], self.weight.t())
            found.append(self._largest(whole, side, variant, rows))
        return found

    def _largest(
        self, whole: Tensor, side: Side, variant: int, rows: slice
    ) -> tuple[Tensor, Tensor]:
        """Return each row's largest pre-activation and its unit, from the full product."""
        labels = side.labels[variant]
        if labels is not None and side.on is not None and self.lit is not None:
            lamp = whole.new_zeros(len(whole), side.n_labels)
            lamp.scatter_(1, labels[rows, None], side.on[rows, None])
            whole = torch.addmm(whole, lamp, self.lit.t())
        self.candidates += len(whole)
        largest = whole.max(1)
        return largest.values, largest.indices

    def _remember(self, index: int, variant: int, rows: slice, most: Tensor) -> None:
        """Remember what idle units at most reach on some rows."""
        side, screen = self.layer.sides[index], self.layer._screens[index]
        if len(screen.reach) <= variant:
            screen.reach.append(torch.empty(len(side.x), dtype=most.dtype))
        screen.reach[variant][rows] = most.amax(1)

    def _idle_pairs(
        self,
        index: int,
        variant: int,
        rows: slice,
        floor: Tensor,
        weighed: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return the candidates among idle units, looking only where they could matter."""
        assert self.idle is not None
        side, screen = self.layer.sides[index], self.layer._screens[index]
        reach = screen.reach[variant][rows] + self.moved_offset
        reach += self.moved * screen.weighing[rows, 1]
        if side.on is not None:
            reach += self.moved_lit * side.on[rows].abs()
        concerned = (reach >= floor).nonzero()[:, 0]
        product = self.idle.product(screen.coarse[rows].index_select(0, concerned))
        self.misses += len(concerned)
        if not len(concerned):
            return concerned, concerned
        weighed = weighed[concerned]
        floor = torch.maximum(floor[concerned], self.idle.at_least(product, weighed).amax(1))
        row, unit = self.idle.may_reach(floor, product, weighed)
        return concerned[row], unit

    def _settle(
        self, side: Side, variant: int, rows: slice, row: Tensor, unit: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute the candidates exactly; return each row's largest and its unit."""
        self.candidates += len(row)
        x, labels = side.x[rows], side.labels[variant]
        z = torch.cat(
            [
                (x.index_select(0, some_rows) * self.weight.index_select(0, some_units)).sum(1)
                for some_rows, some_units in zip(
                    row.split(self.layer.block_size), unit.split(self.layer.block_size), strict=True
                )
            ]
        )
        z += self.bias[unit]
        if labels is not None and side.on is not None and self.lit is not None:
            z = z + side.on[rows][row] * self.lit[unit, labels[rows][row]]
        best = torch.full((len(x),), -torch.inf, dtype=z.dtype)
        best.scatter_reduce_(0, row, z, "amax")
        wins = z == best[row]
        winner = torch.full((len(x),), len(self.bias), dtype=torch.int64)
        winner.scatter_reduce_(0, row[wins], unit[wins], "amin")
        nobody = winner == len(self.bias)  # no number at all: let it be seen in the loss
        return best.masked_fill_(nobody, torch.nan), winner.masked_fill_(nobody, 0)


class _Units:
    """Some of a layer's units as the screen sees them, and what surely holds of them.

    With x the centred input and w the weights, x' and w' as rounded to the screen's precision and
    p the product x' . w' as it is stored, the true pre-activation differs from ``p + offset`` by
    at most ``|x - x'| (|w| + |w - w'|) + |x| |w - w'| + u |x'| |w'|``, where u is the rounding
    of p, and by what sums of d float products may lose: ``d eps |w|`` times the input's norm, here
    and where candidates are computed.
    Each term is something of a presentation times something of a unit, so that bounds of all pairs
    are one more thin product; a presentation's share is `_Screen.weighing`.
    """

    def __init__(self, search: _Search, index: Tensor, precision: torch.dtype) -> None:
        everything = len(index) == len(search.bias)
        weight = search.weight if everything else search.weight[index]
        self.index = index
        self.rough = weight.to(precision)
        self.strands = next(k for k in (8, 7, 6, 5, 4, 3, 2, 1) if len(index) % k == 0)
        exact = torch.finfo(weight.dtype).eps
        rounding = torch.finfo(precision).eps / 2
        norm = weight.norm(dim=1)
        residue = (weight - self.rough.to(weight.dtype)).norm(dim=1)
        large = norm + residue
        slack = 1.25 * weight.shape[1] * exact * norm  # two such sums, u = eps / 2 each, and more
        offset = search.offset[index]
        error = torch.stack(
            [
                large,
                residue + rounding * large + slack,
                slack * (1 + search.layer.mean.norm()) + 4 * exact * offset.abs(),
            ]
        )
        lit = [] if search.lit is None else [search.lit[index].t()]
        value = torch.zeros_like(error)
        value[2] = offset
        self._low = torch.cat([value - error, *lit])
        self._high = torch.cat([value + error, *lit])

    def product(self, coarse: Tensor) -> Tensor:
        """Return the screen's product of inputs and weights, shape (presentations, units)."""
        return torch.mm(coarse, self.rough.t()).to(self._low.dtype)

    def at_least(self, product: Tensor, weighed: Tensor) -> Tensor:
        """Return what each true pre-activation at least is."""
        return torch.addmm(product, weighed, self._low)

    def at_most(self, product: Tensor, weighed: Tensor) -> Tensor:
        """Return what each true pre-activation at most is."""
        return torch.addmm(product, weighed, self._high)

    def may_reach(self, floor: Tensor, product: Tensor, weighed: Tensor) -> tuple[Tensor, Tensor]:
        """Return (row, unit) of every unit whose true pre-activation may reach its row's floor.

        Rows are looked through by strands of units first, since few strands hold a candidate.
        """
        high = self.at_most(product, weighed)
        stranded = high.view(len(high), self.strands, -1)
        row, strand = (stranded.amax(1) >= floor[:, None]).nonzero(as_tuple=True)
        pair, which = (stranded[row, :, strand] >= floor[row, None]).nonzero(as_tuple=True)
        return row[pair], self.index[which * stranded.shape[2] + strand[pair]]


def _named(name: str, value: Tensor | None) -> dict[str, Tensor]:
    return {} if value is None else {name: value}


def _multiplies_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
