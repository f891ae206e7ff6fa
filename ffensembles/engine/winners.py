"""FF's layers with l-inf goodness: find the winning units, and compute nothing else.

With l-inf goodness the goodness of a presentation is its largest activation. The non-linearity is
monotone, so this is the activation of the unit with the largest pre-activation
``z_ij = x_i . w_j + b_j``. Only this *winner* has a gradient. `MaxLayer` therefore needs one number
and one index for each presentation, where the plain algorithm writes two arrays of presentations x
units and multiplies them again on the way back.

Why the result is exact. Trained weights differ from each other in few directions, and so do
inputs. A *screen* keeps those directions alone. It computes approximate pre-activations from the
inputs' coordinates in them, a product a twelfth as large as the full one, together with a bound on
what the other directions can add (Cauchy-Schwarz), and keeps every unit that could still be the
largest. The kept candidates, seldom more than one, are then computed one by one as dot products,
each in the same order of summation. The largest of these is the winner; among equal ones the
lowest index, as in `torch.max`. The screen only excludes units; it never supplies a value. Where
many units lie within each other's bounds, as for some negative data in deeper layers, few can be
excluded. Such *crowded* presentations take the full product and its maximum, as the plain
algorithm does. Exact it is up to the rounding of the activation: near 1 float32 sigmoids are equal
where pre-activations are not. The plain algorithm then takes the first of the equal units, this one
that with the largest pre-activation. A side most of whose presentations are crowded is not screened
for some epochs. All presentations of one image read the same inputs and differ in label pixels,
which screen, candidates and full product add one by one. Each presentation is searched by itself;
where one of an image's is crowded, all are treated as crowded.
Which presentations are crowded follows from the numbers and from the directions kept. `state`
returns these, so that a resumed run takes the same path to the last bit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ffensembles.engine.matmul import product
from ffensembles.engine.sides import Share, Side

Slope = Callable[[Tensor, bool], Tensor]
"""Maps winning pre-activations and whether they belong to positive data to dLoss/dz."""

_CROWD = 6  # strands with candidates above which a presentation is crowded
_CROWDED = 0.5  # share of such presentations above which screening a side does not pay
_USE_EPOCHS = 100  # for which a screen keeps its directions while they serve
_FRESH_EPOCHS = 10  # after which they count as fresh: if they fail then, new ones would too
_REST_EPOCHS = 50  # for which a side is then not screened
_SAMPLE = 8192  # presentations from which the inputs' directions are taken


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
    rank
        Directions that screens keep; 0 for no screens.
    """

    def __init__(
        self,
        sides: list[Side],
        positions: Tensor | None = None,
        block_size: int = 2048,
        rank: int = 64,
    ) -> None:
        self.sides = sides
        self.positions = positions
        self.block_size = block_size
        self._screens = [_Screen(side, rank, block_size) for side in sides]

    @property
    def screened(self) -> list[bool]:
        """Which sides were screened in the last step."""
        return [screen.axes is not None for screen in self._screens]

    @property
    def crowded(self) -> list[int]:
        """How many presentations of each side took the full product in the last step."""
        return [screen.crowded for screen in self._screens]

    def replace_labels(self, side: int, variant: int, labels: Tensor) -> None:
        """Embed other labels in one variant of a side; its images stay."""
        kept = list(self.sides[side].labels)
        kept[variant] = labels
        self.sides[side].labels = tuple(kept)

    def replace_inputs(self, side: int, x: Tensor) -> None:
        """Let one side read other inputs, of the same shape."""
        self.sides[side].x = x
        self._screens[side].replaced()

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
        lit = None if self.positions is None else weight[:, self.positions].sum(1)
        grad_weight, grad_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        grad_lit = None if lit is None else torch.zeros_like(lit.t().contiguous())
        z: dict[bool, list[Tensor]] = {True: [], False: []}
        winner: dict[bool, list[Tensor]] = {True: [], False: []}
        for side, screen in zip(self.sides, self._screens, strict=True):
            screen.begin(weight)
            search = _Search(side, screen, weight, bias, lit)
            for start in range(0, len(side.x), self.block_size):
                rows = slice(start, min(start + self.block_size, len(side.x)))
                shares = [side.share(variant, rows) for variant in range(len(side.positive))]
                found = zip(side.positive, shares, search.block(rows, shares), strict=True)
                for positive, share, (best, unit) in found:
                    dloss_dz = slope(best, positive)
                    z[positive].append(best)
                    winner[positive].append(unit)
                    grad_bias.index_add_(0, unit, dloss_dz)
                    grad_weight.index_add_(0, unit, share.of(side.x[rows]) * dloss_dz[:, None])
                    if (
                        grad_lit is not None
                        and share.labels is not None
                        and share.label_value is not None
                    ):
                        cell = share.labels * units + unit
                        grad_lit.view(-1).index_add_(0, cell, dloss_dz * share.label_value)
            screen.end(search.crowded)
        if grad_lit is not None and self.positions is not None:
            for channel in self.positions:
                grad_weight[:, channel] += grad_lit.t()
        return Step(
            {kind: torch.cat(parts) for kind, parts in z.items() if parts},
            {kind: torch.cat(parts) for kind, parts in winner.items() if parts},
            grad_weight,
            grad_bias,
        )

    def state(self) -> dict[str, Tensor]:
        """Return what screens remember from step to step; `restore` takes it up again."""
        counts = [[screen.left, screen.used] for screen in self._screens]
        axes = {f"axes.{i}": screen.axes for i, screen in enumerate(self._screens)}
        memory = {name: value for name, value in axes.items() if value is not None}
        return {"counts": torch.tensor(counts), **memory}

    def restore(self, memory: dict[str, Tensor]) -> None:
        """Take up the memory that `state` returned."""
        for i, screen in enumerate(self._screens):
            screen.left, screen.used = memory["counts"][i].tolist()
            screen.axes = memory.get(f"axes.{i}")
            screen.project()


