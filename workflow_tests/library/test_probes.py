"""Linear probes on known structure, and representations without a label pixel."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes import recipe_of
from run_files import metadata
from safetensors.numpy import save_file
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from ffensembles.analyses import RUN_FRAMES, RunResults, probes
from ffensembles.analyses.probes import probe, probe_frame
from ffensembles.datasets.prepare import prepare
from ffensembles.errors import StoreError
from ffensembles.models.network import initial_weights
from ffensembles.models.recipe import Recipe
from ffensembles.representations.readout import extract
from ffensembles.representations.unlabelled import (
    hidden_unlabelled,
    read_unlabelled,
    read_with_untrained,
)
from ffensembles.runs import Run
from ffensembles.runtime.files import checksum
from ffensembles.training.metadata import fingerprint, write_run

LABELS = np.repeat([0, 1, 2], [60, 30, 10])
DATA = {
    "standardisation": "own", "source": None, "folder": "data", "train_images": None,
    "test_images": None, "split_seed": 0,
}  # fmt: skip


def recipe(model: str = "FF") -> Recipe:
    return recipe_of(model, "relu-l2", widths=(9, 7), learning_rate=0.01, epochs=1, batch_size=None)


def test_a_probe_finds_a_rare_class_as_well_as_a_common_one() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 6))
    x[LABELS == 2, 0] += 6
    x[LABELS == 1, 1] += 6
    frame = probe_frame({1: x}, LABELS, held_out=2).set_index("category")
    assert frame.loc[[1, 2], "balanced_accuracy"].min() > 0.95
    assert frame.loc[[1, 2], "auc"].min() > 0.98
    assert frame.unseen.to_dict() == {0: False, 1: False, 2: True}
    assert frame.n_positive.tolist() == [60, 30, 10]
    # labels that were shuffled cannot be found
    assert frame.null_auc.between(0.2, 0.8).all()


def test_scores_give_the_frames_numbers_and_agree_with_lda() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [150, 50])
    x = rng.normal(size=(200, 4)) + 1.5 * labels[:, None] * [1, 0, 0, 0]
    scores = probe(x, labels)
    row = probe_frame({2: x}, labels).iloc[1]
    assert row.auc == pytest.approx(roc_auc_score(labels, scores[:, 1]))
    assert row.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, scores[:, 1] > 0))
    # but for its penalty and the folds, ridge on indicators is Fisher's discriminant
    lda = LinearDiscriminantAnalysis(priors=[0.5, 0.5]).fit(x, labels)
    assert np.corrcoef(lda.decision_function(x), scores[:, 1])[0, 1] > 0.97
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    told = cross_val_predict(lda, x, labels, cv=folds)
    assert row.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, told), abs=0.03)
    # two classes mirror each other
    np.testing.assert_allclose(scores[:, 0], -scores[:, 1], atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_scale_and_order_of_units_do_not_matter(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(100, 5)) + np.eye(5)[LABELS]
    other = (x * scale + 3)[:, rng.permutation(5)]
    np.testing.assert_allclose(probe(other, LABELS), probe(x, LABELS), atol=1e-6)


def test_no_image_scores_itself() -> None:
    # noise in more units than images: a probe that saw its test images would be perfect
    x = np.random.default_rng(0).normal(size=(100, 300))
    frame = probe_frame({1: x}, LABELS)
    assert frame.auc.between(0.2, 0.8).all()
    assert frame.balanced_accuracy.between(0.2, 0.8).all()


def test_the_threshold_stands_where_many_units_overfit() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 250))
    labels = np.repeat([0, 1], [250, 50])
    x[labels == 1, :5] += 1.2
    scores = probe(x, labels)[:, 1] > 0
    # as many of the rare class are missed as of the common one are taken for it, about
    assert scores[labels == 1].mean() == pytest.approx((~scores[labels == 0]).mean(), abs=0.12)


def test_silent_layers_and_bad_input() -> None:
    silent = probe_frame({1: np.zeros((100, 5))}, LABELS)
    np.testing.assert_allclose(silent.balanced_accuracy, 0.5)
    for labels, message in ((np.zeros(100), "two classes"), (LABELS.clip(max=2), "10")):
        with pytest.raises(ValueError, match=message):
            probe(np.ones((100, 2)), labels, folds=20)
    with pytest.raises(ValueError, match="layer 3"):
        probe_frame({3: np.ones((5, 2))}, LABELS)


@pytest.mark.parametrize("model", ["FF", "BPFF", "BP"])
def test_no_label_pixel_is_lit(model: str, tmp_path: Path) -> None:
    chosen = recipe(model)
    images = prepare("digits", "test", DATA, **chosen.images)
    net = initial_weights(chosen, 0, images.x.shape[1], 10)
    weights = {name: tensor.numpy() for name, tensor in net.items()}
    save_file(weights, tmp_path / "weights.safetensors")
    run = {"dataset": "digits", "held_out": 3}
    found = read_unlabelled(run, chosen, DATA, tmp_path / "weights.safetensors", images=60)
    assert sorted(found.layers) == [0, 1, 2]
    assert [x.shape for x in found.layers.values()] == [(60, 784), (60, 9), (60, 7)]
    assert (np.diff(found.labels) >= 0).all()
    assert np.bincount(found.labels).min() >= 5
    rows = np.searchsorted(images.stimulus_id, found.stimulus_id)
    np.testing.assert_array_equal(found.layers[0], images.x[rows])
    if model != "BP":
        assert not found.layers[0][:, images.positions.ravel()].any()
    # what the labelled read-out gives for the same images differs where a label is lit
    tree = extract(
        weights, chosen, images.x[rows], found.labels, found.stimulus_id, on_value=images.on[rows],
        categories=[str(c) for c in range(10)], positions=images.positions,
    )  # fmt: skip
    same = np.allclose(tree["layer1"]["activation"].values, found.layers[1], atol=1e-5)
    assert same == (model == "BP")
    small = hidden_unlabelled(weights, chosen, found.layers[0], block_size=7)
    for layer in (1, 2):
        np.testing.assert_allclose(small[layer], found.layers[layer], rtol=1e-5, atol=1e-6)


def test_the_net_before_training_is_read_on_the_same_images(tmp_path: Path) -> None:
    of = recipe()
    n_pixels = prepare("digits", "test", DATA, **of.images).x.shape[1]
    weights = initial_weights(of, 3, n_pixels, 10)
    trained = {name: values.numpy() + 0.1 for name, values in weights.items()}
    save_file(trained, tmp_path / "weights.safetensors")
    run = {"protocol": "p", "dataset": "digits", "model": "FF", "held_out": 2, "seed": 3}
    read = read_with_untrained(run, of, DATA, tmp_path / "weights.safetensors", images=60)
    assert list(read) == ["trained", "untrained"]
    assert list(read["trained"].layers) == [0, 1, 2]
    assert list(read["untrained"].layers) == [1, 2]
    x = read["trained"].layers[0]
    first = {name: values.numpy() for name, values in weights.items()}
    np.testing.assert_array_equal(read["untrained"].layers[2], hidden_unlabelled(first, of, x)[2])
    assert not np.allclose(read["trained"].layers[1], read["untrained"].layers[1])
    results = RunResults(
        run,
        unlabelled={net: one.layers for net, one in read.items()},
        labels=read["trained"].labels,
    )
    frame = RUN_FRAMES["probes"].measure(results)
    places = frame[["net", "layer"]].drop_duplicates().itertuples(index=False, name=None)
    assert list(places) == [
        ("pixels", 0), ("trained", 1), ("trained", 2), ("untrained", 1), ("untrained", 2),
    ]  # fmt: skip
    assert frame.loc[frame.unseen, "category"].unique().tolist() == [2]


def test_weights_of_another_study_are_not_probed(tmp_path: Path) -> None:
    of = recipe()
    run = Run("p", "digits", "FF", 2, 3)
    weights = initial_weights(of, 3, 784, 10)
    path = tmp_path / "weights.safetensors"
    save_file({name: values.numpy() for name, values in weights.items()}, path)
    known = metadata(
        run, of, weights_sha256=checksum(path), fingerprint=fingerprint([run.keys], of, DATA)
    )
    write_run(tmp_path / "run.json", known)
    read_unlabelled(run.keys, of, DATA, path, images=60)
    with pytest.raises(StoreError, match=r"recipe\.theta: \S+ here, 0\.45 in the study"):
        read_unlabelled(run.keys, of.but(theta=0.45), DATA, path, images=60)


def test_the_null_is_scored_with_the_labels_it_was_fitted_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probes, "probe", lambda x, labels, *_: np.eye(3)[labels] - 0.5)
    frame = probe_frame({1: np.zeros((100, 2))}, LABELS)
    names = ["balanced_accuracy", "auc", "null_balanced_accuracy", "null_auc"]
    assert frame[names].eq(1).all(axis=None)


def test_no_fold_learns_anything_from_the_images_it_scores() -> None:
    x = np.random.default_rng(0).normal(size=(100, 4)) + np.eye(4)[LABELS]
    _, test = next(StratifiedKFold(5, shuffle=True, random_state=0).split(x, LABELS))
    loud = x.copy()
    loud[test[0]] *= 1e3
    np.testing.assert_allclose(probe(loud, LABELS)[test[1:]], probe(x, LABELS)[test[1:]])
