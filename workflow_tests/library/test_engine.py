"""Every fast way of training against the plain reference, and what a run owes its user."""

import logging
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes import recipe_of

from ffensembles.datasets.prepare import prepare
from ffensembles.engine.adam import Adam
from ffensembles.engine.batched import BatchedStage
from ffensembles.engine.inputs import blocks
from ffensembles.engine.pooled import Pooled, join
from ffensembles.engine.scatter import add_rows, add_rows_in_pieces
from ffensembles.engine.silent_stage import SilentStage
from ffensembles.engine.stages import Solo, open_stage, stage_kind
from ffensembles.engine.winner_stage import WinnerStage
from ffensembles.errors import TrainingError
from ffensembles.models.network import hidden, initial_weights, predict
from ffensembles.models.plain import PlainStage, Task
from ffensembles.models.recipe import Recipe
from ffensembles.training import devices, loop
from ffensembles.training.evaluation import TestImages, accuracy

N_LABELS = 4
FF = recipe_of("FF", widths=(13, 11, 7), epochs=6, negatives="once")
BPFF = recipe_of("BPFF", widths=FF.widths, epochs=6)
BP = recipe_of("BP", widths=FF.widths, epochs=6, batch_size=16)
PENALISED = [BP.but(l1_penalty=0.002), BP.but(l1_penalty=0.01, activation="relu")]
RELU_L2: dict[str, Any] = {
    "activation": "relu", "goodness": "l2", "normalisation": "l2", "theta": 3.0
}  # fmt: skip
VARIANTS = [
    FF,
    FF.but(negatives="each-epoch"),
    FF.but(normalise_input=False),
    FF.but(activation="relu"),
    FF.but(activation="relu", goodness="l2", normalisation="l2", batch_size=20, theta=3.0),
    FF.but(goodness="l1", normalisation="l2", theta=6.0),
    FF.but(normalisation="l2"),
    BPFF,
    BPFF.but(batch_size=20, activation="relu"),
    BPFF.but(negatives="each-epoch", normalise_input=False),
    BPFF.but(goodness="l2", normalisation="l2", activation="relu", batch_size=20, theta=3.0),
    BPFF.but(widths=(9, 5)),
    FF.but(negatives="pooled"),
    FF.but(negatives="pooled", batch_size=20),
    FF.but(negatives="pooled", **RELU_L2),
    FF.but(negatives="pooled", **RELU_L2, batch_size=20),
    FF.but(negatives="pooled", goodness="l1", normalisation="l2", theta=6.0),
    FF.but(negatives="pooled", goodness="l1", normalise_input=False, theta=6.0, batch_size=20),
    BPFF.but(negatives="pooled"),
    BPFF.but(negatives="pooled", batch_size=20),
    BPFF.but(negatives="pooled", **RELU_L2),
    BPFF.but(negatives="pooled", **RELU_L2, batch_size=20),
    BPFF.but(negatives="pooled", goodness="l1", normalise_input=False),
    BPFF.but(negatives="pooled", goodness="l1", normalisation="l1", batch_size=20),
    FF.but(negatives="permuted"),
    FF.but(negatives="permuted", **RELU_L2, batch_size=20),
    BPFF.but(negatives="permuted"),
    FF.but(phases="1-2"),
    FF.but(phases="2-1", negatives="each-epoch", goodness="l2", activation="relu", theta=3.0),
    FF.but(phases="2-2", negatives="pooled", **RELU_L2, batch_size=20),
    BPFF.but(phases="2-1"),
    BPFF.but(phases="1-1", negatives="pooled", **RELU_L2, batch_size=20),
    FF.but(loss="sum"),
    FF.but(loss="sum", negatives="pooled"),
    FF.but(loss="sum", phases="2-1", negatives="pooled", **RELU_L2, batch_size=20),
    BPFF.but(loss="sum"),
    BPFF.but(loss="sum", phases="1-1", objective="layers", theta=0.5),
    BPFF.but(objective="mean", theta=0.5),
    BPFF.but(objective="mean", negatives="pooled", **RELU_L2, batch_size=20),
    BPFF.but(objective="layers", theta=0.5),
    BPFF.but(objective="layers", negatives="pooled", theta=0.5),
    BPFF.but(objective="layers", negatives="pooled", phases="2-1", **RELU_L2, batch_size=20),
    BPFF.but(objective="max", theta=0.5),
    BPFF.but(objective="max", negatives="pooled", **RELU_L2, batch_size=20),
    BPFF.but(objective="local", negatives="pooled", theta=0.5),
    BPFF.but(objective="local", negatives="each-epoch", theta=0.5),
    BPFF.but(objective="local", negatives="pooled", phases="2-1", **RELU_L2, batch_size=20),
]