class _Screen:
    """One side's presentations as its screen sees them: their coordinates in a few directions.

    Half of the directions are those in which inputs differ most, half those in which weights do.
    """

    def __init__(self, side: Side, rank: int, block_size: int) -> None:
        self.side, self.rank, self.block_size = side, rank, block_size
        self.axes: Tensor | None = None  # orthonormal, shape (inputs, directions), float64
        self.left = 0  # epochs until new directions are taken
        self.used = 0  # epochs since they were
        self.crowded = 0  # presentations of the last step
        self._inward: Tensor | None = None  # directions of the inputs alone

    def begin(self, weight: Tensor) -> None:
        """Take new directions if it is time to."""
        if self.left == 0 and self.rank:
            self.left, self.used = _USE_EPOCHS, 0
            finite = bool(torch.isfinite(weight).all())  # if not, let it be seen in the loss
            self.axes = self._directions(weight) if finite else None
            self.project()

    def end(self, crowded: int) -> None:
        """Note how many presentations were crowded, and whether it pays to go on."""
        self.crowded = crowded
        self.left, self.used = max(self.left - 1, 0), self.used + 1
        if self.axes is not None and crowded > _CROWDED * len(self.side.x):
            self.left = 0
            if self.used <= _FRESH_EPOCHS:
                self.left, self.axes = _REST_EPOCHS, None

    def replaced(self) -> None:
        """Take note that the side has other inputs."""
        self._inward = None
        self.project()

    def _directions(self, weight: Tensor) -> Tensor:
        half = max(1, self.rank // 2)
        if self._inward is None:
            self._inward = _principal(self.side.x[:: -(-len(self.side.x) // _SAMPLE)], half)
        both = torch.cat([self._inward, _principal(weight, half)], dim=1)
        return torch.linalg.qr(both).Q.contiguous()  # in the order in which a checkpoint keeps it

    def project(self) -> None:
        """Compute the presentations' coordinates, in float64 so that only their sum rounds."""
        if self.axes is None:
            return
        x = self.side.x
        self.mean = x.mean(0).double()
        directions = self.axes.shape[1]
        self.thin = torch.ones(len(x), directions + 3, dtype=x.dtype)
        for start in range(0, len(x), self.block_size):
            rows = slice(start, start + self.block_size)
            centred = x[rows].double() - self.mean
            inside = centred @ self.axes
            self.thin[rows, :directions] = inside.to(x.dtype)
            self.thin[rows, -3] = (centred - inside @ self.axes.t()).norm(dim=1).to(x.dtype)
            self.thin[rows, -2] = centred.norm(dim=1).to(x.dtype)


class _Search:
    """One step's search on one side: the weights as the screen sees them, and its bounds.

    Let x be an input less the mean input, c a unit's weights w less the mean over units (which
    adds the same to all units and so changes no winner), and V the screen's directions. Then

        x . c  =  (V'x) . (V'c)  +  r . s,   |r . s| <= |r| |s|,

    where r and s are what of x and c lies outside V. Computed numbers err further: V'x and V'c by
    their last bit, their product and what is added to it by at most one rounding for each term,
    and the candidates' dot products, which are sums of k sums, by `_dot_error` of ``|x| |w|``.
    All of these are something of a presentation times something of a unit, |r|, |x| and 1 times
    `error`, so that the bounds of all pairs are three more columns of the product.
    """

    def __init__(
        self, side: Side, screen: _Screen, weight: Tensor, bias: Tensor, lit: Tensor | None
    ) -> None:
        self.side, self.screen, self.weight, self.bias, self.lit = side, screen, weight, bias, lit
        self.crowded = 0
        if screen.axes is None:
            return
        eps = torch.finfo(weight.dtype).eps
        centred = weight.double() - weight.double().mean(0)
        inside = centred @ screen.axes
        offset = bias.double() + centred @ screen.mean
        pixels = torch.zeros(len(bias), 0) if lit is None else lit.double()
        brightest = 0.0 if side.label_value is None else float(side.label_value.abs().max())
        terms = eps * (inside.shape[1] + side.n_labels + 8)
        double = 8 * weight.shape[1] * torch.finfo(torch.float64).eps
        norm, own = centred.norm(dim=1), weight.double().norm(dim=1)
        dot = _dot_error(weight) * own
        added = offset.abs() + bias.double().abs()
        if lit is not None:
            added += brightest * lit.double().abs().amax(1)
        self.error = torch.stack(
            [
                (centred - inside @ screen.axes.t()).norm(dim=1) * (1 + terms),
                (terms + double) * norm + dot,
                (terms + double) * added + dot * screen.mean.norm(),
            ],
            dim=1,
        )
        value = torch.stack([torch.zeros_like(offset), torch.zeros_like(offset), offset], dim=1)
        high = torch.cat([inside, value + self.error, pixels], dim=1)
        self.high = high.t().to(weight.dtype).contiguous()
        self.error = (self.error * (1 + 4 * eps)).to(weight.dtype)
        units = len(bias)
        self.strands = next(k for k in (8, 7, 6, 5, 4, 3, 2, 1) if units % k == 0)

    def block(self, rows: slice, shares: list[Share]) -> list[tuple[Tensor, Tensor]]:
        """Return the winning pre-activation and unit of each presentation, for each variant."""
        x, label_pixels = self.side.x[rows], [share.label_pixels() for share in shares]
        if self.screen.axes is None:
            self.crowded += len(x)
            return self._largest(x, [share.rows for share in shares], label_pixels)
        thin, crowded, candidates = (
            self.screen.thin[rows],
            torch.zeros(len(x), dtype=torch.bool),
            [],
        )
        for share, pixels in zip(shares, label_pixels, strict=True):
            crowd, presentation, unit = self._candidates(share.of(thin), pixels)
            crowded[share.row(crowd.nonzero()[:, 0])] = True
            candidates.append((presentation, unit))
        dense = crowded.nonzero()[:, 0]
        self.crowded += len(dense)
        place = crowded.cumsum(0) - 1  # of a crowded row among them
        found, apart, readers = [], [], []
        for share, pixels, (presentation, unit) in zip(
            shares, label_pixels, candidates, strict=True
        ):
            alone = ~crowded[share.row(presentation)]
            found.append(self._settle(x, share, pixels, presentation[alone], unit[alone]))
            apart.append(dense if share.rows is None else crowded[share.rows].nonzero()[:, 0])
            readers.append(None if share.rows is None else place[share.rows[apart[-1]]])
        own = [
            None if pixels is None else pixels[a]
            for pixels, a in zip(label_pixels, apart, strict=True)
        ]
        largest = self._largest(x[dense], readers, own)
        for (best, winner), (z, unit), a in zip(found, largest, apart, strict=True):
            best[a], winner[a] = z, unit
        return found

    def _candidates(self, thin: Tensor, pixels: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return whether each presentation is crowded, and (row, unit) of all units that may win.

        A row's winner surely reaches what its most promising unit at least is, two errors below
        what that unit at most is. Units are compared in groups ("strands") first, since few
        groups hold a candidate. Candidates of crowded rows are not listed.
        """
        high = product(thin if pixels is None else torch.cat([thin, pixels], dim=1), self.high)
        stranded = high.unflatten(1, (self.strands, -1))
        tops = stranded.amax(1)
        top, strand = tops.max(1)
        knot = stranded[torch.arange(len(top)), :, strand].argmax(1)
        error = self.error[knot * tops.shape[1] + strand]
        floor = top - 2 * (thin[:, -3:] * error).sum(1)
        promising = tops >= floor[:, None]
        crowded = promising.sum(1) > _CROWD
        row, strand = (promising & ~crowded[:, None]).nonzero(as_tuple=True)
        pair, knot = (stranded[row, :, strand] >= floor[row, None]).nonzero(as_tuple=True)
        return crowded, row[pair], knot * tops.shape[1] + strand[pair]

    def _largest(
        self, x: Tensor, readers: list[Tensor | None], label_pixels: list[Tensor | None]
    ) -> list[tuple[Tensor, Tensor]]:
        """Return presentations' largest pre-activations and their units, from one full product.

        For each variant: the row of `x` that each presentation reads, or None, and its label
        pixels.
        """
        whole = product(x, self.weight.t(), self.bias)
        found = []
        for number, (rows, pixels) in enumerate(zip(readers, label_pixels, strict=True), 1):
            if rows is not None:
                z = whole.index_select(0, rows)
            else:
                z = whole if number == len(label_pixels) else whole.clone()
            if pixels is not None and self.lit is not None:
                z.addmm_(pixels, self.lit.t())
            largest = z.max(1)
            found.append((largest.values, largest.indices))
        return found

    def _settle(
        self, x: Tensor, share: Share, pixels: Tensor | None, row: Tensor, unit: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute the candidates one by one; return each presentation's largest and its unit."""
        size = self.screen.block_size
        parts = zip(share.row(row).split(size), unit.split(size), strict=True)
        z = torch.cat(
            [dots(x.index_select(0, r), self.weight.index_select(0, u)) for r, u in parts]
        )
        z += self.bias[unit]
        if pixels is not None and self.lit is not None:
            z = z + (pixels[row] * self.lit[unit]).sum(1)
        n = len(x) if share.rows is None else len(share.rows)
        best = z.new_full((n,), -torch.inf).scatter_reduce_(0, row, z, "amax")
        wins = z == best[row]
        winner = torch.full((n,), len(self.bias), dtype=torch.int64)
        winner.scatter_reduce_(0, row[wins], unit[wins], "amin")
        nobody = winner == len(self.bias)  # no number at all: let it be seen in the loss
        return best.masked_fill_(nobody, torch.nan), winner.masked_fill_(nobody, 0)


def dots(x: Tensor, w: Tensor) -> Tensor:
    """Return the dot product of each row of x with that of w, summed as a sum of sums.

    A sum of n/k sums of k terms rounds at most n/k + k times for each term, in whatever order the
    sums are taken, where a sum of n terms may do so n times.
    """
    terms = x * w
    return terms.unflatten(1, (-1, _stretch(terms.shape[1]))).sum(2).sum(1)


def _dot_error(weight: Tensor) -> float:
    """Return by how much of ``|x| |w|`` computed dot products and their sum with a bias may err."""
    n = weight.shape[1]
    k = _stretch(n)
    return (n // k + k + 4) / 2 * torch.finfo(weight.dtype).eps


def _stretch(n: int) -> int:
    """Return the divisor of n nearest below its root."""
    return next(k for k in range(math.isqrt(n), 0, -1) if n % k == 0)


def _principal(x: Tensor, n: int) -> Tensor:
    """Return the n directions in which rows differ most, shape (columns, n or fewer), float64."""
    centred = x.double() - x.double().mean(0)
    return torch.linalg.eigh(centred.t() @ centred).eigenvectors[:, -n:]
