"""The winner search against the definition: a full product, its maximum, and autograd."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ffensembles.engine.winners import MaxLayer, Side

N_LABELS = 4


def slope(z: torch.Tensor, positive: bool) -> torch.Tensor:
    """Return the slope of softplus(theta - g) for positive data, softplus(g - theta) else."""
    g = torch.sigmoid(z)
    pull = -torch.sigmoid(0.5 - g) if positive else torch.sigmoid(g - 0.5)
    return pull * g * (1 - g)


def loss_by_definition(z: torch.Tensor, positive: bool) -> torch.Tensor:
    g = torch.sigmoid(z.amax(1))
    softplus = torch.nn.functional.softplus
    return (softplus(0.5 - g) if positive else softplus(g - 0.5)).sum()


class Case:
    """A first layer (images with two labels) and a deeper one (two sides) on random numbers."""

    def __init__(self, rows: int, inputs: int, units: int, dtype: torch.dtype, seed: int) -> None:
        g = torch.Generator().manual_seed(seed)
        self.units = units
        self.x = torch.randn(rows, inputs, generator=g, dtype=dtype)
        self.other = torch.randn(rows, inputs, generator=g, dtype=dtype)
        self.positions = torch.arange(N_LABELS)[None]
        self.x[:, self.positions[0]] = 0
        self.on = torch.rand(rows, generator=g, dtype=dtype) + 0.5
        self.labels = torch.randint(0, N_LABELS, (rows,), generator=g)
        self.wrong = (self.labels + 1) % N_LABELS
        self.weight = torch.randn(units, inputs, generator=g, dtype=dtype)
        self.bias = torch.randn(units, generator=g, dtype=dtype)

    def first_layer(self, **options: object) -> MaxLayer:
        side = Side(self.x, (True, False), (self.labels, self.wrong), self.on, N_LABELS)
        return MaxLayer([side], self.positions, **options)  # type: ignore[arg-type]

    def deeper_layer(self, **options: object) -> MaxLayer:
        return MaxLayer([Side(self.x, (True,)), Side(self.other, (False,))], **options)  # type: ignore[arg-type]

    def embedded(self, labels: torch.Tensor) -> torch.Tensor:
        x = self.x.clone()
        x[torch.arange(len(x)), self.positions[0][labels]] = self.on
        return x

    def by_definition(self, deeper: bool) -> dict[str, torch.Tensor]:
        weight, bias = self.weight.clone().requires_grad_(), self.bias.clone().requires_grad_()
        positive = self.x if deeper else self.embedded(self.labels)
        negative = self.other if deeper else self.embedded(self.wrong)
        z = {True: positive @ weight.t() + bias, False: negative @ weight.t() + bias}
        (loss_by_definition(z[True], True) + loss_by_definition(z[False], False)).backward()
        assert weight.grad is not None
        assert bias.grad is not None
        return {
            "weight": weight.grad,
            "bias": bias.grad,
            "positive": z[True].argmax(1),
            "negative": z[False].argmax(1),
        }


shapes = st.tuples(
    st.integers(1, 40), st.integers(N_LABELS, 30), st.integers(1, 33), st.integers(0, 10**6)
)


@pytest.mark.parametrize("deeper", [False, True])
@settings(deadline=None, max_examples=40)
@given(shape=shapes, block=st.integers(1, 50))
def test_step_equals_autograd_through_the_definition(deeper, shape, block):
    rows, inputs, units, seed = shape
    case = Case(rows, inputs, units, torch.float64, seed)
    layer = (case.deeper_layer if deeper else case.first_layer)(block_size=block)
    step = layer.step(case.weight, case.bias, slope)
    expected = case.by_definition(deeper)
    torch.testing.assert_close(step.weight, expected["weight"], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(step.bias, expected["bias"], rtol=1e-10, atol=1e-10)
    assert torch.equal(step.winner[True], expected["positive"])
    assert torch.equal(step.winner[False], expected["negative"])


@settings(deadline=None, max_examples=40)
@given(shape=shapes)
def test_a_coarse_screen_changes_no_bit(shape):
    rows, inputs, units, seed = shape
    case = Case(rows, inputs, units, torch.float32, seed)
    steps = [
        case.first_layer(screen=screen, block_size=block).step(case.weight, case.bias, slope)
        for screen, block in (("float32", 2048), ("bfloat16", 2048), ("bfloat16", 7))
    ]
    full, coarse, blocked = steps
    assert torch.equal(full.weight, coarse.weight)
    for other in (coarse, blocked):
        assert torch.equal(full.z[True], other.z[True])
        assert torch.equal(full.winner[False], other.winner[False])
    torch.testing.assert_close(full.weight, blocked.weight)


def test_among_equals_the_first_unit_wins():
    x = torch.tensor([[1.0, 2.0], [0.5, 0.5]])
    layer = MaxLayer([Side(x, (True,))])
    weight = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    step = layer.step(weight, torch.zeros(3), slope)
    assert step.winner[True].tolist() == [1, 1]
    assert step.z[True].tolist() == [3.0, 1.0]
    assert torch.equal(step.bias.nonzero()[:, 0], torch.tensor([1]))


def test_many_near_equal_units_are_still_told_apart():
    """A coarse screen cannot tell these units apart: every one is a candidate."""
    case = Case(60, 20, 64, torch.float32, 3)
    case.weight = 1 + 1e-5 * case.weight
    case.bias = torch.zeros(64)
    coarse = case.deeper_layer(screen="bfloat16").step(case.weight, case.bias, slope)
    full = case.deeper_layer(screen="float32").step(case.weight, case.bias, slope)
    assert torch.equal(coarse.winner[True], full.winner[True])
    assert torch.equal(coarse.weight, full.weight)


@pytest.mark.parametrize("deeper", [False, True])
@pytest.mark.parametrize("drift", [1e-4, 0.05, 0.5])
def test_idle_units_that_move_are_never_overlooked(deeper, drift):
    """Once units are idle their weights move on, slowly or fast: winners stay the true ones."""
    case = Case(300, 20, 40, torch.float32, 5)
    case.weight[10:] *= 0.05  # these win nothing at first
    case.bias[10:] -= 8
    make = case.deeper_layer if deeper else case.first_layer
    layer = make(screen="bfloat16", block_size=64)
    generator = torch.Generator().manual_seed(0)
    idle_seen, idle_won = 0, False
    for _ in range(160):
        step = layer.step(case.weight, case.bias, slope)
        fresh = make(screen="float32", block_size=64).step(case.weight, case.bias, slope)
        assert torch.equal(step.winner[True], fresh.winner[True])
        assert torch.equal(step.weight, fresh.weight)
        idle_seen = max(idle_seen, layer.n_idle)
        idle_won |= bool((step.winner[True] >= 10).any())
        case.weight += drift * torch.randn(case.weight.shape, generator=generator)
        case.bias[10:] += drift
    assert idle_seen > 5
    if drift == 0.5:
        assert idle_won  # the case really lets idle units come back


@pytest.mark.parametrize("deeper", [False, True])
def test_what_is_remembered_can_be_handed_on(deeper):
    """With idle units and crowded blocks, another layer goes on to the same bits."""
    case = Case(300, 20, 40, torch.float32, 5)
    case.weight[10:] *= 0.05
    case.bias[10:] -= 8
    case.weight[:10] = case.weight[0] + 1e-6 * case.weight[:10]  # ten equals: crowded
    case.bias[:10] = 0
    case.other[:150] += 3
    make = case.deeper_layer if deeper else case.first_layer
    first = make(screen="bfloat16", block_size=64)
    generator = torch.Generator().manual_seed(0)
    for epoch in range(150):
        case.weight[10:] += 1e-4 * torch.randn(30, 20, generator=generator)
        step = first.step(case.weight, case.bias, slope)
        if epoch == 100:
            second = make(screen="bfloat16", block_size=64)
            second.restore({name: value.clone() for name, value in first.state().items()})
        elif epoch > 100:
            other = second.step(case.weight, case.bias, slope)
            assert torch.equal(step.weight, other.weight)
            assert torch.equal(step.z[False], other.z[False])
            assert second.state().keys() == first.state().keys()
    assert first.n_idle > 5
    assert any(first._unscreened)


def test_labels_can_be_replaced():
    case = Case(50, 12, 9, torch.float32, 1)
    layer = case.first_layer()
    layer.step(case.weight, case.bias, slope)
    case.wrong = (case.labels + 2) % N_LABELS
    layer.replace_labels(0, 1, case.wrong)
    step = layer.step(case.weight, case.bias, slope)
    assert torch.equal(step.winner[False], case.by_definition(False)["negative"])