def name_of(recipe: Recipe) -> str:
    changed = [str(getattr(recipe, key)) for key in recipe.as_json()
               if getattr(recipe, key) != getattr(FF, key)]  # fmt: skip
    ends = [recipe.negatives] if recipe.negatives in ("pooled", "permuted") else []
    ends += ["l1"] if recipe.l1_penalty else []
    ends += [recipe.phases] if recipe.phases != "0-0" else []
    ends += [recipe.objective] if recipe.objective != "sum" else []
    ends += ["of the sum"] if recipe.loss == "sum" else []
    return "-".join([recipe.model, *changed[:4], *ends])


def make_task(
    recipe: Recipe,
    rows: int = 57,
    pixels: int = 30,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    channels: int = 1,
) -> Task:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, pixels, generator=g, dtype=dtype)
    positions = pixels // channels * torch.arange(channels)[:, None] + torch.arange(N_LABELS)
    x[:, positions.flatten()] = 0
    labels = torch.randint(0, N_LABELS, (rows,), generator=g)
    on = torch.rand(rows, generator=g, dtype=dtype) + 1.5
    return Task(recipe, 3, x, labels, on, positions)


def images_of_test(task: Task) -> TestImages:
    return TestImages(task.x, task.labels, task.label_value)


def weights_of(tasks: Sequence[Task]) -> dict[str, torch.Tensor]:
    """Draw the weights of some runs, stacked."""
    drawn = [initial_weights(t.recipe, t.seed, t.x.shape[1], N_LABELS) for t in tasks]
    return {
        name: torch.stack([own[name] for own in drawn]).to(tasks[0].x.dtype) for name in drawn[0]
    }


def first_gradients(
    kind: type,
    tasks: Sequence[Task],
    layer: int | None = None,
    weights: dict[str, torch.Tensor] | None = None,
) -> list[dict[str, torch.Tensor]]:
    """Return each run's gradients in the first step of a stage, by default the last.

    They are read off Adam's memory, whose first mean is a tenth of the first gradient.
    """
    recipe = tasks[0].recipe
    if layer is None:
        layer = len(recipe.widths) if recipe.model == "FF" else 0
    stage = open_stage(kind, tasks, weights or weights_of(tasks), layer, block_size=16)
    stage.epoch(0)
    means = {
        name.removesuffix(".exp_avg").removeprefix(f"layer{layer}."): value / 0.1
        for name, value in stage.state().items()
        if name.endswith(".exp_avg")
    }
    if isinstance(stage, Solo):
        return [means]
    return [{name: value[run] for name, value in means.items()} for run in range(len(tasks))]


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], by: float) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=by, atol=by, msg=f"{name} differs")


@pytest.mark.parametrize(
    "recipe", [*VARIANTS, BP, BP.but(activation="relu"), *PENALISED], ids=name_of
)
@settings(deadline=None, max_examples=12)
@given(rows=st.integers(3, 60), pixels=st.integers(N_LABELS, 40), seed=st.integers(0, 10**6))
def test_gradients_are_the_references(recipe, rows, pixels, seed):
    recipe = recipe.but(batch_size=None)  # the whole epoch is one step
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        task = make_task(recipe, rows, pixels, seed, dtype)
        (theirs,) = first_gradients(PlainStage, [task])
        for kind in {stage_kind(task, "fast"), BatchedStage}:
            (ours,) = first_gradients(kind, [task])
            assert_close(ours, theirs, tolerance)


