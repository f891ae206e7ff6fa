"""Products of matrices, by the faster of the two libraries that torch brings for a processor.

torch multiplies float32 matrices with MKL, which on processors other than Intel's leaves half of
their speed unused; oneDNN, which torch takes for convolutions and compiled models, does not. Both
compute the same sums in float32, in another order. Where torch was built without oneDNN, for other
types of number and on GPUs, torch's own product serves.
"""

import torch
from torch import Tensor

_ROWS = 16  # counts of rows are filled up to a multiple of it


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a b, with `bias` (n,) added to every row: a (m, k), b (k, n).

    oneDNN prepares for every shape that it meets, and keeps what it prepared, a megabyte or two;
    rows of zeros leave it few shapes to meet.
    """
    if not (a.device.type == "cpu" and a.dtype == torch.float32 and _has_onednn()):
        return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)
    missing = -len(a) % _ROWS
    filled = torch.nn.functional.pad(a, (0, 0, 0, missing)) if missing else a
    c: Tensor = torch.ops.mkldnn._linear_pointwise(filled, b.t(), bias, "none", [], "")
    return c[: len(a)]


def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
