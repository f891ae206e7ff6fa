"""Products that leave out what is silent, and training with them, against the whole products."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recipes import recipe_of
from test_engine import BP, BPFF, FF, RELU_L2, make_task, name_of, weights_of

from ffensembles.engine import matmul, silence
from ffensembles.engine.batched import BatchedStage
from ffensembles.engine.silent_stage import SilentStage
from ffensembles.models.recipe import Recipe
from ffensembles.training import loop

POOLED = {**RELU_L2, "negatives": "pooled", "batch_size": 20}
RECIPES = [
    FF.but(**POOLED),
    FF.but(**POOLED, phases="2-1"),
    FF.but(**RELU_L2, batch_size=20),
    FF.but(**{**POOLED, "goodness": "l1"}),
    FF.but(activation="relu", batch_size=20),
    BPFF.but(**POOLED),
    BPFF.but(**RELU_L2, batch_size=20),
    BPFF.but(activation="relu", batch_size=20),
    BP.but(activation="relu", l1_penalty=0.01),
]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut so finely that small arrays have silent pieces."""
    monkeypatch.setattr(silence, "PIECE", 4)
    monkeypatch.setattr(silence, "STEP", 2)


@pytest.fixture
def multiplied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Multiply-adds of each product that is taken."""
    counts: list[int] = []
    real = matmul.product

    def counted(a: torch.Tensor, b: torch.Tensor, *rest: Any) -> torch.Tensor:
        counts.append(a.shape[0] * a.shape[1] * b.shape[1])
        return real(a, b, *rest)

    monkeypatch.setattr(matmul, "product", counted)
    return counts


def array(rows: int, units: int, active: float, seed: int) -> torch.Tensor:
    """Random values, 0 in most presentations, in most units of a piece, and at random."""
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(rows, units, generator=g, dtype=torch.float64)
    a[torch.rand(rows, generator=g) > active] = 0
    for start in range(0, rows, 4):
        a[start : start + 4, torch.rand(units, generator=g) > active] = 0
    return a * (torch.rand(rows, units, generator=g) < 0.8)


@given(
    sizes=st.tuples(*[st.integers(1, 23)] * 3),
    active=st.tuples(*[st.sampled_from([0.0, 0.2, 0.5, 1.0])] * 2),
    seed=st.integers(0, 10**6),
)
def test_products_are_the_whole_ones(sizes, active, seed):
    rows, inputs, units = sizes
    x, dz = array(rows, inputs, active[0], seed), array(rows, units, active[1], seed + 1)
    w = torch.randn(inputs, units, dtype=torch.float64)
    bias = torch.randn(units, dtype=torch.float64)
    torch.testing.assert_close(silence.product(x, w, bias), x @ w + bias)
    torch.testing.assert_close(silence.product(x, w), x @ w)
    # a transposed matrix, as forwards
    torch.testing.assert_close(silence.product(x, w.t().contiguous().t()), x @ w)
    total = torch.randn(units, inputs, dtype=torch.float64)
    expected = total + dz.t() @ x
    silence.add_outer(total, dz, x)
    torch.testing.assert_close(total, expected)


def test_what_is_silent_is_left_out(multiplied):
    x = torch.zeros(16, 10, dtype=torch.float64)
    x[[0, 5, 9, 15], [1, 4, 4, 8]] = 1.0  # four presentations of 16; in a piece three units of ten
    silence.product(x, torch.ones(10, 7, dtype=torch.float64))
    assert multiplied == [4 * 4 * 7]  # three units, filled up to four
    multiplied.clear()
    silence.add_outer(torch.zeros(7, 10, dtype=torch.float64), torch.ones(16, 7).double(), x)
    assert sum(multiplied) == 4 * (2 * 4 * 7)  # in each of four pieces one unit, filled up to two
    multiplied.clear()
    silence.add_outer(torch.zeros(10, 7, dtype=torch.float64), x, torch.ones(16, 7).double())
    assert multiplied == [4 * 4 * 7]  # the four presentations make one piece


def test_active_arrays_take_one_product(multiplied):
    x = torch.ones(16, 10, dtype=torch.float64)
    silence.product(x, torch.ones(10, 7, dtype=torch.float64))
    silence.add_outer(torch.zeros(10, 10, dtype=torch.float64), x, x)
    assert multiplied == [16 * 10 * 7, 16 * 10 * 10]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_not_taken_for_silence(value):
    x = torch.zeros(16, 10, dtype=torch.float64)
    x[7, 3] = value
    found = silence.product(x, torch.ones(10, 7, dtype=torch.float64))
    assert not found[7].isfinite().any()
    total = torch.zeros(7, 10, dtype=torch.float64)
    silence.add_outer(total, torch.ones(16, 7, dtype=torch.float64), x)
    assert not total[:, 3].isfinite().any()
    assert total[:, :3].eq(0).all()


def gradients(kind: type[BatchedStage], recipe: Recipe, layer: int) -> dict[str, torch.Tensor]:
    """Return the gradients of one batch, in a state in which units are silent."""
    task = make_task(recipe, rows=57)
    weights = weights_of([task])
    for name in weights:
        if name.endswith("bias"):
            weights[name] -= 0.3
    stage = kind([task], weights, layer, 2048)
    stage._draw_negatives(0)
    (rows, *_) = task.batches(0)
    if stage.shares is not None:
        stage.shares.copy_(torch.tensor([1.0, 0.0]))
    stage.compute(rows[None])
    return {**stage.gradients, "seen": stage.seen, "won": stage.won.double()}


@pytest.mark.parametrize("recipe", RECIPES, ids=name_of)
def test_gradients_are_those_of_the_whole_products(recipe, multiplied):
    work = {BatchedStage: 0, SilentStage: 0}
    for layer in range(1, 4) if recipe.model == "FF" else (0,):
        found = {}
        for kind in work:
            multiplied.clear()
            found[kind] = gradients(kind, recipe, layer)
            work[kind] += sum(multiplied)
        expected, ours = found[BatchedStage], found[SilentStage]
        for name, value in expected.items():
            torch.testing.assert_close(ours[name], value, rtol=1e-10, atol=1e-12, msg=name)
    assert work[SilentStage] < work[BatchedStage]  # something was left out


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=name_of)
def test_whole_runs_are_those_of_autograd(recipe):
    task = make_task(recipe.but(epochs=3))
    ours = loop.train(task, loop.Settings())
    theirs = loop.train(task, loop.Settings(engine="plain"))
    assert ours.engine == "SilentStage"
    for name, weight in theirs.weights.items():
        torch.testing.assert_close(
            torch.from_numpy(ours.weights[name]), torch.from_numpy(weight), rtol=1e-3, atol=1e-4
        )


def test_recipes_of_the_later_study_are_served():
    for model in ("FF", "BPFF", "BP"):
        recipe = recipe_of(model, protocol="relu-l2", batch_size=20)
        assert SilentStage.serves(make_task(recipe))
