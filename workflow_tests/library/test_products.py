"""Products by oneDNN: the sums that torch's own product takes, whatever the layout."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ffensembles.engine.matmul import product

SIZES = st.integers(1, 70)


@settings(deadline=None)
@given(m=st.integers(0, 70), k=SIZES, n=SIZES, biased=st.booleans(), seed=st.integers(0, 99))
@pytest.mark.parametrize("turned", [(), (0,), (1,), (0, 1)], ids=["", "a", "b", "a and b"])
def test_product_is_the_sum_of_products(turned, m, k, n, biased, seed):
    stream = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(s, generator=stream) for s in ((m, k), (k, n)))
    bias = torch.randn(n, generator=stream) if biased else None
    exact = (a.double()[:, :, None] * b.double()).sum(1) + (0 if bias is None else bias.double())
    scale = a.abs().double() @ b.abs().double() + (0 if bias is None else bias.abs().double())
    one, other = (x.t().contiguous().t() if i in turned else x for i, x in enumerate((a, b)))
    ours = product(one, other, bias)
    assert ours.shape == (m, n)
    assert ours.dtype == torch.float32
    rounding = (k + 2) * torch.finfo(torch.float32).eps
    assert ((ours.double() - exact).abs() <= rounding * scale).all()


def test_columns_of_a_wider_matrix_serve():
    wide = torch.arange(12.0).view(3, 4)
    assert product(wide[:, 1:3], torch.eye(2)).tolist() == wide[:, 1:3].tolist()
    assert product(torch.eye(2), wide[1:, ::2]).tolist() == wide[1:, ::2].tolist()


def test_other_types_of_number_take_torchs_product():
    a, b = torch.eye(3, dtype=torch.float64) / 3, torch.ones(3, 2, dtype=torch.float64)
    assert torch.equal(product(a, b), a @ b)
    assert torch.equal(product(a, b, torch.ones(2, dtype=torch.float64)), a @ b + 1)


def test_not_a_number_is_kept():
    a = torch.tensor([[torch.nan, 1.0], [torch.inf, 1.0]])
    ours = product(a, torch.zeros(2, 1))
    assert ours.isnan().all()
