"""Labels in images, wrong labels, and streams of random numbers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ffensembles.datasets.labels import (
    blank,
    label_positions,
    negative_labels,
    pooled_negatives,
    standardise,
)
from ffensembles.datasets.prepare import present
from ffensembles.models.network import embed
from ffensembles.runtime.random import random_stream


def test_a_grey_images_label_pixels_are_its_first_ten():
    assert label_positions((1, 28, 28), 10).tolist() == [list(range(10))]


def test_a_colour_images_label_stands_in_the_first_row_of_every_channel():
    positions = label_positions((3, 32, 32), 10)
    assert positions.shape == (3, 10)
    assert positions[:, 4].tolist() == [4, 1024 + 4, 2048 + 4]


def test_embedding_by_hand():
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    positions = np.array([[0, 1, 2]])
    blanked = blank(x, positions)
    lit = embed(*map(torch.from_numpy, (blanked, np.array([2, -1]), np.float32([9, 9]), positions)))
    assert lit.tolist() == [[0, 0, 9, 3, 4, 5], [0, 0, 0, 9, 10, 11]]
    assert not blanked[0, :3].any()  # which is left as it was
    assert x[1, 0] == 6


@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 3))
def test_embedding_changes_label_pixels_only(seed, n, channels):
    rng = np.random.default_rng(seed)
    positions = label_positions((channels, 4, 5), 4)
    x = rng.normal(size=(n, channels * 20)).astype(np.float32)
    labels = rng.integers(-1, 4, n)
    given = blank(x, positions), labels, np.full(n, 7, np.float32), positions
    lit = embed(*map(torch.from_numpy, given)).numpy()
    others = np.setdiff1d(np.arange(x.shape[1]), positions)
    assert np.array_equal(lit[:, others], x[:, others])
    assert ((lit[:, positions.ravel()] == 7).sum(1) == channels * (labels >= 0)).all()
    assert all(
        lit[i, positions[c, k]] == 7
        for i, k in enumerate(labels)
        if k >= 0
        for c in range(channels)
    )


def test_standardisation_by_hand():
    images = np.array([[[[0, 255]]]], dtype=np.uint8)
    np.testing.assert_allclose(standardise(images, 0.5, 0.25), [[-2, 2]])


@given(st.integers(0, 10**6), st.integers(2, 10), st.booleans())
def test_a_negative_never_carries_the_true_label_nor_the_excluded_one(seed, n_classes, left_out):
    rng = np.random.default_rng(seed)
    exclude = int(rng.integers(n_classes)) if left_out and n_classes > 2 else None
    labels = rng.integers(0, n_classes, 300)
    labels = labels[labels != exclude]
    wrong = negative_labels(labels, n_classes, rng, exclude)
    assert not (wrong == labels).any()
    assert not (wrong == exclude).any()
    assert ((wrong >= 0) & (wrong < n_classes)).all()


@pytest.mark.parametrize("exclude", [None, 0, 9])
def test_wrong_labels_are_equally_likely(exclude):
    labels = np.full(90_000, 3)
    drawn = negative_labels(labels, 10, np.random.default_rng(0), exclude)
    counts = np.bincount(drawn, minlength=10)
    allowed = [k for k in range(10) if k not in (3, exclude)]
    expected = len(labels) / len(allowed)
    assert (np.abs(counts[allowed] - expected) < 5 * expected**0.5).all()
    assert counts.sum() == counts[allowed].sum()


@pytest.mark.parametrize("draw", [negative_labels, pooled_negatives])
def test_an_image_of_the_excluded_class_is_refused(draw):
    with pytest.raises(ValueError, match="excluded class"):
        draw(np.array([1, 2]), 4, np.random.default_rng(0), exclude=2)


@given(st.integers(0, 10**6), st.integers(3, 10), st.integers(1, 300), st.booleans())
def test_pooled_negatives_are_wrong_and_none_is_drawn_twice(seed, n_classes, n, left_out):
    rng = np.random.default_rng(seed)
    exclude = int(rng.integers(n_classes)) if left_out else None
    labels = rng.integers(0, n_classes, n)
    labels = labels[labels != exclude]
    image, wrong = pooled_negatives(labels, n_classes, rng, exclude)
    assert len(image) == len(wrong) == len(labels)
    assert not (wrong == labels[image]).any()
    assert not (wrong == exclude).any()
    assert ((wrong >= 0) & (wrong < n_classes)).all()
    assert len(set(zip(image.tolist(), wrong.tolist(), strict=True))) == len(labels)


@pytest.mark.parametrize(("exclude", "wrong"), [(None, 9), (0, 8), (9, 8)])
def test_a_pool_is_drawn_from_evenly_and_in_random_order(exclude, wrong):
    n = 90_000
    labels = np.full(n, 3)
    image, label = pooled_negatives(labels, 10, np.random.default_rng(0), exclude)
    allowed = [k for k in range(10) if k not in (3, exclude)]
    counts = np.bincount(label, minlength=10)[allowed]
    assert (np.abs(counts - n / wrong) < 5 * (n / wrong) ** 0.5).all()
    negatives = np.bincount(image, minlength=n)
    assert negatives.max() <= wrong
    # of an image's wrong labels each is kept with a chance of 1 in `wrong`
    chance = 1 / wrong
    for k in range(4):
        expected = math.comb(wrong, k) * chance**k * (1 - chance) ** (wrong - k)
        assert (negatives == k).mean() == pytest.approx(expected, abs=0.01)
    assert abs(np.corrcoef(image, np.arange(n))[0, 1]) < 0.02
    assert abs(np.corrcoef(label, np.arange(n))[0, 1]) < 0.02


def test_a_pool_of_one_wrong_label_is_drawn_whole():
    image, label = pooled_negatives(np.array([0, 1, 1]), 2, np.random.default_rng(0))
    assert sorted(zip(image.tolist(), label.tolist(), strict=True)) == [(0, 1), (1, 0), (2, 0)]


def test_a_stream_depends_on_seed_purpose_and_index_alone():
    def first(*key):
        return random_stream(*key).integers(0, 2**63)

    assert first(1, "weights", 2) == first(1, "weights", 2)
    others = {
        first(1, "weights", 2),
        first(2, "weights", 2),
        first(1, "negatives", 2),
        first(1, "weights", 3),
    }
    assert len(others) == 4
    assert first(0, "weights") == 6465559029600296246  # and not on the version of anything


def test_what_a_net_reads_of_colour_images_by_hand():
    images = np.zeros((2, 3, 32, 32), np.uint8)
    images[0, 1, 5, 6] = 255
    given = "svhn", images, np.array([3, 4]), np.arange(2)
    one = present(*given, "channel", label_value="image")
    assert one.x[0, 1024 + 5 * 32 + 6] == pytest.approx((1 - 0.4438) / 0.2010)
    assert one.x[0, 2048 + 40] == pytest.approx(-0.4728 / 0.1970)
    assert not one.x[:, one.positions.ravel()].any()
    assert one.on == pytest.approx([(1 - 0.4438) / 0.2010, -0.4438 / 0.2010])
    for kind, mean, std in (("channel", 0.4377, 0.1980), ("mnist", 0.1307, 0.3081),
                            ("own", 0.4514, 0.1993)):  # fmt: skip
        assert present(*given, kind).on == pytest.approx([(1 - mean) / std] * 2)
    blank = present(*given, "own", labelled=False)
    assert blank.x[1] == pytest.approx(-0.4514 / 0.1993)  # label pixels are as the others
