"""Hoyer's sparsity: worked by hand, its invariances, and frames with silent and lost classes."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from synthetic import activations

from ffensembles.analyses import sparsity as module
from ffensembles.analyses.sparsity import hoyer, sparsity_by_image, sparsity_frame
from ffensembles.representations.store import open_activations, save_tree

positive = arrays(
    np.float32, st.tuples(st.integers(1, 5), st.integers(2, 20)),
    elements=st.floats(0, 1e6, width=32),
)  # fmt: skip


def test_hoyer_by_hand() -> None:
    # l1 = 7, l2 = 5, n = 9: (3 - 1.4) / 2
    assert hoyer(np.array([3.0, 4, 0, 0, 0, 0, 0, 0, 0])) == pytest.approx(0.8)
    # m equal values of n: (sqrt(n) - sqrt(m)) / (sqrt(n) - 1)
    for m in (1, 4, 9, 16):
        row = np.zeros(16)
        row[:m] = 0.3
        assert hoyer(row) == pytest.approx((4 - np.sqrt(m)) / 3)
    assert np.isnan(hoyer(np.zeros((2, 4)))).all()
    with pytest.raises(ValueError, match="at least 2 units"):
        hoyer(np.ones((3, 1)))


@given(positive, st.floats(1e-6, 1e6), st.randoms(use_true_random=False))
def test_hoyer_ignores_scale_order_and_sign(x, scale, random) -> None:
    found = hoyer(x)
    order = list(range(x.shape[1]))
    random.shuffle(order)
    np.testing.assert_allclose(hoyer(x[:, order]), found, atol=1e-9)
    np.testing.assert_allclose(hoyer(x.astype(float) * scale), found, atol=1e-9)
    np.testing.assert_array_equal(hoyer(-x), found)
    np.testing.assert_array_equal(np.isnan(found), ~x.any(axis=1))
    known = found[~np.isnan(found)]
    assert ((known >= 0) & (known <= 1)).all()


def test_hoyer_of_very_small_and_large_numbers() -> None:
    row = np.array([3.0, 4, 0, 0, 0, 0, 0, 0, 0])
    assert hoyer(row * 1e-300) == pytest.approx(0.8)
    assert hoyer(row * 1e300) == pytest.approx(0.8)


def test_an_untrained_relu_layer_has_the_stated_sparsity() -> None:
    z = np.random.default_rng(0).normal(size=(50, 4000))
    found = hoyer(np.maximum(z, 0)).mean()
    n = 4000  # of finitely many units: (sqrt(n) - sqrt(n / pi)) / (sqrt(n) - 1)
    assert found == pytest.approx((np.sqrt(n) - np.sqrt(n / np.pi)) / (np.sqrt(n) - 1), abs=0.002)
    assert found == pytest.approx(0.44, abs=0.01)


def by_hand(held_out: int | None = None) -> xr.DataTree:
    x = [[1.0, 0], [0, 0], [1, 1], [1, 0], [0, 0], [1, 1]]
    coords = {
        "label": ("presentation", [0, 0, 0, 1, 1, 2]),
        "correct": ("presentation", [True, True, False, False, False, True]),
    }
    layer = xr.Dataset({"activation": (("presentation", "neuroid"), np.float32(x))}, coords)
    attrs = {"categories": ["a", "b", "c"], "held_out": held_out}
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=attrs), "layer1": layer, "layer10": layer})


def test_silent_and_lost_are_counted() -> None:
    frame = sparsity_frame(by_hand())
    assert frame.layer.tolist() == [1] * 4 + [10] * 4
    frame = frame[frame.layer == 1]
    assert frame.category[:3].tolist() == [0, 1, 2]
    assert frame.category.isna().tolist() == [False, False, False, True]
    np.testing.assert_allclose(frame.sparsity, [1, np.nan, 0, 0.5], atol=1e-12)
    assert frame.silent.tolist() == [1, 0, 0, 1]
    assert frame.n_presentations.tolist() == [2, 0, 1, 3]


def test_all_presentations_of_an_unseen_class_count() -> None:
    frame = sparsity_frame(by_hand(held_out=1))[:4]
    np.testing.assert_allclose(frame.sparsity, [1, 1, 0, 2 / 3], atol=1e-12)
    assert frame.silent.tolist() == [1, 1, 0, 2]
    assert frame.n_presentations.tolist() == [2, 2, 1, 5]


def test_blocks_and_stores_give_what_memory_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = activations(images=30, lost=(1,), held_out=2)
    save_tree(tree, tmp_path / "a.zarr.zip")
    expected = sparsity_frame(tree)
    assert len(expected) == 3 * 5
    monkeypatch.setattr(module, "_BLOCK", 7)
    xr.testing.assert_identical(
        sparsity_by_image(tree["layer2"].to_dataset()).drop_attrs(),
        sparsity_by_image(open_activations(tmp_path / "a.zarr.zip", layer=2)).drop_attrs(),
    )
    stored = sparsity_frame(open_activations(tmp_path / "a.zarr.zip"))
    assert stored.equals(expected)
    # the layer's row weighs images, not classes
    one = expected[expected.layer == 1]
    classes, whole = one[one.category.notna()], one[one.category.isna()].iloc[0]
    assert whole.n_presentations == classes.n_presentations.sum()
    assert whole.sparsity == pytest.approx(
        np.average(classes.sparsity.fillna(0), weights=classes.n_presentations)
    )
