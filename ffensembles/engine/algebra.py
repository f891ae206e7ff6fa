"""Products and rows of stacked runs: what the gradients of several runs are computed with.

Stacked arrays have the runs as their first dimension. One run is handled as a plain matrix, since
that is faster than a batch of one.
"""

import torch
from torch import Tensor

from ffensembles.engine import matmul


def take(shared: Tensor, rows: slice | Tensor) -> Tensor:
    """Return rows of an array that all runs share: (presentations, ...) or (runs, ...).

    Parameters
    ----------
    shared
        (images, ...).
    rows
        A slice, which gives (presentations, ...); or each run's own rows (runs, presentations),
        which give (runs, presentations, ...).
    """
    if isinstance(rows, slice):
        return shared[rows]
    return shared.index_select(0, rows.flatten()).unflatten(0, rows.shape)


def take_runs(own: Tensor, rows: slice | Tensor) -> Tensor:
    """Return rows of an array that each run has its own of, (runs, presentations, ...)."""
    if isinstance(rows, slice):
        return own[:, rows]
    if len(own) == 1:
        return take(own[0], rows)
    return torch.stack([of_run[picked] for of_run, picked in zip(own, rows, strict=True)])


def rows_of(weight: Tensor, unit: Tensor) -> Tensor:
    """Return the weights of each presentation's unit, (runs, presentations, inputs)."""
    return take_runs(weight, unit)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply each run's matrices: a (runs, m, k), b (runs, k, n)."""
    return matmul.product(a[0], b[0])[None] if len(a) == 1 else torch.bmm(a, b)


def add_product(c: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return c + a b for each run."""
    if len(a) == 1:
        return torch.addmm(c[0], a[0], b[0])[None]
    return torch.baddbmm(c, a, b)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x w + b for each run, (runs, presentations, units).

    `x` is (runs, presentations, inputs), or (presentations, inputs) where all runs share it; then
    one product with the weights of all runs gives everything.
    """
    if x.dim() == 3 and len(x) > 1:
        return torch.baddbmm(bias[:, None], x, weight.transpose(1, 2))
    shared = x if x.dim() == 2 else x[0]
    flat = matmul.product(shared, weight.flatten(0, 1).t(), bias.flatten())
    return flat.unflatten(1, bias.shape).transpose(0, 1)
