"""Matrix products that leave out what is silent: presentations and units that are 0.

FF teaches its layers to be silent on negative data, and a ReLU unit that responds to one class is 0
for the others. Two things are left out of a product: presentations none of whose units is active;
and, of presentations that are sorted by the label they carry and cut into pieces, the units that
are 0 throughout a piece. Every term that is left out is a product with 0, so that the sums are the
same but for the order of their terms, which follows from the data alone: a seed fixes every bit.
Where most is active, one product takes everything.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ffensembles.engine import matmul

PIECE = 128  # presentations whose silent units are left out together
STEP = 64  # counts are filled up to a multiple of it by what is silent: products have few shapes
WORTH = 0.75  # something is left out where less than this share of it is active

Units = Sequence[Tensor | None]


def product(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x w + b: x (presentations, inputs), w (inputs, units), b (units,)."""
    if _mostly_active(x):
        return matmul.product(x, w, bias)
    rows = active_rows(x)
    if rows is None:
        return _by_pieces(x, w, bias)
    out = x.new_zeros(len(x), w.shape[1])
    if bias is not None:
        out += bias
    return out.index_copy_(0, rows, _by_pieces(x.index_select(0, rows), w, bias))


def add_outer(total: Tensor, dz: Tensor, x: Tensor) -> None:
    """Add dz^T x to `total` (units, inputs): dz (presentations, units), x (presentations, inputs).

    Presentations that are silent in `dz` are left out, and silent units of `dz` or of `x`,
    whichever has more of them.
    """
    if _mostly_active(dz) and _mostly_active(x):
        total.add_(matmul.product(dz.t(), x))
        return
    rows = active_rows(dz)
    if rows is not None:
        dz, x = dz.index_select(0, rows), x.index_select(0, rows)
    of_dz, of_x = active_units(dz), active_units(x)
    units, inputs = _share(of_dz, dz.shape[1]), _share(of_x, x.shape[1])
    if min(units, inputs) > WORTH:
        total.add_(matmul.product(dz.t(), x))
    elif units <= inputs:
        for piece, own in _cut(len(dz), of_dz):
            _add(total, 0, own, matmul.product(_columns(dz[piece], own).t(), x[piece]))
    else:
        for piece, own in _cut(len(dz), of_x):
            _add(total, 1, own, matmul.product(dz[piece].t(), _columns(x[piece], own)))


def _by_pieces(x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    pieces = active_units(x)
    if _share(pieces, x.shape[1]) > WORTH:
        return matmul.product(x, w, bias)
    out = x.new_empty(len(x), w.shape[1])
    for piece, units in _cut(len(x), pieces):
        own = w if units is None else _rows(w, units)
        out[piece] = matmul.product(_columns(x[piece], units), own, bias)
    return out


def _mostly_active(a: Tensor) -> bool:
    """Judge by a part of the presentations whether to look for what is silent at all."""
    piece, spread = a[:PIECE], a[:: -(-len(a) // PIECE)]
    shares = _is_active(piece, 0).float().mean(), _is_active(spread, 1).float().mean()
    return min(float(share) for share in shares) > WORTH


def active_rows(a: Tensor) -> Tensor | None:
    """Return the presentations that are not 0 throughout; None for all of them.

    Examples
    --------
    >>> a = torch.zeros(200, 3)
    >>> a[7, 1] = a[199, 0] = 1.0
    >>> rows = active_rows(a)
    >>> rows[:4].tolist(), len(rows)
    ([7, 199, 0, 0], 64)
    """
    (found,) = _filled(_is_active(a, 1)[None])
    return None if found is None or len(found) > WORTH * len(a) else found


def active_units(a: Tensor) -> Units:
    """Return the units (columns) of each piece that are not 0 throughout.

    Parameters
    ----------
    a
        Activations or gradients, (presentations, units).

    Returns
    -------
    sequence of Tensor or None
        For each piece of `PIECE` presentations the indices of its units, ascending, filled up by
        one that is silent to a multiple of `STEP`, at least one; None for all units.

    Examples
    --------
    >>> a = torch.zeros(3, 200)
    >>> a[0, 5] = a[2, 9] = 1.0
    >>> (units,) = active_units(a)
    >>> units[:4].tolist(), len(units)
    ([5, 9, 0, 0], 64)
    """
    whole = len(a) // PIECE * PIECE
    parts = [a[:whole].unflatten(0, (-1, PIECE)), a[whole:][None]]
    return _filled(torch.cat([_is_active(part, 1) for part in parts if part.numel()]))


def _is_active(a: Tensor, dim: int) -> Tensor:
    """Say where something is not 0 along a dimension; a value that is not finite is not."""
    return torch.maximum(a.amax(dim), -a.amin(dim)) != 0


def _filled(active: Tensor) -> list[Tensor | None]:
    """Return the indices that are active in each row, filled up by one that is not."""
    n, silent = active.shape[1], active.to(torch.uint8).argmin(1).tolist()
    found: list[Tensor | None] = []
    for row, own in enumerate(active.nonzero()[:, 1].split(active.sum(1).tolist())):
        size = max(-(-len(own) // STEP), 1) * STEP
        filled = torch.nn.functional.pad(own, (0, size - len(own)), value=silent[row])
        found.append(filled if size < n else None)
    return found


def _columns(a: Tensor, units: Tensor | None) -> Tensor:
    return a if units is None else a.index_select(1, units)


def _rows(w: Tensor, units: Tensor) -> Tensor:
    """Return rows of a matrix, which may be a transposed one, as it lies in memory."""
    return w.index_select(0, units) if w.is_contiguous() else w.t().index_select(1, units).t()


def _add(total: Tensor, dim: int, units: Tensor | None, part: Tensor) -> None:
    if units is None:
        total.add_(part)
    else:
        total.index_add_(dim, units, part)


def _cut(n: int, pieces: Units) -> Iterator[tuple[slice, Tensor | None]]:
    """Return the rows of each piece beside its units."""
    return ((slice(k * PIECE, min((k + 1) * PIECE, n)), units) for k, units in enumerate(pieces))


def _share(pieces: Units, n: int) -> float:
    """Return which share of all `n` units the pieces take."""
    return sum(n if units is None else len(units) for units in pieces) / (n * len(pieces))