@pytest.mark.parametrize(
    "recipe",
    [
        FF,
        FF.but(negatives="pooled"),
        FF.but(negatives="pooled", **RELU_L2, batch_size=57),
        BPFF.but(negatives="each-epoch"),
        BPFF.but(negatives="pooled", **RELU_L2),
        BP,
    ],
    ids=name_of,
)
@pytest.mark.parametrize("layer", [1, None])
def test_labels_in_every_channel_have_the_references_gradients(recipe, layer):
    task = make_task(recipe, channels=3)
    of = layer if recipe.spec.layerwise else None
    (theirs,) = first_gradients(PlainStage, [task], of)
    for kind in {stage_kind(task, "fast"), BatchedStage}:
        (ours,) = first_gradients(kind, [task], of)
        assert_close(ours, theirs, 1e-10)


def test_accuracy_does_not_depend_on_blocks():
    for recipe in (FF, BP):
        task = make_task(recipe)
        weights = {name: stacked[0] for name, stacked in weights_of([task]).items()}
        whole = accuracy(weights, task, images_of_test(task), None)
        assert accuracy(weights, task, images_of_test(task), None, block=7) == whole


@pytest.mark.parametrize("recipe", [FF, FF.but(negatives="pooled"), BPFF], ids=name_of)
@pytest.mark.parametrize("bias", [6.0, 12.0])
def test_saturated_layers_are_the_references(recipe, bias):
    """In float64, which tells their units apart; in float32 sigmoids of 9 and more are often 1."""
    task = make_task(recipe.but(batch_size=None))
    weights = weights_of([task])
    for layer in range(1, len(recipe.widths) + 1):
        weights[f"layer{layer}.bias"] += bias
    (theirs,) = first_gradients(PlainStage, [task], weights=deepcopy(weights))
    largest = max(float(value.abs().max()) for value in theirs.values())
    assert 0 < largest < 0.1
    for kind in {stage_kind(task, "fast"), BatchedStage}:
        (ours,) = first_gradients(kind, [task], weights=deepcopy(weights))
        assert_close(ours, theirs, 1e-9 * largest)


@pytest.mark.parametrize("kind", [PlainStage, BatchedStage])
@pytest.mark.parametrize("activation", ["relu", "sigmoid"])
def test_the_l1_penalty_and_its_gradient_are_those_worked_out_by_hand(kind, activation):
    """Two hidden layers, in numpy: cross-entropy's mean, and the penalty's sum, over the batch."""
    penalty, n = 0.03, 5
    recipe = BP.but(widths=(4, 3), batch_size=None, l1_penalty=penalty, activation=activation)
    task = make_task(recipe, n, 6)
    net = {name: w[0].numpy().copy() for name, w in weights_of([task]).items()}
    x = task.x.numpy()
    labels = np.eye(N_LABELS)[task.labels.numpy()]

    def act(z):
        return np.maximum(z, 0) if activation == "relu" else 1 / (1 + np.exp(-z))

    def slope(a):
        return (a > 0).astype(float) if activation == "relu" else a * (1 - a)

    a1 = act(x @ net["layer1.weight"].T + net["layer1.bias"])
    a2 = act(a1 @ net["layer2.weight"].T + net["layer2.bias"])
    raised = np.exp(a2 @ net["readout.weight"].T + net["readout.bias"])
    p = raised / raised.sum(1, keepdims=True)
    loss = -(labels * np.log(p)).sum() / n + penalty * (a1.sum() + a2.sum())
    dz3 = (p - labels) / n
    dz2 = (dz3 @ net["readout.weight"] + penalty) * slope(a2)
    dz1 = (dz2 @ net["layer2.weight"] + penalty) * slope(a1)
    by_hand = {}
    for name, below, dz in (("layer1", x, dz1), ("layer2", a1, dz2), ("readout", a2, dz3)):
        by_hand[f"{name}.weight"] = torch.from_numpy(dz.T @ below)
        by_hand[f"{name}.bias"] = torch.from_numpy(dz.sum(0))
    (found,) = first_gradients(kind, [task])
    assert_close({name: found[name] for name in by_hand}, by_hand, 1e-10)
    (measured,) = open_stage(kind, [task], weights_of([task]), 0, block_size=2).epoch(0)
    assert measured.loss == pytest.approx(loss, rel=1e-12)


