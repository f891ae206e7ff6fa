"""Steps on positive and on negative data in turn: what a step learns from, by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from test_engine import BPFF, FF, RELU_L2, make_task, weights_of
from test_training import same
from torch.nn.functional import softplus

from ffensembles.models.fit import GoodnessFit
from ffensembles.models.network import hidden, norm
from ffensembles.models.plain import goodness_loss, stage_input
from ffensembles.models.recipe import Recipe
from ffensembles.training import loop

ENGINES = ("plain", "fast", "batched")


def train(recipe: Recipe, engine: Any = "plain") -> loop.Trained:
    return loop.train(make_task(recipe), loop.Settings(engine=engine, record_every=1))


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 30))
def test_phases_take_turns_over_batches_and_epochs(n: int, m: int, size: int):
    task = make_task(FF.but(phases=f"{n}-{m}", batch_size=size))
    batches = len(task.batches(0))
    found = [task.phase(epoch, batch) for epoch in range(4) for batch in range(batches)]
    cycle = [True] * n + [False] * m
    assert found == [cycle[step % len(cycle)] for step in range(len(found))]


def test_without_phases_every_step_learns_from_both():
    assert make_task(FF).phase(3, 0) is None
    assert FF.phases == "0-0"
    assert "phases" not in FF.as_json()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "recipe", [FF, FF.but(**RELU_L2), BPFF, BPFF.but(**RELU_L2, batch_size=20)]
)
def test_positive_steps_do_not_depend_on_negatives(recipe: Recipe, engine: Any):
    awake = recipe.but(phases="1000-1")
    once, redrawn = (train(awake.but(negatives=n), engine) for n in ("once", "each-epoch"))
    if recipe.spec.layerwise:  # the layers above read what a trained layer makes of both
        assert same(once.weights, redrawn.weights)
    else:
        for name, weight in once.weights.items():
            np.testing.assert_allclose(weight, redrawn.weights[name], atol=1e-6)
    joint = train(recipe, engine)
    assert not same(once.weights, joint.weights)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("recipe", [FF.but(epochs=1), BPFF.but(epochs=1, **RELU_L2)])
def test_the_first_loss_is_the_mean_over_positive_data_alone(recipe: Recipe, engine: Any):
    task = make_task(recipe.but(phases="1-1"))
    weights = {name: w[0] for name, w in weights_of([task]).items()}
    x = stage_input(task, weights, 0, task.labels)
    layers = hidden(weights, recipe, x, 1 if recipe.spec.layerwise else None)
    goodness = torch.stack([norm(h, recipe.goodness) for h in layers]).sum(0)
    expected = float(softplus(recipe.theta - goodness).mean())
    assert train(task.recipe, engine).history[0]["loss"] == pytest.approx(expected, rel=1e-6)


def test_the_loss_of_both_is_the_mean_of_the_losses_of_each():
    positive, negative = torch.tensor([0.2, 2.0]), torch.tensor([0.4, 1.0])
    both = goodness_loss(positive, negative, 1.0)
    alone = [goodness_loss(positive, negative, 1.0, phase) for phase in (True, False)]
    assert float(both) == pytest.approx(float(sum(alone)) / 2)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_continued_within_a_phase_ends_with_the_same_weights(engine: Any):
    task = make_task(FF.but(phases="2-3", batch_size=20 if engine != "fast" else None))
    settings = loop.Settings(engine=engine, checkpoint_minutes=0)
    saved: list[loop.State] = []
    whole = loop.train(task, settings, save=saved.append)
    for state in saved[::4]:
        assert same(loop.train(task, settings, state=state).weights, whole.weights)


@pytest.mark.parametrize("text", ["1", "0-1", "3-0", "a-b", "1-1-1", "-1-1", "01-1"])
def test_phases_that_are_none_are_told(text: str):
    with pytest.raises(ValidationError, match="phases"):
        GoodnessFit(learning_rate=0.1, epochs=1, batch_size=None, theta=1.0, phases=text)
