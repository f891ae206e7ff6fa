"""Representational similarity: formulas against scipy and by hand, invariances, and frames."""

from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import pdist
from synthetic import activations, keys

from ffensembles.analyses.rsa import (
    class_means,
    linear_cka,
    noise_ceiling,
    rdm,
    rsa_frame,
    rsa_summary,
    spearman,
    stratified_images,
)

RNG = np.random.default_rng(0)


@given(arrays(float, st.tuples(st.integers(3, 8), st.integers(3, 6)), elements=st.integers(0, 9)))
def test_rdm_is_scipys_correlation_distance(x: np.ndarray) -> None:
    found = rdm(x)
    constant = np.ptp(x, axis=1) == 0
    i, j = np.triu_indices(len(x), 1)
    undefined = constant[i] | constant[j]
    assert np.isnan(found).tolist() == undefined.tolist()
    np.testing.assert_allclose(found[~undefined], pdist(x, "correlation")[~undefined], atol=1e-9)
    # neither scale nor offset of a row matters
    np.testing.assert_allclose(rdm(3 * x + np.arange(len(x))[:, None]), found, atol=1e-9)


def test_spearman_leaves_out_missing_pairs() -> None:
    one, other = RNG.normal(size=20), RNG.normal(size=20)
    assert spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)
    one[[3, 5]], other[7] = np.nan, np.nan
    expected = stats.spearmanr(one, other, nan_policy="omit").statistic
    assert spearman(one, other) == pytest.approx(expected)
    assert np.isnan(spearman(np.ones(5), other[:5]))
    assert np.isnan(spearman(np.array([1, 2, np.nan]), np.array([1, 2, 3.0])))


def test_cka_by_its_definition_and_invariances() -> None:
    x, y = RNG.normal(size=(30, 5)), RNG.normal(size=(30, 8))
    xc, yc = x - x.mean(0), y - y.mean(0)
    expected = np.linalg.norm(yc.T @ xc) ** 2
    expected /= np.linalg.norm(xc.T @ xc) * np.linalg.norm(yc.T @ yc)
    found = linear_cka(x, y)
    assert found.value == pytest.approx(expected)
    rotation = np.linalg.qr(RNG.normal(size=(8, 8)))[0]
    turned = linear_cka(x, 7 * y @ rotation + 2)
    assert (turned.value, turned.debiased, turned.null) == pytest.approx(
        (found.value, found.debiased, found.null)
    )
    assert linear_cka(x, x).debiased == pytest.approx(1)


def test_the_null_of_cka_is_the_mean_over_all_permutations() -> None:
    x, y = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2))
    every = [linear_cka(x, y[list(order)]).value for order in permutations(range(5))]
    assert linear_cka(x, y).null == pytest.approx(np.mean(every))


def test_unrelated_representations_have_no_debiased_cka() -> None:
    # with as many units as conditions, plain CKA of noise is far from 0
    found = [linear_cka(*RNG.normal(size=(2, 40, 40))) for _ in range(60)]
    assert np.mean([one.value for one in found]) > 0.4
    assert np.mean([one.null for one in found]) == pytest.approx(
        np.mean([one.value for one in found]), abs=0.02
    )
    assert abs(np.mean([one.debiased for one in found])) < 0.02


def test_missing_conditions_leave_cka() -> None:
    x, y = RNG.normal(size=(9, 4)), RNG.normal(size=(9, 4))
    lost = x.copy()
    lost[2] = np.nan
    assert linear_cka(lost, y) == linear_cka(np.delete(x, 2, 0), np.delete(y, 2, 0))
    assert np.isnan(linear_cka(np.ones((6, 3)), y[:6]).value)
    assert np.isnan(linear_cka(x[:3], y[:3]).value)


def test_noise_ceiling_by_hand() -> None:
    one, two, three = np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 4, 3]), np.array([2.0, 1, 3, 4])
    lower, upper = noise_ceiling([one, two, three])
    expected = [
        stats.spearmanr(a, (b + c) / 2).statistic
        for a, b, c in ((one, two, three), (two, one, three), (three, one, two))
    ]
    assert lower == pytest.approx(np.mean(expected))
    mean = (one + two + three) / 3
    assert upper == pytest.approx(
        np.mean([stats.spearmanr(a, mean).statistic for a in (one, two, three)])
    )
    assert lower <= upper
    assert np.isnan(noise_ceiling([one])).all()


def test_class_means_and_lost_classes() -> None:
    tree = activations(lost=(1,), held_out=2)
    means = class_means(tree)
    assert sorted(means) == [1, 2, 3]
    x = tree["layer2"]["activation"].values
    labels = tree["layer2"]["label"].values
    assert np.isnan(means[2][1]).all()
    for category in (0, 2, 3):
        np.testing.assert_allclose(means[2][category], x[labels == category].mean(0), rtol=1e-6)