def test_the_l1_penalty_makes_the_activity_of_bp_smaller():
    def activity(penalty: float) -> float:
        task = make_task(BP.but(l1_penalty=penalty, activation="relu", epochs=30))
        learnt = loop.train(task, loop.Settings()).weights
        weights = {name: torch.from_numpy(array).double() for name, array in learnt.items()}
        return float(sum(h.sum() for h in hidden(weights, task.recipe, task.x)))

    assert activity(0.01) < activity(0.001) < activity(0.0)


@pytest.mark.parametrize("recipe", [*VARIANTS, BP, *PENALISED], ids=name_of)
def test_a_block_of_runs_is_the_runs_one_by_one(recipe):
    recipe = recipe.but(epochs=3)
    tasks = [replace(make_task(recipe), seed=seed) for seed in (3, 4, 9)]
    assert len({str(task.negatives(0)) for task in tasks}) == 3
    weights = weights_of(tasks)
    block = [weights]
    seen = {}
    for layer in range(1, 4) if recipe.model == "FF" else [0]:
        stage = open_stage(BatchedStage, tasks, weights, layer, block_size=16)
        for epoch in range(recipe.epochs):
            seen[layer] = stage.epoch(epoch)
    for run, task in enumerate(tasks):
        alone = loop.train(task, loop.Settings(engine="plain"))
        for name, weight in alone.weights.items():
            np.testing.assert_allclose(block[0][name][run], weight, rtol=1e-6, atol=1e-7)
        last = alone.history[-1]
        assert seen[last["layer"]][run].loss == pytest.approx(last["loss"], rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(
    runs=st.integers(1, 3), units=st.integers(1, 9), rows=st.integers(1, 1500),
    shared=st.booleans(), seed=st.integers(0, 10**6), favourite=st.booleans(),
)  # fmt: skip
def test_rows_are_summed_by_unit_in_pieces_as_one_by_one(
    runs, units, rows, shared, seed, favourite
):
    g = torch.Generator().manual_seed(seed)
    unit = torch.randint(0, 1 if favourite else units, (runs, rows), generator=g)
    shape = (rows, 3) if shared else (runs, rows, 3)
    x, scale = torch.randn(shape, generator=g).double(), torch.randn(runs, rows).double()
    expected, found = (torch.ones(runs, units, 3).double() for _ in range(2))
    for run in range(runs):
        for row in range(rows):
            own = x if shared else x[run]
            expected[run, unit[run, row]] += scale[run, row] * own[row]
    add_rows_in_pieces(found, unit, x, scale)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    once = torch.ones(runs, units, 3).double()
    add_rows(once, unit, x, scale)
    torch.testing.assert_close(once, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [*VARIANTS, BP, *PENALISED], ids=name_of)
def test_whole_runs_are_the_references(recipe):
    task = make_task(recipe)
    test_images = images_of_test(task)
    fast, plain = (
        loop.train(task, loop.Settings(engine=kind, block_size=16, record_every=1), test_images)
        for kind in ("fast", "plain")
    )
    for name, weight in plain.weights.items():
        np.testing.assert_allclose(fast.weights[name], weight, rtol=1e-6, atol=1e-7)
    assert fast.accuracy == plain.accuracy
    for ours, theirs in zip(fast.history, plain.history, strict=True):
        assert (ours["layer"], ours["epoch"]) == (theirs["layer"], theirs["epoch"])
        for key in ("loss", "goodness_positive", "goodness_negative", "winners"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-9, nan_ok=True)


DATA = {"standardisation": "own", "source": None, "folder": "data", "train_images": 600,
        "test_images": 300, "split_seed": 0}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "dtype"),
    [
        # roundings of float32 grow, on one kind of processor to 1.5e-5 of a loss
        (FF, torch.float64),
        (FF.but(activation="relu", goodness="l2", normalisation="l2", batch_size=128, theta=3.0),
         torch.float32),
        (BPFF, torch.float64),  # likewise
        (BP.but(batch_size=64, learning_rate=0.001), torch.float64),  # likewise
    ],
    ids=["FF", "FF-l2", "BPFF", "BP"],
)  # fmt: skip
def test_fifty_epochs_on_real_images_are_the_references(recipe, dtype):
    recipe = recipe.but(widths=(128, 96, 64), epochs=50)
    images, test = (prepare("digits", split, DATA, **recipe.images) for split in ("train", "test"))
    cpu = torch.device("cpu")
    task, test_images = devices.task(images, recipe, 0, None, cpu), devices.test_images(test, cpu)
    task = replace(task, x=task.x.to(dtype), label_value=task.label_value.to(dtype))
    test_images = replace(
        test_images, x=test_images.x.to(dtype), label_value=test_images.label_value.to(dtype)
    )
    fast, plain = (
        loop.train(task, loop.Settings(engine=kind, record_every=1), test_images)
        for kind in ("fast", "plain")
    )
    for ours, theirs in zip(fast.history, plain.history, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)
    for name, weight in plain.weights.items():
        difference = np.abs(fast.weights[name] - weight)
        assert np.median(difference) < 1e-6
        # where a gradient is nothing but rounding, Adam makes a step of it
        assert difference.max() < recipe.learning_rate
    assert fast.accuracy["network"] == pytest.approx(plain.accuracy["network"], abs=0.004)


