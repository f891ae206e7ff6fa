"""The winner search against the definition: a full product, its maximum, and autograd."""

from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ffensembles.engine import winners
from ffensembles.engine.winners import MaxLayer, Side, dots

N_LABELS = 4


def slope(z: torch.Tensor, positive: bool) -> torch.Tensor:
    """Return the slope of softplus(theta - g) for positive data, softplus(g - theta) else."""
    g = torch.sigmoid(z)
    dloss_dgoodness = -torch.sigmoid(0.5 - g) if positive else torch.sigmoid(g - 0.5)
    return dloss_dgoodness * g * (1 - g)


def loss_by_definition(z: torch.Tensor, positive: bool) -> torch.Tensor:
    g = torch.sigmoid(z.amax(1))
    softplus = torch.nn.functional.softplus
    return (softplus(0.5 - g) if positive else softplus(g - 0.5)).sum()


class Case:
    """A first layer (images with two labels) and a deeper one (two sides) on random numbers.

    `pooled`: negatives of the first layer show some images more than once, others never.
    """

    def __init__(
        self,
        rows: int,
        inputs: int,
        units: int,
        dtype: torch.dtype,
        seed: int,
        pooled: bool = False,
    ) -> None:
        g = torch.Generator().manual_seed(seed)
        self.units = units
        self.x = torch.randn(rows, inputs, generator=g, dtype=dtype)
        self.other = torch.randn(rows, inputs, generator=g, dtype=dtype)
        self.positions = torch.arange(N_LABELS)[None]
        self.x[:, self.positions[0]] = 0
        self.on = torch.rand(rows, generator=g, dtype=dtype) + 0.5
        self.labels = torch.randint(0, N_LABELS, (rows,), generator=g)
        self.image = torch.arange(rows)
        if pooled:
            self.image = torch.randint(0, rows, (rows,), generator=g).sort().values
        self.shown = self.image if pooled else None
        steps = torch.arange(rows) % (N_LABELS - 1) + 1 if pooled else 1
        self.wrong = (self.labels[self.image] + steps) % N_LABELS
        self.weight = torch.randn(units, inputs, generator=g, dtype=dtype)
        self.bias = torch.randn(units, generator=g, dtype=dtype)

    def first_layer(self, **options: object) -> MaxLayer:
        labels, rows = (self.labels, self.wrong), (None, self.shown)
        side = Side(self.x, (True, False), labels, self.on, N_LABELS, rows)
        return MaxLayer([side], self.positions, **options)  # type: ignore[arg-type]

    def deeper_layer(self, **options: object) -> MaxLayer:
        return MaxLayer([Side(self.x, (True,)), Side(self.other, (False,))], **options)  # type: ignore[arg-type]

    def embedded(self, labels: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        x = self.x[image]
        x[torch.arange(len(x)), self.positions[0][labels]] = self.on[image]
        return x

    def by_definition(self, deeper: bool) -> dict[str, torch.Tensor]:
        weight, bias = self.weight.clone().requires_grad_(), self.bias.clone().requires_grad_()
        positive = self.x if deeper else self.embedded(self.labels, torch.arange(len(self.x)))
        negative = self.other if deeper else self.embedded(self.wrong, self.image)
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


kinds = pytest.mark.parametrize(
    ("deeper", "pooled"),
    [(False, False), (False, True), (True, False)],
    ids=["first", "first-pooled", "deeper"],
)


@kinds
@settings(deadline=None, max_examples=40)
@given(shape=shapes, block=st.integers(1, 50))
def test_step_equals_autograd_through_the_definition(deeper, pooled, shape, block):
    rows, inputs, units, seed = shape
    case = Case(rows, inputs, units, torch.float64, seed, pooled)
    layer = (case.deeper_layer if deeper else case.first_layer)(block_size=block)
    step = layer.step(case.weight, case.bias, slope)
    expected = case.by_definition(deeper)
    torch.testing.assert_close(step.weight, expected["weight"], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(step.bias, expected["bias"], rtol=1e-10, atol=1e-10)
    assert torch.equal(step.winner[True], expected["positive"])
    assert torch.equal(step.winner[False], expected["negative"])


def one_by_one(case: Case, deeper: bool) -> dict[bool, tuple[torch.Tensor, torch.Tensor]]:
    """Return every presentation's winner, found by computing all dot products as candidates are."""
    positive, own = case.x, torch.arange(len(case.x))
    negative = case.other if deeper else case.x[case.image]
    lit = case.weight[:, case.positions].sum(1)
    found = {}
    for kind, x, labels, image in (
        (True, positive, case.labels, own),
        (False, negative, case.wrong, case.image),
    ):
        pairs = torch.cartesian_prod(torch.arange(len(x)), torch.arange(case.units))
        z = dots(x[pairs[:, 0]], case.weight[pairs[:, 1]]).view(len(x), -1) + case.bias
        if not deeper:
            z = z + case.on[image, None] * lit.t()[labels]
        found[kind] = tuple(z.max(1))
    return found


@kinds
@settings(deadline=None, max_examples=60)
@given(shape=shapes, rank=st.integers(1, 12), block=st.integers(1, 50), spread=st.floats(-6, 1))
def test_a_screen_changes_no_bit(deeper, pooled, shape, rank, block, spread):
    """Units that differ by much, by little or only by rounding: never is a winner overlooked."""
    rows, inputs, units, seed = shape
    case = Case(rows, inputs, units, torch.float32, seed, pooled)
    case.weight = case.weight[:1] + 10**spread * case.weight
    case.bias *= 10**spread
    make = case.deeper_layer if deeper else case.first_layer
    with mock.patch.object(winners, "_CROWD", 10**6):
        step = make(rank=rank, block_size=block).step(case.weight, case.bias, slope)
    for kind, (z, winner) in one_by_one(case, deeper).items():
        assert torch.equal(step.z[kind], z)
        assert torch.equal(step.winner[kind], winner)


def test_among_equals_the_first_unit_wins():
    x = torch.tensor([[1.0, 2.0], [0.5, 0.5]])
    layer = MaxLayer([Side(x, (True,))])
    weight = torch.tensor([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    step = layer.step(weight, torch.zeros(3), slope)
    assert step.winner[True].tolist() == [1, 1]
    assert step.z[True].tolist() == [3.0, 1.0]
    assert torch.equal(step.bias.nonzero()[:, 0], torch.tensor([1]))


def test_crowded_presentations_take_the_full_product():
    """No screen tells these units apart on half of the presentations."""
    case = Case(60, 20, 64, torch.float32, 3)
    case.weight[1:] = case.weight[0] + 1e-7 * case.weight[1:]
    case.weight[:, 0] = torch.linspace(-9, 9, 64)
    case.bias = torch.zeros(64)
    case.other[:, 0] = 0  # where they are equal but for rounding
    case.other[::2, 0] = 1
    layer = case.deeper_layer(rank=4)
    step = layer.step(case.weight, case.bias, slope)
    assert layer.crowded[1] == 30
    full = case.deeper_layer(rank=0).step(case.weight, case.bias, slope)
    torch.testing.assert_close(step.z[False], full.z[False])
    assert torch.equal(step.winner[False][::2], full.winner[False][::2])


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(30, 60), block=st.integers(1, 70), seed=st.integers(0, 10**6))
def test_crowded_images_with_pooled_negatives(rows, block, seed):
    """Some images' presentations take the full product, however many there are of each."""
    case = Case(rows, 20, 64, torch.float64, seed, pooled=True)
    case.weight[1:] = case.weight[0] + 1e-4 * case.weight[1:]
    case.weight[:, N_LABELS] = torch.linspace(-9, 9, 64)
    case.bias = torch.zeros(64, dtype=torch.float64)
    case.x[:, N_LABELS] = 1
    case.x[::2, N_LABELS] = 0  # where units are nearly equal
    layer = case.first_layer(rank=4, block_size=block)
    step = layer.step(case.weight, case.bias, slope)
    expected = case.by_definition(deeper=False)
    assert 0 < layer.crowded[0] < rows
    assert torch.equal(step.winner[True], expected["positive"])
    assert torch.equal(step.winner[False], expected["negative"])
    torch.testing.assert_close(step.weight, expected["weight"], rtol=1e-10, atol=1e-10)


def test_a_side_on_which_screens_do_not_serve_is_left_alone_for_a_while():
    case = Case(60, 20, 64, torch.float32, 3)
    case.weight = 1 + 1e-7 * case.weight
    layer = case.deeper_layer(rank=4)
    screened = []
    for _ in range(winners._REST_EPOCHS + 10):
        layer.step(case.weight, case.bias * 0, slope)
        screened.append(layer.screened[0])
        assert layer.crowded == [60, 60]
    assert not any(screened)
    case.weight = Case(60, 20, 64, torch.float32, 4).weight
    case.weight[:, :-2] = 0  # units that differ in two directions
    for _ in range(winners._REST_EPOCHS):
        layer.step(case.weight, case.bias * 0, slope)
    assert layer.screened == [True, True]


@pytest.mark.slow
@kinds
@pytest.mark.parametrize("drift", [1e-4, 0.05, 0.5])
def test_weights_may_leave_a_screens_directions(deeper, pooled, drift):
    """Directions are kept while weights move on, slowly or fast: winners stay the true ones."""
    case = Case(300, 20, 40, torch.float32, 5, pooled)
    layer = (case.deeper_layer if deeper else case.first_layer)(rank=6, block_size=64)
    generator = torch.Generator().manual_seed(0)
    with mock.patch.object(winners, "_CROWD", 10**6):
        for _ in range(60):
            step = layer.step(case.weight, case.bias, slope)
            for kind, (z, winner) in one_by_one(case, deeper).items():
                assert torch.equal(step.z[kind], z)
                assert torch.equal(step.winner[kind], winner)
            case.weight += drift * torch.randn(case.weight.shape, generator=generator)
            case.bias[10:] += drift


@kinds
def test_what_is_remembered_can_be_handed_on(deeper, pooled):
    """With a screened and a resting side, another layer goes on to the same bits."""
    case = Case(300, 20, 40, torch.float32, 5, pooled)
    case.weight[:30] = case.weight[0] + 1e-6 * case.weight[:30]  # many that are nearly equal
    case.bias[:30] = 0
    case.x[:100] = case.weight[0] + 0.01 * case.x[:100]
    case.x[:, case.positions[0]] = 0
    case.other[:250] = case.weight[0] + 0.01 * case.other[:250]
    make = case.deeper_layer if deeper else case.first_layer
    first = make(block_size=64, rank=20)
    generator = torch.Generator().manual_seed(0)
    with mock.patch.object(winners, "_CROWD", 3):
        for epoch in range(150):
            case.weight[30:] += 1e-3 * torch.randn(10, 20, generator=generator)
            step = first.step(case.weight, case.bias, slope)
            if epoch == 60:
                second = make(block_size=64, rank=20)
                kept = {name: value.numpy().copy() for name, value in first.state().items()}
                second.restore({name: torch.from_numpy(value) for name, value in kept.items()})
            elif epoch > 60:
                other = second.step(case.weight, case.bias, slope)
                assert torch.equal(step.weight, other.weight)
                assert torch.equal(step.z[False], other.z[False])
                assert second.state().keys() == first.state().keys()
                assert second.crowded == first.crowded
    assert first.screened == ([True, False] if deeper else [True])
    assert 0 < first.crowded[0] < 300


def test_numbers_that_are_none_are_seen():
    case = Case(30, 12, 9, torch.float32, 1)
    layer = case.first_layer()
    layer.step(case.weight, case.bias, slope)
    case.weight[3, 5] = torch.nan
    assert layer.step(case.weight, case.bias, slope).z[True].isnan().all()
    assert case.first_layer().step(case.weight, case.bias, slope).z[True].isnan().all()


def test_labels_can_be_replaced():
    case = Case(50, 12, 9, torch.float32, 1)
    layer = case.first_layer()
    layer.step(case.weight, case.bias, slope)
    case.wrong = (case.labels + 2) % N_LABELS
    layer.replace_labels(0, 1, case.wrong)
    step = layer.step(case.weight, case.bias, slope)
    assert torch.equal(step.winner[False], case.by_definition(False)["negative"])
