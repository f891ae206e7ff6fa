"""Products of matrices, by the faster of the two libraries that torch brings for a processor.

torch multiplies float32 matrices with MKL, which on processors other than Intel's leaves half of
their speed unused; oneDNN, which torch takes for convolutions and compiled models, does not. Both
compute the same sums in float32, in another order. Where torch was built without oneDNN, for other
types of number and on GPUs, torch's own product serves.
"""

import torch
from torch import Tensor


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a b, with `bias` (n,) added to every row: a (m, k), b (k, n)."""
    if a.device.type == "cpu" and a.dtype == torch.float32 and _has_onednn():
        return torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, "none", [], "")
    return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)


def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