def test_the_fast_engine_is_chosen_where_it_is_exact_and_says_so(caplog):
    caplog.set_level(logging.INFO)
    assert stage_kind(make_task(FF), "fast") is WinnerStage
    assert stage_kind(make_task(FF.but(goodness="l2")), "fast") is BatchedStage
    assert stage_kind(make_task(FF.but(batch_size=5)), "fast") is BatchedStage
    assert stage_kind(make_task(BPFF), "fast") is BatchedStage
    assert stage_kind(make_task(BP), "fast") is BatchedStage
    sparse = make_task(FF.but(**RELU_L2, batch_size=5))
    assert stage_kind(sparse, "fast") is SilentStage
    assert stage_kind(sparse, "batched") is BatchedStage
    assert stage_kind(make_task(FF), "plain") is PlainStage
    loop.train(make_task(FF.but(epochs=1)), loop.Settings())
    assert "FF layer 3: WinnerStage" in caplog.text


def test_adam_is_pytorchs_to_the_last_bit():
    g = torch.Generator().manual_seed(1)
    theirs = torch.randn(7, 5, generator=g).requires_grad_()
    ours = theirs.detach().clone()
    reference, adam = torch.optim.Adam([theirs], lr=0.01), Adam({"w": ours}, 0.01)
    for _ in range(50):
        gradient = torch.randn(7, 5, generator=g)
        theirs.grad = gradient
        reference.step()
        adam.step({"w": gradient})
        assert torch.equal(ours, theirs.detach())


@pytest.mark.parametrize("recipe", [FF, BPFF, BP], ids=name_of)
def test_a_seed_fixes_every_bit(recipe):
    runs = [loop.train(make_task(recipe, dtype=torch.float32), loop.Settings()) for _ in range(2)]
    other = loop.train(replace(make_task(recipe, dtype=torch.float32), seed=4), loop.Settings())
    for name, weight in runs[0].weights.items():
        assert np.array_equal(weight, runs[1].weights[name])
        assert not np.array_equal(weight, other.weights[name])


@pytest.mark.parametrize(
    ("recipe", "epochs_done"),
    # epoch 8 is in the second layer, where layers train one after another
    [(recipe, 8 if recipe.spec.layerwise else 4) for recipe in (FF, BPFF, BP)]
    + [
        pytest.param(recipe, done, marks=pytest.mark.slow)
        for recipe, done in [
            *((recipe, done) for recipe in (FF, BPFF, BP) for done in (1, 4)),
            *((one, 8 if one.spec.layerwise else 4) for one in VARIANTS if one not in (FF, BPFF)),
        ]
    ],
    ids=lambda one: name_of(one) if isinstance(one, Recipe) else str(one),
)
def test_a_stopped_run_goes_on_to_the_same_bits(recipe, epochs_done):
    task = make_task(recipe, dtype=torch.float32)
    whole = loop.train(task, loop.Settings(record_every=2), images_of_test(task))
    saved: list[loop.State] = []
    left = [epochs_done]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    settings_ = loop.Settings(record_every=2)
    with pytest.raises(loop.Stopped):
        loop.train(task, settings_, images_of_test(task), save=saved.append, stop=stop)
    resumed = loop.train(task, settings_, images_of_test(task), state=saved[-1])
    for name, weight in whole.weights.items():
        assert np.array_equal(weight, resumed.weights[name])
    untimed = [[{**row, "seconds": 0} for row in run.history] for run in (whole, resumed)]
    assert str(untimed[0]) == str(untimed[1])  # as text: nan equals nan


