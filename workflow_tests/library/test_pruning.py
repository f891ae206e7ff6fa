"""Nets of some units alone: the matrices are smaller, and all units give the net itself."""

import numpy as np
import pandas as pd
import pytest
import torch
from extension_runs import KEYS, WIDTHS, disturbed, run_of
from hypothesis import given, settings
from hypothesis import strategies as st

from ffensembles.extensions.kinds.pruning import (
    AT_HUNDREDTH,
    COLUMNS,
    UNION,
    WHOLE,
    Pruning,
    chosen,
    measure,
    results,
    verdict,
)
from ffensembles.extensions.nets import Images, Net, predict_silenced, predicted, pruned, read
from ffensembles.models.network import hidden
from ffensembles.models.spec import MODELS

NETS = [(model, protocol) for model in MODELS for protocol in ("relu-l2", "sigmoid-linf")]


def net_of(model, protocol, seed=0):
    run = run_of(model, protocol, seed)
    return Net.of(run.weights, run.recipe, run.test_images), Images.of(
        run.test_images, np.arange(40)
    )


@pytest.mark.parametrize(("model", "protocol"), NETS)
@given(seed=st.integers(0, 50))
@settings(max_examples=5, deadline=None)
def test_a_net_pruned_to_all_its_units_is_the_net(model, protocol, seed):
    net, images = net_of(model, protocol, seed)
    same = pruned(net, [np.arange(width) for width in WIDTHS])
    assert same.recipe == net.recipe
    assert same.weights.keys() == net.weights.keys()
    assert all(torch.equal(same.weights[name], net.weights[name]) for name in net.weights)
    assert np.array_equal(predicted(same, images), predicted(net, images))


@pytest.mark.parametrize(("model", "protocol"), NETS)
@given(data=st.data(), layer=st.integers(1, 3))
@settings(max_examples=5, deadline=None)
def test_a_removed_unit_is_a_silenced_one(model, protocol, data, layer):
    net, images = net_of(model, protocol)
    width = WIDTHS[layer - 1]
    gone = sorted(data.draw(st.sets(st.integers(0, width - 1), max_size=width - 1)))
    kept = [np.arange(w) for w in WIDTHS]
    kept[layer - 1] = np.setdiff1d(kept[layer - 1], gone)
    small = pruned(net, kept)
    silenced = predict_silenced(net, read(net, images), layer, np.array(gone, np.int64))
    # sums over fewer terms round differently, so that near ties may fall otherwise
    assert np.mean(predicted(small, images) == silenced) >= 0.95


def test_matrices_are_really_smaller_and_counted():
    net, images = net_of("BP", "relu-l2")
    small = pruned(net, [np.array([0, 3]), np.array([1]), np.array([2, 5, 6])])
    shapes = {name: tuple(values.shape) for name, values in small.weights.items()}
    assert shapes == {
        "layer1.weight": (2, 20), "layer1.bias": (2,), "layer2.weight": (1, 2),
        "layer2.bias": (1,), "layer3.weight": (3, 1), "layer3.bias": (3,),
        "readout.weight": (10, 3), "readout.bias": (10,),
    }  # fmt: skip
    assert small.parameters == 40 + 2 + 2 + 1 + 3 + 3 + 30 + 10
    assert small.multiply_adds == 40 + 2 + 3 + 30
    assert torch.equal(small.weights["layer2.weight"][0], net.weights["layer2.weight"][1, [0, 3]])
    assert [h.shape[1] for h in hidden(small.weights, small.recipe, images.x)] == [2, 1, 3]
    labelled, _ = net_of("FF", "relu-l2")
    weights = 20 * 12 + 12 * 9 + 9 * 7
    assert labelled.multiply_adds == 10 * weights  # an image is read with each of ten labels


def test_units_are_chosen_by_class():
    run = run_of("FF")
    found = run.found(run.activations, "loo", None)
    layer = found["layer1"].to_dataset()
    top = chosen(layer, 1)
    assert set(top) == set(layer["mean"].values.argmax(axis=1))
    assert (np.diff(top) > 0).all()
    assert chosen(layer, WIDTHS[0]).tolist() == list(range(WIDTHS[0]))
    union = np.flatnonzero(layer["active"].values.any(axis=0))
    assert chosen(layer, None).tolist() == union.tolist()
    empty = layer.assign(active=layer["active"] & False)
    assert len(chosen(empty, None)) == 1  # a layer never vanishes
    lost = layer.assign(mean=layer["mean"].where(layer["category"] == 1))
    assert chosen(lost, 1).tolist() == [int(layer["mean"].sel(category=1).values.argmax())]


@pytest.mark.parametrize(("model", "protocol"), NETS)
def test_a_frame_has_all_rules_with_as_many_units(model, protocol):
    frame = measure(
        run_of(model, protocol), Pruning(method="loo", strongest=[1, 12], draws=2, timings=1)
    )
    assert frame.columns.tolist() == list(COLUMNS)
    assert len(frame) == 1 + 3 * 4
    small = frame[frame.rule != WHOLE]
    assert small.groupby(small.strongest.fillna(0))["parameters"].nunique().eq(1).all()
    whole = frame[frame.rule == WHOLE].iloc[0]
    all_kept = frame[frame.strongest == 12]  # as many as the widest layer has
    assert all_kept.accuracy.eq(whole.accuracy).all()
    assert all_kept.parameters.eq(whole.parameters).all()
    assert frame.loc[frame.rule.isin(["ensemble", WHOLE]), "seconds"].gt(0).all()
    assert frame.loc[frame.rule == "random", "seconds"].isna().all()


def rows(seed, share):
    whole = {"rule": WHOLE, "parameters_fraction": 1.0, "accuracy": 0.8, "accuracy_fraction": 1.0}
    found = [whole]
    for strongest, fraction in ((None, 0.2), (1, 0.004), (3, 0.009), (10, 0.05)):
        for rule, factor in (("ensemble", 1), ("random", 0.25), ("mean", 0.5), ("norm", 0.25)):
            found.append(
                {
                    "rule": rule, "strongest": strongest, "parameters_fraction": fraction,
                    "accuracy": 0.8 * share * factor, "accuracy_fraction": share * factor,
                }
            )  # fmt: skip
    frame = pd.DataFrame(found).assign(**KEYS, model="FF", seed=seed)
    return frame.astype({"strongest": "Int64"})


def test_results_and_verdict_by_hand():
    frame = pd.concat([rows(0, 0.9), rows(1, 0.94)], ignore_index=True)
    found = results(frame)
    random = found[found.control == "random units"].set_index("quantity")
    assert random.loc[UNION, "value"] == pytest.approx(0.8 * 0.92)
    # of the nets below a hundredth the larger one, three units of each class
    assert random.loc[AT_HUNDREDTH, "value"] == pytest.approx(0.92)
    assert random.loc[AT_HUNDREDTH, "n_runs"] == 2
    (said,) = verdict(found)
    assert "92% of the whole net's, in 0.2 of its parameters" in said
    assert "above random units" in said
    larger = frame[~(frame.parameters_fraction <= 0.01)]
    assert "No net has at most 1 % of the parameters." in verdict(results(larger))[0]


@pytest.mark.parametrize(("model", "protocol"), NETS)
def test_units_are_chosen_on_one_half_and_accuracy_measured_on_the_other(model, protocol):
    given = Pruning(method="loo", strongest=[1, 12], draws=2, timings=1)
    runs = run_of(model, protocol), disturbed(run_of(model, protocol))
    whole, other = (measure(run, given).drop(columns="seconds") for run in runs)
    pd.testing.assert_frame_equal(other, whole)
