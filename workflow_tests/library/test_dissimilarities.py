"""Vectors of dissimilarities that runs keep, and what is computed from them across runs."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import activations, keys

from ffensembles.analyses.dissimilarities import (
    CLASSES,
    OF_IMAGES,
    ceilings,
    compare,
    dissimilarity_frame,
)
from ffensembles.analyses.rsa import (
    class_means,
    linear_cka,
    rdm,
    rsa_frame,
    rsa_summary,
    spearman,
    stratified_images,
)
from ffensembles.analyses.tidy import with_keys

RUN = ["model", "seed", "layer", "other_model", "other_seed", "other_layer"]


def frame_of(*trees: xr.DataTree, **options: int) -> pd.DataFrame:
    return pd.concat(
        [with_keys(dissimilarity_frame(tree, **options), keys(tree)) for tree in trees],
        ignore_index=True,
    )


def test_all_pairs_of_classes_and_a_draw_of_the_pairs_of_images():
    tree = activations(images=20)
    frame = dissimilarity_frame(tree, images=40, pairs=100)
    assert frame.groupby(["of", "layer"]).size().to_dict() == {
        **{(CLASSES, layer): 4 * 5 // 2 for layer in (1, 2, 3)},
        **{(OF_IMAGES, layer): 100 for layer in (1, 2, 3)},
    }
    means = class_means(tree)[2]
    rows = frame[(frame.of == CLASSES) & (frame.layer == 2)]
    apart = rows[rows.one != rows.other]
    np.testing.assert_allclose(apart.dissimilarity, rdm(means), rtol=1e-5)
    assert rows[rows.one == rows.other].dissimilarity.isna().all()
    expected = (means @ means.T)[rows.one, rows.other]
    np.testing.assert_allclose(rows["product"], expected, rtol=1e-5)
    x = stratified_images(tree, 40)[2]
    rows = frame[(frame.of == OF_IMAGES) & (frame.layer == 2)]
    own = 1 - np.corrcoef(x.astype(float))[rows.one, rows.other]
    np.testing.assert_allclose(rows.dissimilarity, own, rtol=1e-4, atol=1e-6)
    assert (rows.one < rows.other).all()
    assert not rows.duplicated(["one", "other"]).any()


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), lost=st.sets(st.integers(0, 3), max_size=1))
def test_with_all_pairs_it_is_the_comparison_of_whole_representations(seed, lost):
    """Of class means and of images, a lost class among them."""
    trees = [
        activations(model="FF", seed=seed, lost=tuple(lost), images=6),
        activations(model="BP", seed=seed + 1, images=6),
    ]
    found = compare(frame_of(*trees, images=24, pairs=10**6))
    readers = {CLASSES: class_means, OF_IMAGES: lambda tree: stratified_images(tree, 24)}
    for of, read in readers.items():
        expected = rsa_frame([(keys(tree), read(tree)) for tree in trees]).set_index(RUN)
        ours = found[found.of == of].set_index(RUN)
        assert ours.index.equals(expected.index)
        for column in ("spearman", "cka_debiased"):
            np.testing.assert_allclose(ours[column], expected[column], atol=2e-3)


def test_a_draw_of_pairs_estimates_what_all_pairs_give():
    trees = [activations(model="FF", seed=seed, images=50) for seed in (0, 1)]
    whole = compare(frame_of(*trees, images=200, pairs=10**6))
    drawn = compare(frame_of(*trees, images=200, pairs=2000))
    both = whole.merge(drawn, on=[*RUN, "of"], suffixes=("", "_drawn"))
    images = both[both.of == OF_IMAGES]
    assert (images.spearman - images.spearman_drawn).abs().max() < 0.08
    assert (images.cka_debiased - images.cka_debiased_drawn).abs().max() < 0.08


def test_cka_of_classes_is_that_of_their_means():
    one, other = activations(seed=0), activations(model="BP", seed=1)
    found = compare(frame_of(one, other, images=8, pairs=5))
    row = found[
        (found.of == CLASSES) & (found.model == "FF") & (found.other_model == "BP")
        & (found.layer == 1) & (found.other_layer == 3)
    ]  # fmt: skip
    expected = linear_cka(class_means(one)[1], class_means(other)[3]).debiased
    assert row.cka_debiased.item() == pytest.approx(expected, abs=1e-3)


def test_the_summary_and_the_ceilings_are_of_every_layer():
    trees = [activations(model=model, seed=seed) for model in ("FF", "BP") for seed in (0, 1)]
    frame = frame_of(*trees, images=24, pairs=60)
    found = compare(frame)
    summary = rsa_summary(found[found.of == OF_IMAGES])
    assert len(summary) == 36
    assert {"spearman", "cka_debiased", "n_pairs"} <= set(summary)
    bounds = ceilings(frame)
    assert len(bounds) == 2 * 2 * 3
    assert (bounds.lower <= bounds.upper).all()
    assert set(bounds.n_runs) == {2}
    alone = ceilings(frame_of(trees[0], images=24, pairs=60))
    assert alone[["lower", "upper"]].isna().all(axis=None)


def test_permuted_classes_have_nothing_in_common_on_average():
    trees = [activations(model="FF", seed=seed) for seed in range(12)]
    found = compare(frame_of(*trees, images=8, pairs=5))
    null = found.loc[(found.of == CLASSES), "spearman_null"]
    assert abs(null.mean()) < 0.1
    assert found.loc[found.of == OF_IMAGES, "spearman_null"].isna().all()


def test_runs_of_other_conditions_are_refused():
    one, other = activations(seed=0), activations(seed=1)
    frames = [frame_of(one, images=8, pairs=5), frame_of(other, images=12, pairs=7)]
    with pytest.raises(ValueError, match="mnist: runs have dissimilarities of different images"):
        compare(pd.concat(frames, ignore_index=True))


def test_silent_layers_are_missing_and_no_error():
    tree = activations()
    silent = xr.DataTree.from_dict({"/": tree.to_dataset(), "layer1": tree["layer1"] * 0})
    frame = frame_of(silent, images=8, pairs=5)
    assert frame.dissimilarity.isna().all()
    found = compare(frame)
    assert found[["spearman", "cka_debiased"]].isna().all(axis=None)


def test_the_null_of_classes_is_that_of_one_order_of_them():
    one, other = activations(seed=0), activations(model="BP", seed=1)
    found = compare(frame_of(one, other, images=8, pairs=5))
    found = found[(found.of == CLASSES) & (found.model == "FF") & (found.other_model == "BP")]
    for row in found.itertuples():
        means, second = class_means(one)[row.layer], rdm(class_means(other)[row.other_layer])
        orders = [spearman(rdm(means[list(order)]), second) for order in permutations(range(4))]
        assert np.abs(np.array(orders) - row.spearman_null).min() < 1e-6