def test_saving_at_every_epoch_stands_for_kills_at_every_epoch():
    task = make_task(FF, dtype=torch.float32)
    saved: list[loop.State] = []
    often = loop.Settings(checkpoint_minutes=0)
    whole = loop.train(task, often, save=saved.append)
    assert len(saved) == 3 * (FF.epochs - 1) + 2  # between any two epochs
    for state in saved[::4]:
        again = loop.train(task, often, state=state)
        for name, weight in whole.weights.items():
            assert np.array_equal(weight, again.weights[name])


def test_a_checkpoint_of_other_widths_is_refused():
    saved: list[loop.State] = []
    loop.train(make_task(FF), loop.Settings(checkpoint_minutes=0), save=saved.append)
    with pytest.raises(TrainingError, match="does not fit the recipe"):
        loop.train(make_task(FF.but(widths=(12, 11, 7))), loop.Settings(), state=saved[0])


def test_a_loss_that_is_not_finite_names_layer_epoch_and_way_out():
    task = make_task(FF)
    task.x[5, 9] = float("nan")
    with pytest.raises(TrainingError, match=r"FF layer 1.*epoch 1.*learning rate below 0\.01"):
        loop.train(task, loop.Settings(engine="plain"))
    with pytest.raises(TrainingError, match="FF layer 1"):
        loop.train(task, loop.Settings())


def test_dead_layers_are_said_loudly(caplog):
    task = make_task(FF.but(theta=-20.0, learning_rate=0.5, epochs=40))
    trained = loop.train(task, loop.Settings(), images_of_test(task))
    assert 1 in trained.dead_layers
    assert "WARNING: seed 3: layer 1 is dead: no unit exceeds 0.01" in caplog.text


def test_lost_classes_are_said_loudly(caplog):
    task = make_task(FF, dtype=torch.float32)
    learnt = loop.train(task, loop.Settings()).weights
    weights = {name: torch.from_numpy(array) for name, array in learnt.items()}
    predicted, _ = predict(weights, FF, task.x, task.label_value, task.positions, None)
    test_images = TestImages(
        task.x, (predicted + 1) % N_LABELS, task.label_value
    )  # every answer is wrong
    trained = loop.train(task, loop.Settings(), test_images)
    assert trained.lost_classes == test_images.labels.unique().tolist()
    assert "WARNING: seed 3: no test image of class" in caplog.text
    assert trained.accuracy["network"] == 0


def test_initial_weights_depend_on_seed_and_layer_alone():
    one = initial_weights(FF, 0, 30, N_LABELS)
    deeper = initial_weights(FF.but(widths=(13, 11, 7, 5)), 0, 30, N_LABELS)
    for name, weight in one.items():
        assert torch.equal(weight, deeper[name])
    bound = 30**-0.5
    assert one["layer1.weight"].abs().max() <= bound
    assert one["layer1.weight"].abs().max() > 0.9 * bound


def test_negatives_never_carry_the_true_label_nor_the_held_out_one():
    task = make_task(FF.but(negatives="each-epoch"))
    kept = task.labels != 2
    task = replace(
        task,
        x=task.x[kept],
        labels=task.labels[kept],
        label_value=task.label_value[kept],
        held_out=2,
    )
    draws = torch.stack([task.negatives(epoch).labels for epoch in range(200)])
    assert not (draws == task.labels).any()
    assert not (draws == 2).any()
    assert len(draws.unique()) == N_LABELS - 1
    included = replace(task, recipe=task.recipe.but(held_out_negatives="include"))
    assert (torch.stack([included.negatives(epoch).labels for epoch in range(20)]) == 2).any()


def without_class(task: Task, left_out: int) -> Task:
    kept = task.labels != left_out
    return replace(
        task,
        x=task.x[kept],
        labels=task.labels[kept],
        label_value=task.label_value[kept],
        held_out=left_out,
    )


