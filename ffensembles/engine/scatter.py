"""Sums of rows by unit, always in the same order: the gradient of winning units."""

import torch
from torch import Tensor

_PIECE = 256  # rows that one GPU thread adds up in turn


def add_rows(total: Tensor, unit: Tensor, rows: Tensor, scale: Tensor) -> None:
    """Add each presentation's scaled row to its unit's row of `total`, in place.

    Parameters
    ----------
    total
        Sums to add to, (runs, units, inputs).
    unit
        Whose sum a presentation's row goes to, (runs, presentations).
    rows
        (runs, presentations, inputs), or (presentations, inputs) where all runs share them.
    scale
        Factor of each row, (runs, presentations).
    """
    if total.is_cuda:
        add_rows_in_pieces(total, unit, rows, scale)
        return
    for run, of_run in enumerate(total):
        own = rows if rows.dim() == 2 else rows[run]
        of_run.index_add_(0, unit[run], own * scale[run][:, None])


def add_rows_in_pieces(total: Tensor, unit: Tensor, rows: Tensor, scale: Tensor) -> None:
    """`add_rows` for a GPU, where `index_add_` sums in no fixed order.

    Rows are sorted by unit, each unit's rows cut into pieces, pieces summed, then units. All
    shapes follow from the arguments' shapes, as a captured graph requires.
    """
    runs, units, _ = total.shape
    own = torch.arange(runs, device=unit.device)[:, None] * units
    key, order = torch.sort((unit + own).flatten(), stable=True)
    picked = rows[order % unit.shape[1]] if rows.dim() == 2 else rows.flatten(0, 1)[order]
    picked = picked * scale.flatten()[order][:, None]

    # edges[u]:edges[u + 1] are unit u's rows; ends[u - 1]:ends[u] its pieces
    edges = torch.searchsorted(key, torch.arange(runs * units + 1, device=key.device))
    pieces = (edges.diff() + _PIECE - 1) // _PIECE
    ends = pieces.cumsum(0)
    most = runs * units + len(key) // _PIECE
    piece = torch.arange(most, device=key.device)
    of_unit = torch.searchsorted(ends, piece, right=True).clamp_max(runs * units - 1)
    start = edges[of_unit] + (piece - (ends - pieces)[of_unit]) * _PIECE
    start = torch.where(piece < ends[-1], start, len(key))
    cuts = torch.cat([start, start.new_full((1,), len(key))])
    sums = torch.segment_reduce(picked, "sum", offsets=cuts, unsafe=True)
    cuts = torch.cat([ends.new_zeros(1), ends])
    total.view(runs * units, -1).add_(torch.segment_reduce(sums, "sum", offsets=cuts, unsafe=True))
