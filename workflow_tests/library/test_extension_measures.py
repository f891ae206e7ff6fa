"""What extensions measure of a run is computed again here, from what each number means."""

import json
from types import ModuleType

import numpy as np
import pytest
import torch
from extension_runs import METHODS, run_of
from test_causality import found_layer
from test_dimension import subspace
from test_microstructure import SEARCH, planted
from test_sleep_wake import run_of_phases

from ffensembles.analyses.sparsity import sparsity_frame
from ffensembles.ensembles import ensemble_sizes, find_ensembles
from ffensembles.extensions.classes import class_matrices
from ffensembles.extensions.intrinsic_dimension import (
    RESOLVED,
    dimension_by_scale,
    rounding_of_distances,
)
from ffensembles.extensions.kinds import causality, dimension, microstructure, pruning, sleep_wake
from ffensembles.extensions.kinds.causality import Causality, ensemble, measure, response
from ffensembles.extensions.nets import Images, Net, predicted, stimulated
from ffensembles.extensions.patterns import find_patterns, normal_cloud, project, typical
from ffensembles.extensions.runs import halves, part_of
from ffensembles.models.network import hidden
from ffensembles.models.spec import MODELS
from ffensembles.representations.store import open_activations, round_mantissa, save_tree
from ffensembles.representations.weights import load_weights
from ffensembles.runtime.random import random_stream

NETS = [(model, protocol) for model in MODELS for protocol in ("relu-l2", "sigmoid-linf")]


def taken_apart(model, protocol):
    """Return a run, its ensembles on one half of the images, its net, and the other half."""
    run = run_of(model, protocol, per_class=14)
    first, second = halves(run.test_images.labels)
    found = run.found(part_of(run.activations, first), "loo", None)
    net = Net.of(run.weights, run.recipe, run.test_images)
    return run, found, net, Images.of(run.test_images, second)


@pytest.mark.parametrize(("model", "protocol"), NETS)
def test_losses_are_those_of_the_class_and_of_the_others_in_that_layer(model, protocol):
    run, found, net, images = taken_apart(model, protocol)
    frame = measure(run, Causality(method="loo", draws=1))
    rows = frame[frame.experiment == "silence"].set_index(["layer", "category", "condition"])
    labels = images.labels.numpy()
    right = predicted(net, images) == labels
    for place in rows.index[rows.own_loss.notna() & (rows.index.get_level_values(2) != "random")]:
        layer, category, condition = place
        units, rest = ensemble(found[f"layer{layer}"].to_dataset(), category)
        silent = units if condition == "ensemble" else rest[: len(units)]
        weights = {name: values.clone() for name, values in net.weights.items()}
        weights[f"layer{layer}.weight"][silent] = 0
        weights[f"layer{layer}.bias"][silent] = -torch.inf
        now = predicted(Net(weights, net.recipe, net.positions), images) == labels
        own = labels == category
        expected = [right[of].mean() - now[of].mean() for of in (own, ~own)]
        assert rows.loc[place, ["own_loss", "others_loss"]].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("model", "protocol"), [("FF", "relu-l2"), ("BP", "sigmoid-linf")])
def test_units_are_stimulated_on_images_of_other_classes_at_the_ensembles_means(
    model, protocol, monkeypatch
):
    monkeypatch.setattr(causality, "_some", lambda stream, units, n: units[::-1][:n].copy())
    run, found, net, images = taken_apart(model, protocol)
    frame = measure(run, Causality(method="loo", draws=1, other_images=7))
    rows = frame[(frame.experiment == "stimulate") & (frame.images == "other") & frame.whole]
    first = hidden(net.weights, net.recipe, images.labelled(net), 1)[0]
    for row in rows.itertuples():
        layer = found["layer1"].to_dataset()
        units, rest = ensemble(layer, row.category)
        means = layer["mean"].sel(category=row.category).values
        which = units if row.condition == "ensemble" else rest[::-1][: len(units)].copy()
        others = first[images.labels != row.category]
        h = stimulated(net, others, which, means[units])[row.layer - 2].numpy()
        expected = response(h, found[f"layer{row.layer}"].to_dataset(), row.category)
        np.testing.assert_allclose([row.correlation, row.identified, row.recall], expected)


def test_activations_that_are_all_alike_are_nobodys_pattern():
    layer = found_layer([[1, 0, 0], [0, 0, 1]], [[1, 0, 0], [0, 0, 1]])
    assert response(np.zeros((2, 3)), layer, 1)[:2] == (0, 0)


def test_ensembles_are_those_of_the_quantile_that_is_asked_for():
    run = run_of("BP")
    every = find_ensembles(run.activations, "method1", **METHODS["method1"])
    for quantile in (0.9, 0.95):
        kept = run.found(run.activations, "method1", quantile)
        for name in kept.children:
            expected = every[name].to_dataset().sel(quantile=quantile)["active"]
            np.testing.assert_array_equal(kept[name]["active"], expected)
    sizes = [every["layer1"]["active"].sel(quantile=q).sum() for q in (0.9, 0.95)]
    assert sizes[0] > sizes[1]


def test_controls_have_the_largest_means_and_weights():
    _, found, net, _ = taken_apart("FF", "relu-l2")
    layers = [layer.to_dataset() for layer in found.children.values()]
    kept = [pruning.chosen(layer, 1)[:3] for layer in layers]
    rules = dict(pruning._rules(net, layers, kept, 2, 0))
    for place, (layer, units) in enumerate(zip(layers, kept, strict=True)):
        for name, score in (
            ("mean", layer["mean"].values.mean(axis=0)),
            ("norm", np.linalg.norm(net.weights[f"layer{place + 1}.weight"], axis=1)),
        ):
            (one,) = rules[name]
            assert len(one[place]) == len(units)
            assert score[one[place]].min() >= np.delete(score, one[place]).max()