def test_the_same_images_of_every_run() -> None:
    tree = activations(images=20)
    order = RNG.permutation(80)
    mixed = tree.map_over_datasets(
        lambda dataset: dataset.isel(presentation=order) if "label" in dataset else dataset
    )
    one, other = stratified_images(tree, 12, seed=3), stratified_images(mixed, 12, seed=3)
    for layer in (1, 2, 3):
        np.testing.assert_array_equal(one[layer], other[layer])
        assert one[layer].shape == (12, 50)
    everything = stratified_images(tree, 1000)
    np.testing.assert_array_equal(everything[1], tree["layer1"]["activation"].values)
    # three of each class
    x = tree["layer1"]["activation"].values
    rows = [int(np.flatnonzero((x == row).all(1))[0]) for row in one[1]]
    assert np.bincount(tree["layer1"]["label"].values[rows]).tolist() == [3, 3, 3, 3]


def runs_of(read, seeds=(0, 1)) -> list:
    trees = [activations(model=model, seed=seed) for model in ("FF", "BP") for seed in seeds]
    return [(keys(tree), read(tree)) for tree in trees]


def test_the_frame_holds_every_pair_once() -> None:
    frame = rsa_frame(runs_of(class_means), permutations=200)
    assert len(frame) == 12 * 13 // 2
    itself = frame[
        (frame.model == frame.other_model)
        & (frame.seed == frame.other_seed)
        & (frame.layer == frame.other_layer)
    ]
    assert len(itself) == 12
    np.testing.assert_allclose(itself.spearman, 1)
    np.testing.assert_allclose(itself.cka, 1)
    assert itself.p.max() < 0.15  # 24 orders of four classes
    assert frame.n.unique().tolist() == [4]
    summary = rsa_summary(frame)
    assert len(summary) == 36  # six kinds of layer, beside each other
    layer = summary[(summary.model == "FF") & (summary.layer == 1)].set_index(
        ["other_model", "other_layer"]
    )
    assert layer.n_pairs.to_dict() == {
        ("BP", 1): 4, ("BP", 2): 4, ("BP", 3): 4, ("FF", 1): 1, ("FF", 2): 2, ("FF", 3): 2,
    }  # fmt: skip
    between = frame[
        (frame.layer == 1) & (frame.other_layer == 1) & (frame.seed != frame.other_seed)
    ]
    between = between[(between.model == "FF") & (between.other_model == "FF")]
    assert layer.loc[("FF", 1), "spearman"] == pytest.approx(between.spearman.item())


def test_a_shared_structure_is_found_and_noise_is_not() -> None:
    base = RNG.normal(size=(60, 6))
    of = {"protocol": "p", "dataset": "d", "held_out": None}

    def run(seed: int, model: str, x: np.ndarray) -> tuple:
        return {**of, "model": model, "seed": seed}, {1: x}

    alike = [
        run(seed, "FF", base @ RNG.normal(size=(6, 200)) + 0.1 * RNG.normal(size=(60, 200)))
        for seed in (0, 1, 2)
    ]
    noise = run(0, "BP", RNG.normal(size=(60, 200)))
    frame = rsa_frame([*alike, noise], permutations=100)
    own = frame[
        (frame.model == "FF") & (frame.other_model == "FF") & (frame.seed != frame.other_seed)
    ]
    other = frame[(frame.model == "FF") & (frame.other_model == "BP")]
    assert own.spearman.min() > 0.8
    assert own.p.max() < 0.02
    assert own.cka_debiased.min() > 0.8
    assert other.spearman.abs().max() < 0.15
    assert other.cka_debiased.abs().max() < 0.15
    assert other.cka_null.min() > 0.2
    lower, upper = noise_ceiling([rdm(layers[1]) for _, layers in alike])
    assert 0.8 < lower < upper <= 1
    assert np.isnan(noise_ceiling([rdm(noise[1][1])])).all()


def test_lost_classes_and_other_conditions() -> None:
    tree, lost = activations(), activations(seed=1, lost=(1,))
    frame = rsa_frame([(keys(t), class_means(t)) for t in (tree, lost)], permutations=50)
    both = frame[(frame.seed == 0) & (frame.other_seed == 1)]
    assert both[["spearman", "p"]].notna().all(axis=None)
    assert both.cka.isna().all()  # three classes are left
    with pytest.raises(ValueError, match="conditions"):
        rsa_frame([(keys(tree), {1: np.eye(4)}), (keys(lost), {1: np.eye(5)})])
    silent = xr.DataTree.from_dict({"/": tree.to_dataset(), "layer1": tree["layer1"] * 0})
    assert np.isnan(rdm(stratified_images(silent, 8)[1])).all()
