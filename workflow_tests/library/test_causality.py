"""Silencing and stimulating units: properties that must hold, and nets worked out by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from extension_runs import KEYS, WIDTHS, disturbed, run_of
from hypothesis import given, settings
from hypothesis import strategies as st

from ffensembles.extensions.kinds.causality import (
    COLUMNS,
    OWN_LOSS,
    SELECTIVITY,
    Causality,
    blank,
    ensemble,
    measure,
    response,
    results,
    verdict,
)
from ffensembles.extensions.nets import (
    Images,
    Net,
    decide,
    predict_silenced,
    predicted,
    read,
    stimulated,
)
from ffensembles.models.network import hidden
from ffensembles.models.spec import MODELS

NETS = [(model, protocol) for model in MODELS for protocol in ("relu-l2", "sigmoid-linf")]
ALL = np.arange(40)


def net_of(model, protocol, seed=0, prediction="goodness"):
    run = run_of(model, protocol, seed, prediction=prediction)
    return Net.of(run.weights, run.recipe, run.test_images), Images.of(run.test_images, ALL)


@pytest.mark.parametrize("prediction", ["goodness", "softmax"])
@pytest.mark.parametrize(("model", "protocol"), NETS)
def test_what_is_read_for_every_label_predicts_as_the_model_does(model, protocol, prediction):
    net, images = net_of(model, protocol, prediction=prediction)
    assert np.array_equal(decide(net, read(net, images)), predicted(net, images))


@pytest.mark.parametrize(("model", "protocol"), NETS)
@given(seed=st.integers(0, 50), layer=st.integers(1, 3))
@settings(max_examples=5, deadline=None)
def test_silencing_nothing_changes_nothing(model, protocol, seed, layer):
    net, images = net_of(model, protocol, seed)
    reading = read(net, images)
    now = predict_silenced(net, reading, layer, np.array([], np.int64))
    assert np.array_equal(now, predicted(net, images))
    assert torch.equal(reading[0][layer - 1], read(net, images)[0][layer - 1])  # nor what was read


@pytest.mark.parametrize(("model", "protocol"), NETS)
@given(seed=st.integers(0, 50), layer=st.integers(1, 3), data=st.data())
@settings(max_examples=5, deadline=None)
def test_silenced_units_act_as_if_their_bias_were_minus_infinity(
    model, protocol, seed, layer, data
):
    net, images = net_of(model, protocol, seed)
    drawn = data.draw(st.sets(st.integers(0, WIDTHS[layer - 1] - 1)))
    units = np.array(sorted(drawn), dtype=np.int64)
    weights = {name: values.clone() for name, values in net.weights.items()}
    weights[f"layer{layer}.weight"][units] = 0
    weights[f"layer{layer}.bias"][units] = -torch.inf
    cut = Net(weights, net.recipe, net.positions)
    silenced = predict_silenced(net, read(net, images), layer, units)
    assert np.array_equal(silenced, predicted(cut, images))


@pytest.mark.parametrize("model", MODELS)
def test_stimulating_no_unit_gives_what_the_net_does_on_its_own(model):
    net, images = net_of(model, "relu-l2")
    first, *above = hidden(net.weights, net.recipe, images.labelled(net))
    found = stimulated(net, first, np.array([], np.int64), np.array([]))
    assert all(torch.equal(one, other) for one, other in zip(found, above, strict=True))


def test_stimulating_all_units_at_an_images_own_activations_brings_up_that_image():
    net, images = net_of("FF", "relu-l2")
    first, *above = hidden(net.weights, net.recipe, images.labelled(net))
    found = stimulated(net, first[:1], np.arange(WIDTHS[0]), first[7].numpy())
    for one, other in zip(found, above, strict=True):
        torch.testing.assert_close(one[0], other[7])


def test_a_blank_image_is_black_and_carries_no_label():
    net, images = net_of("FF", "relu-l2")
    x = blank(net, images)
    assert (x[:, :10] == 0).all()
    assert (x[:, 10:] == images.x.min()).all()
    net, images = net_of("BP", "relu-l2")
    assert (blank(net, images) == images.x.min()).all()
    # channels that are standardised each by itself have each its black
    channels = torch.tensor([[0, 1], [4, 5]])
    colour = replace(images, x=torch.tensor([[1.0, 2, 3, 4, -1, -2, -3, -4]]))
    assert blank(replace(net, positions=channels), colour).tolist() == [[1.0] * 4 + [-4.0] * 4]


def found_layer(active, mean):
    return xr.Dataset(
        {
            "active": (("category", "neuroid"), np.array(active, bool)),
            "mean": (("category", "neuroid"), np.array(mean, float)),
        },
        coords={"category": np.arange(len(active))},
    )


def test_units_stand_in_the_order_of_their_means():
    layer = found_layer([[0, 1, 1, 0]], [[0.1, 0.4, 0.9, 0.2]])
    units, rest = ensemble(layer, 0)
    assert units.tolist() == [2, 1]
    assert rest.tolist() == [3, 0]


def test_a_response_is_compared_with_the_mean_patterns():
    layer = found_layer([[1, 0, 0, 0], [0, 0, 1, 1]], [[1, 0, 0, 0], [0, 0, 1, 1]])
    own = np.array([[0.0, 0.0, 2.0, 2.0]])
    assert response(own, layer, 1) == pytest.approx((1, 1, 1))
    correlation, identified, recall = response(own, layer, 0)
    assert correlation < 0
    assert (identified, recall) == (0, 0)
    half = response(np.array([[0.0, 1.0, 1.0, 0.0]]), layer, 1)
    assert half[2] == 0.5


def test_a_class_without_correct_images_has_no_pattern():
    layer = found_layer([[0, 0], [1, 0]], [[np.nan, np.nan], [1, 0]])
    assert np.isnan(response(np.array([[1.0, 0.0]]), layer, 0)).all()
    # alone, a class cannot be told from others
    found = response(np.array([[1.0, 0.0]]), layer, 1)
    assert found == pytest.approx((1, np.nan, 1), nan_ok=True)
    three = found_layer([[0, 0], [1, 0], [0, 1]], [[np.nan, np.nan], [1, 0], [0, 1]])
    assert response(np.array([[1.0, 0.0]]), three, 1) == pytest.approx((1, 1, 1))
    assert np.isnan(response(np.array([[1.0, 0.0]]), found_layer([[0, 0]], [[1, 0]]), 0)[2])


@pytest.mark.parametrize(("model", "protocol"), NETS)
def test_a_frame_has_a_row_for_each_intervention(model, protocol):
    frame = measure(run_of(model, protocol), Causality(method="loo", draws=2))
    assert frame.columns.tolist() == list(COLUMNS)
    silence = frame[frame.experiment == "silence"]
    assert set(silence.layer) == {1, 2, 3}
    assert silence.groupby(["layer", "condition"]).size().loc[:, "ensemble"].eq(10).all()
    losses = silence[["own_loss", "others_loss"]].dropna()
    assert losses.abs().le(1).all().all()
    sizes = silence.dropna(subset=["own_loss"]).pivot(
        index=["layer", "category"], columns="condition", values="units"
    )
    room = sizes.index.get_level_values("layer").map(lambda layer: WIDTHS[layer - 1])
    expected = np.minimum(sizes["ensemble"], room - sizes["ensemble"])
    assert (sizes["next"] == expected).all()
    assert (sizes["random"] == expected).all()
    stimulate = frame[frame.experiment == "stimulate"]
    assert set(stimulate.layer) == {2, 3}
    assert stimulate.loc[stimulate.whole, "units"].gt(0).all()
    assert stimulate["identified"].dropna().between(0, 1).all()


def test_the_same_run_gives_the_same_frame():
    one, other = (measure(run_of("FF"), Causality(method="loo")) for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


def silence_rows(seed, own, others):
    rows = []
    for condition, share in (("ensemble", 1), ("next", 0.5), ("random", 0)):
        for category in (0, 1):
            rows.append(
                {
                    **KEYS, "model": "FF", "seed": seed, "experiment": "silence", "layer": 1,
                    "category": category, "condition": condition, "units": 2, "whole": True,
                    "own_loss": own * share, "others_loss": others * share,
                }
            )  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=[*KEYS, "model", "seed", *COLUMNS])


def test_results_and_verdict_by_hand():
    frame = pd.concat([silence_rows(0, 0.5, 0.1), silence_rows(1, 0.7, 0.1)], ignore_index=True)
    found = results(frame).set_index("quantity")
    assert found.loc[SELECTIVITY, "value"] == pytest.approx(0.5)
    assert found.loc[SELECTIVITY, "n_runs"] == 2
    assert found.loc[SELECTIVITY, "control_value"] == 0
    assert found.loc[OWN_LOSS, "difference"] == pytest.approx(0.3)
    (said,) = verdict(results(frame))  # one paragraph, of one model on one data set
    assert "FF on Digits" in said
    assert "the class loses 0.60 of accuracy and the others 0.10" in said
    # two runs: from -0.77 to 1.77
    assert "Selectivity is not clearly above that of random units" in said
    (of_one,) = verdict(results(frame[frame.seed == 0]))
    assert "1 run" in of_one
    assert "that of random units" not in of_one  # nothing is decided by one
    alike = pd.concat([silence_rows(seed, 0.5, 0.1) for seed in (0, 1)], ignore_index=True)
    assert "undecided: no spread between runs" in verdict(results(alike))[0]


def test_a_run_without_any_ensemble_is_told():
    frame = silence_rows(0, 0.5, 0.1)
    frame = frame[frame.condition == "ensemble"].assign(own_loss=np.nan, others_loss=np.nan)
    assert results(frame).empty
    assert verdict(results(frame)) == []


@pytest.mark.parametrize(("model", "protocol"), NETS)
def test_units_are_chosen_on_one_half_and_effects_measured_on_the_other(model, protocol):
    given = Causality(method="loo", draws=2)
    whole = measure(run_of(model, protocol), given)
    pd.testing.assert_frame_equal(measure(disturbed(run_of(model, protocol)), given), whole)