def test_size_and_sparsity_are_those_of_the_class_in_its_layer():
    run = run_of("FF", per_class=12)
    asked = dimension.Dimension(method="loo", neighbours=1, largest=2, subsamples=2)
    frame = dimension.measure(run, asked).set_index(["layer", "category"])
    found = run.found(run.activations, "loo", None)
    sparsity = sparsity_frame(run.activations).dropna(subset="category")
    for row in sparsity.itertuples():
        here = frame.loc[(row.layer, row.category)]
        assert here["sparsity"].item() == pytest.approx(row.sparsity)
        size = ensemble_sizes(found[f"layer{row.layer}"].to_dataset()).sel(category=row.category)
        assert here["size"].item() == size


def test_what_rounding_hides_depends_on_the_bits_of_the_store(tmp_path):
    run = run_of("FF", per_class=12)
    save_tree(run.activations, tmp_path / "a.zarr.zip", mantissa_bits=4)
    run.__dict__["activations"] = open_activations(tmp_path / "a.zarr.zip").load()
    every = list(class_matrices(run))
    assert {(one.layer, one.mantissa_bits) for one in every} == {(0, None), (1, 4), (2, 4), (3, 4)}
    asked = dimension.Dimension(method="loo", neighbours=1, largest=2, subsamples=2)
    frame = dimension.measure(run, asked).set_index(["layer", "category"])
    rounding = [rounding_of_distances(one.x, 4) * (one.layer > 0) for one in every]
    radius = frame["radius"].to_numpy()
    assert frame["resolved"].tolist() == (radius >= RESOLVED * np.array(rounding)).tolist()
    assert ((radius > 2 * np.array(rounding)) & ~frame["resolved"].to_numpy()).any()


def test_the_error_is_the_deviation_of_half_samples():
    x, rng = subspace(3, n=300), np.random.default_rng(5)
    halves_of = [x[np.sort(rng.choice(300, 150, replace=False))] for _ in range(4)]
    alone = [dimension_by_scale(half, 8, 0, rng).dimension for half in halves_of]
    found = dimension_by_scale(x, 8, 4, np.random.default_rng(5))
    np.testing.assert_allclose(found.se, np.std(alone, axis=0, ddof=1))


def test_what_rounding_adds_is_right_within_a_binade():
    x = np.random.default_rng(0).uniform(1.0, 1.05, (200, 50)).astype(np.float32)
    stored = round_mantissa(x, 10)
    error = np.sqrt(((stored - x).astype(float) ** 2).sum(axis=1).mean() * 2)
    assert rounding_of_distances(stored, 10) == pytest.approx(error, rel=0.1)


def test_one_cloud_spreads_as_the_images_do_on_each_component():
    projected, _ = project(planted((400, 400)), 10)
    drawn = normal_cloud(projected, np.random.default_rng(0))
    assert drawn.std(axis=0) == pytest.approx(projected.std(axis=0), rel=0.1)
    assert projected.std(axis=0)[0] > 5 * projected.std(axis=0)[-1]


def test_typical_images_are_the_nearest():
    found = find_patterns(planted((60, 140)), SEARCH)
    for pattern, rows in enumerate(typical(found, 5)):
        inside = np.flatnonzero(found.labels == pattern)
        away = np.linalg.norm(found.projected - found.projected[inside].mean(axis=0), axis=1)
        assert (np.diff(away[rows]) >= 0).all()
        assert away[rows].max() <= away[np.setdiff1d(inside, rows)].min()


def test_what_a_run_was_told_of_its_layers_and_classes(tmp_path):
    run = run_of_phases(tmp_path)
    tree = open_activations(run.files["activations"]).load()
    tree["layer2"]["activation"][:7] = 0  # silent
    run.__dict__["activations"] = tree
    frame = sleep_wake.measure(run, sleep_wake.SleepWake())
    told = json.loads(run.files["metadata"].read_text())
    for k in (1, 2, 3):
        row = frame.loc[k - 1]
        weights = load_weights(run.files["weights"])[f"layer{k}.weight"]
        assert row.positive == pytest.approx((weights > 0).mean())
        assert row.silent == pytest.approx(
            (7 if k == 2 else 0) / tree["layer1"].sizes["presentation"]
        )
        assert row.dead == (k in told["dead_layers"])
        assert row.lost_classes == len(told["lost_classes"]) > 0


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        (causality, Causality(method="loo", draws=1)),
        (pruning, pruning.Pruning(method="loo", draws=1, timings=1)),
        (dimension, dimension.Dimension(method="loo", neighbours=1, largest=2, subsamples=2)),
        (microstructure, microstructure.Microstructure(method="loo", draws=1)),
    ],
)
def test_what_is_drawn_is_drawn_anew_for_each_run(kind: ModuleType, asked, monkeypatch):
    """With one seed for all, random units would be the same ones in every run."""
    seeds = []

    def stream(seed, *path):
        seeds.append(seed)
        return random_stream(seed, *path)

    monkeypatch.setattr(kind, "random_stream", stream)
    kind.measure(run_of("FF", seed=3, per_class=12), asked)
    assert set(seeds) == {3}
