"""Matrix products on a CPU, by the faster of the two libraries that torch includes.

torch multiplies float32 matrices with MKL, which on processors other than Intel's leaves half of
their speed unused; oneDNN, which torch uses for convolutions and compiled models, does not. Both
compute the same sums in float32, in another order. Where torch was built without oneDNN, for other
number types and on GPUs, torch's own product is used.
"""

import torch
from torch import Tensor



def half(x: Tensor) -> Tensor:
    return x.half().float()


SCALE = 65536.0


def scaled(x: Tensor) -> Tensor:
    return (x * SCALE).half().float().div_(SCALE)


_ROWS = 16  # counts of rows are filled up to a multiple of it


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a b, with `bias` (n,) added to every row: a (m, k), b (k, n).

    oneDNN compiles a kernel of a megabyte or two for every shape and keeps it. Padding with rows
    of zeros keeps the number of shapes small.
    """
    if not (a.device.type == "cpu" and a.dtype == torch.float32 and _has_onednn()):
        return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)
    missing = -len(a) % _ROWS
    filled = torch.nn.functional.pad(a, (0, 0, 0, missing)) if missing else a
    c: Tensor = torch.ops.mkldnn._linear_pointwise(filled, b.t(), bias, "none", [], "")
    return c[: len(a)]


def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