@pytest.mark.parametrize("batch_size", [None, 20])
def test_pooled_negatives_are_drawn_once_and_none_is_wrong(batch_size):
    task = without_class(make_task(FF.but(negatives="pooled", batch_size=batch_size), 400), 2)
    labels, image = task.negatives(0)
    assert image is not None
    assert len(labels) == len(image) == len(task.x)
    assert not (labels == task.labels[image]).any()
    assert not (labels == 2).any()
    assert len(torch.stack([image, labels]).unique(dim=1).t()) == len(labels)
    assert all(torch.equal(a, b) for a, b in zip((labels, image), task.negatives(7), strict=True))
    assert not torch.equal(image, replace(task, seed=4).negatives(0).image)
    assert torch.equal(image, image.sort().values) == (batch_size is None)
    included = replace(task, recipe=task.recipe.but(held_out_negatives="include"))
    assert (included.negatives(0).labels == 2).any()


def test_permuted_labels_are_all_labels_once_and_some_are_right():
    task = make_task(FF.but(negatives="permuted"), 4000)
    labels, image = task.negatives(0)
    assert image is None
    assert torch.equal(labels.sort().values, task.labels.sort().values)
    assert (labels == task.labels).double().mean().item() == pytest.approx(1 / N_LABELS, abs=0.03)
    assert torch.equal(labels, task.negatives(7).labels)
    assert not torch.equal(labels, replace(task, seed=4).negatives(0).labels)


def test_an_epoch_takes_every_presentation_once_the_last_ones_too():
    batches = make_task(FF.but(batch_size=20)).batches(3)
    assert [len(batch) for batch in batches] == [20, 20, 17]
    assert torch.cat(batches).sort().values.tolist() == list(range(57))


@pytest.mark.parametrize("batch_size", [None, 20])
@pytest.mark.parametrize("recipe", [FF, FF.but(**RELU_L2), BPFF.but(**RELU_L2)], ids=name_of)
def test_pooled_negatives_without_a_class_train_as_the_reference(recipe, batch_size):
    recipe = recipe.but(negatives="pooled", batch_size=batch_size, epochs=3)
    task = without_class(make_task(recipe, 80), 2)
    fast, plain = (
        loop.train(task, loop.Settings(engine=kind, block_size=16, record_every=1))
        for kind in ("fast", "plain")
    )
    for name, weight in plain.weights.items():
        np.testing.assert_allclose(fast.weights[name], weight, rtol=1e-6, atol=1e-7)


@settings(deadline=None, max_examples=60)
@given(
    runs=st.integers(1, 3), rows=st.integers(1, 40), block=st.integers(1, 17),
    seed=st.integers(0, 10**6),
)  # fmt: skip
def test_a_blocks_pooled_negatives_are_those_of_its_images(runs, rows, block, seed):
    g = torch.Generator().manual_seed(seed)
    image = torch.randint(0, rows, (runs, rows), generator=g).sort(1).values
    labels = torch.arange(rows).repeat(runs, 1)  # tells them apart
    gradient = torch.randn(runs, rows, 3, generator=g, dtype=torch.float64)
    for part in blocks(rows, block):
        pooled = Pooled.of(image, labels, part)
        real = pooled.real if pooled.real is not None else pooled.image >= 0
        size = part.stop - part.start
        found = torch.zeros(runs, size, 3, dtype=torch.float64)
        expected = found.clone()
        own = torch.stack([of_run[k] for of_run, k in zip(gradient, pooled.labels, strict=True)])
        own *= real[..., None]
        join(found, own, pooled)
        for run in range(runs):
            inside = (image[run] >= part.start) & (image[run] < part.stop)
            assert pooled.labels[run][real[run]].tolist() == inside.nonzero()[:, 0].tolist()
            local = image[run][inside] - part.start
            assert torch.equal(pooled.image[run][real[run]], local)
            expected[run].index_add_(0, local, gradient[run][inside])
            counts = torch.bincount(local, minlength=size)
            assert torch.equal(pooled.edges[run].diff(), counts)
            sums = torch.segment_reduce(own[run], "sum", offsets=pooled.edges[run], unsafe=True)
            torch.testing.assert_close(sums, expected[run], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
