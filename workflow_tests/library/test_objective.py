"""BP/FF's objectives: one loss of all layers' goodness or of the largest, or one of each."""

import math
from typing import Any

import pytest
import torch
from test_engine import BPFF, FF, RELU_L2, first_gradients, make_task, weights_of

from ffensembles.engine.batched import BatchedStage
from ffensembles.engine.stages import open_stage
from ffensembles.engine.winner_stage import WinnerStage
from ffensembles.models.fit import Objective
from ffensembles.models.plain import PlainStage, goodness_loss
from ffensembles.models.recipe import Recipe

LAYERS = BPFF.but(objective="layers", theta=0.5)
KINDS = [PlainStage, BatchedStage]


def test_the_losses_of_layers_are_summed():
    positive = torch.tensor([[1.0, 0.5], [0.0, 0.5]])  # (layers, presentations)
    negative = torch.tensor([[0.0, 0.5], [1.0, 0.5]])
    good, even, bad = (math.log1p(math.exp(x)) for x in (-0.5, 0.0, 0.5))
    first, second = (2 * good + 2 * even) / 4, (2 * bad + 2 * even) / 4
    assert float(goodness_loss(positive, negative, 0.5)) == pytest.approx(first + second)
    assert float(goodness_loss(positive, negative, 0.5, True)) == pytest.approx(
        (good + even) / 2 + (bad + even) / 2
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("objective", ["mean", "max", "layers", "local"])
def test_of_a_net_of_one_layer_all_are_the_same(kind: type, objective: Objective):
    one = BPFF.but(widths=(9,), objective=objective)
    ((ours,), (summed,)) = (
        first_gradients(kind, [make_task(recipe)]) for recipe in (one, one.but(objective="sum"))
    )
    assert all(torch.equal(value, summed[name]) for name, value in ours.items())


def test_a_mean_is_a_third_of_the_sum_of_three_layers():
    def goodness(recipe: Recipe) -> torch.Tensor:
        task = make_task(recipe)
        weights = {name: value[0] for name, value in weights_of([task]).items()}
        return PlainStage(task, weights, 0).goodness(task.x)[0]

    one = goodness(BPFF.but(objective="mean"))
    torch.testing.assert_close(one, goodness(BPFF) / 3)
    torch.testing.assert_close(one, goodness(LAYERS).mean(0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recipe", [LAYERS, LAYERS.but(**RELU_L2)], ids=["linf", "l2"])
def test_the_last_layer_first_learns_as_in_ff(kind: type, recipe: Recipe):
    """No layer is above it, so its gradient is that of its own goodness, as FF's."""
    own = FF.but(activation=recipe.activation, goodness=recipe.goodness, theta=recipe.theta,
                 normalisation=recipe.normalisation, epochs=0)  # fmt: skip
    (ours,) = first_gradients(kind, [make_task(recipe)])
    (theirs,) = first_gradients(PlainStage, [make_task(own)])  # layers below are untrained
    for name in ("weight", "bias"):
        torch.testing.assert_close(ours[f"layer3.{name}"], theirs[name])
    (summed,) = first_gradients(kind, [make_task(recipe.but(objective="sum"))])
    assert not torch.allclose(summed["layer3.weight"], theirs["weight"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("changed", [{}, RELU_L2], ids=["linf", "l2"])
def test_of_a_local_objective_every_layer_learns_as_in_ff(kind: type, changed: dict[str, Any]):
    """FF's layers too see those below as they are, here untrained."""
    (ours,) = first_gradients(kind, [make_task(LAYERS.but(objective="local", **changed))])
    for layer in (1, 2, 3):
        own = FF.but(**{"theta": 0.5, **changed}, epochs=0)
        (theirs,) = first_gradients(PlainStage, [make_task(own)], layer)
        for name in ("weight", "bias"):
            torch.testing.assert_close(ours[f"layer{layer}.{name}"], theirs[name])


@pytest.mark.parametrize("kind", KINDS)
def test_of_the_largest_goodness_its_layer_and_those_below_learn(kind: type):
    """With weights that saturate layer 2, whatever it reads, layer 3 has nothing to learn."""
    task = make_task(BPFF.but(objective="max", theta=0.5))
    weights = weights_of([task])
    weights["layer2.bias"] += 3
    (ours,) = first_gradients(kind, [task], weights=weights)
    assert ours["layer3.weight"].abs().max() == 0
    assert ours["layer2.weight"].abs().max() > 0
    assert ours["layer1.weight"].abs().max() > 0


@pytest.mark.parametrize("kind", [PlainStage, BatchedStage, WinnerStage])
@pytest.mark.parametrize("phases", ["0-0", "1-1"])
def test_a_sum_is_the_mean_times_the_presentations_that_a_step_learns_from(kind: type, phases: str):
    of_mean, of_sum = (FF.but(loss=loss, phases=phases, epochs=0) for loss in ("mean", "sum"))
    ((mean,), (summed,)) = (first_gradients(kind, [make_task(of)]) for of in (of_mean, of_sum))
    presentations = 57 * (1 if phases == "1-1" else 2)
    for name, value in mean.items():
        assert value.abs().max() > 0
        torch.testing.assert_close(summed[name], value * presentations)


def test_what_is_reported_is_the_mean_whatever_is_learnt_from():
    for kind in (PlainStage, BatchedStage, WinnerStage):
        losses = []
        for loss in ("mean", "sum"):
            tasks = [make_task(FF.but(loss=loss))]
            stage = open_stage(kind, tasks, weights_of(tasks), 1, block_size=16)
            (measures,) = stage.epoch(0)
            losses.append(measures.loss)
        assert losses[0] == pytest.approx(losses[1])
