"""What is read out of a net is what the study's definitions give, image by image."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from recipes import recipe_of
from test_training import DATA, RECIPE, RUN, files_in, train

from ffensembles.ensembles.method2 import largest_possible
from ffensembles.errors import StoreError
from ffensembles.models.recipe import Recipe
from ffensembles.representations.readout import NO_LABEL, extract, read_images, read_out
from ffensembles.representations.store import open_activations, save_tree

N, PIXELS, LABELS, WIDTHS = 13, 8, 3, (6, 5)
NAMES = ["cat", "dog", "owl"]

FF = recipe_of("FF", widths=WIDTHS, epochs=1)


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, PIXELS)).astype(np.float32)
    x[:, :LABELS] = 0
    return x, rng.integers(0, LABELS, N), np.arange(100, 100 + N)


def make_weights(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes = [PIXELS, *WIDTHS]
    weights = {}
    for k, (inputs, outputs) in enumerate(pairwise(sizes), 1):
        weights[f"layer{k}.weight"] = rng.normal(size=(outputs, inputs)).astype(np.float32)
        weights[f"layer{k}.bias"] = rng.normal(size=outputs).astype(np.float32)
    weights["readout.weight"] = rng.normal(size=(LABELS, WIDTHS[-1])).astype(np.float32)
    weights["readout.bias"] = np.zeros(LABELS, np.float32)
    return weights


def one_image(
    image: np.ndarray, recipe: Recipe, weights: dict[str, np.ndarray]
) -> list[np.ndarray]:
    """Layers' activations for one image, by the definition."""
    order = {"linf": np.inf, "l2": 2}[recipe.normalisation]
    layers: list[np.ndarray] = []
    for k in range(1, len(WIDTHS) + 1):
        if recipe.model != "BP" and (k > 1 or recipe.normalise_input):
            image = image / np.linalg.norm(image, order)
        z = weights[f"layer{k}.weight"] @ image + weights[f"layer{k}.bias"]
        image = 1 / (1 + np.exp(-z)) if recipe.activation == "sigmoid" else np.maximum(z, 0)
        layers.append(image)
    return layers


def with_label(image: np.ndarray, label: int, on: float) -> np.ndarray:
    image = image.copy()
    image[label] = on
    return image


def predicted_label(image: np.ndarray, on: float, recipe: Recipe, weights: dict) -> int:
    order = {"linf": np.inf, "l2": 2}[recipe.goodness]
    goodness = np.array(
        [
            [np.linalg.norm(a, order) for a in one_image(with_label(image, c, on), recipe, weights)]
            for c in range(LABELS)
        ]
    )
    if recipe.prediction == "softmax":
        goodness = np.exp(goodness) / np.exp(goodness).sum(axis=0)
    return int(goodness.sum(axis=1).argmax())


RECIPES = {
    "sigmoid-linf": FF,
    "raw input": FF.but(normalise_input=False),
    "BPFF": FF.but(model="BPFF"),
    "relu-l2": FF.but(activation="relu", goodness="l2", normalisation="l2", prediction="softmax"),
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("seed", [1, 2])
def test_representations_and_predictions_are_their_definition(
    name: str, seed: int, images: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    recipe, weights, (x, labels, ids) = RECIPES[name], make_weights(seed), images
    on = 2.5 if name != "BPFF" else np.linspace(1, 3, N).astype(np.float32)
    tree = extract(
        weights, recipe, x, labels, ids, categories=NAMES, on_value=on, positions=[range(LABELS)],
        block_size=4, attrs={"model": recipe.model},
    )  # fmt: skip
    on = np.broadcast_to(on, N)
    assert list(tree.children) == ["layer1", "layer2"]
    for k in (1, 2):
        layer = tree[f"layer{k}"].to_dataset()
        assert layer.activation.dims == ("presentation", "neuroid")
        assert layer.activation.dtype == np.float32
        largest = 1.0 if recipe.activation == "sigmoid" else np.inf
        assert largest_possible(layer.activation) == largest
        assert (layer.layer == k).all()
        for row in range(N):
            here = layer.isel(presentation=row)
            i = int(here.stimulus_id) - 100
            assert here.label == labels[i]
            assert here.embedded_label == labels[i]
            expected = one_image(with_label(x[i], labels[i], on[i]), recipe, weights)[k - 1]
            np.testing.assert_allclose(here.activation, expected, rtol=1e-5, atol=1e-6)
            assert here.predicted == predicted_label(x[i], on[i], recipe, weights)
            assert bool(here.correct) == (here.predicted == here.label)
    assert tree.attrs == {"model": recipe.model, "categories": NAMES, "held_out": None}


def test_bp_reads_no_label_and_predicts_by_its_readout(
    images: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    recipe, weights, (x, labels, ids) = FF.but(model="BP", theta=None), make_weights(), images
    layer = extract(weights, recipe, x, labels, ids, categories=NAMES)["layer2"].to_dataset()
    assert (layer.embedded_label == NO_LABEL).all()
    for row in range(N):
        here = layer.isel(presentation=row)
        expected = one_image(x[int(here.stimulus_id) - 100], recipe, weights)[-1]
        np.testing.assert_allclose(here.activation, expected, rtol=1e-5)
        assert here.predicted == (weights["readout.weight"] @ expected).argmax()


def test_presentations_are_sorted_by_label_and_keep_their_order_within(
    images: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    x, labels, ids = images
    before = x.copy()
    tree = extract(
        make_weights(), FF, x, labels, ids, categories=NAMES, positions=[range(LABELS)], on_value=1
    )
    layer = tree["layer1"].to_dataset()
    assert (np.diff(layer.label) >= 0).all()
    for _, group in layer.stimulus_id.groupby(layer.label):
        assert (np.diff(group) > 0).all()
    assert sorted(layer.stimulus_id.values) == ids.tolist()
    np.testing.assert_array_equal(x, before)


def test_a_held_out_class_carries_its_own_or_the_predicted_label(
    images: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    x, labels, ids = images
    options = {"categories": NAMES, "on_value": 2.0, "positions": [range(LABELS)], "held_out": 1}
    for seed in range(20):  # a net that takes some image of class 1 for another class
        weights = make_weights(seed)
        own = extract(weights, FF, x, labels, ids, **options)["layer1"].to_dataset()
        if (own.predicted != own.label)[own.label == 1].any():
            break
    assert (own.embedded_label == own.label).all()
    tree = extract(weights, FF, x, labels, ids, unseen_label="predicted", **options)
    assert tree.attrs["held_out"] == 1
    other = tree["layer1"].to_dataset()
    unseen = (other.label == 1).values
    np.testing.assert_array_equal(other.embedded_label[unseen], other.predicted[unseen])
    np.testing.assert_array_equal(other.embedded_label[~unseen], other.label[~unseen])
    np.testing.assert_array_equal(other.predicted, own.predicted)
    changed = (other.activation != own.activation).any("neuroid").values
    np.testing.assert_array_equal(changed, unseen & (own.predicted != own.label).values)


def test_a_label_may_have_a_pixel_in_every_channel(
    images: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    x, labels, ids = images
    pixels = np.array([[0, 1, 2], [4, 5, 6]])
    tree = extract(
        make_weights(), FF, x, labels, ids, categories=NAMES, positions=pixels, on_value=2.0
    )
    first = tree["layer1"].isel(presentation=0)
    i = int(first.stimulus_id) - 100
    lit = x[i].copy()
    lit[pixels[:, labels[i]]] = 2.0
    expected = one_image(lit, FF, make_weights())[0]
    np.testing.assert_allclose(first.activation, expected, rtol=1e-5)


def test_the_tree_survives_its_file(
    tmp_path: Path, images: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    x, labels, ids = images
    tree = extract(
        make_weights(), FF, x, labels, ids, categories=NAMES, positions=[range(LABELS)], on_value=1
    )
    save_tree(tree, tmp_path / "a.zarr.zip", mantissa_bits=10)
    back = open_activations(tmp_path / "a.zarr.zip", layer=2, category=1)
    whole = tree["layer2"].to_dataset()
    kept = whole.isel(presentation=np.flatnonzero(whole.label == 1))
    np.testing.assert_allclose(back.activation, kept.activation, rtol=2**-11)
    for name in kept.coords:
        np.testing.assert_array_equal(back[name], kept[name])


def test_weights_that_do_not_fit_are_told(
    images: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    x, labels, ids = images
    weights = make_weights()
    options = {"categories": NAMES, "positions": [range(LABELS)]}
    with pytest.raises(StoreError, match=r"layer1\.weight is \(6, 8\), the recipe needs \(6, 9\)"):
        extract(weights, FF, np.zeros((N, 9), np.float32), labels, ids, **options)
    del weights["layer2.weight"]
    with pytest.raises(StoreError, match=r"layer2\.weight is missing"):
        extract(weights, FF, x, labels, ids, **options)
    with pytest.raises(ValueError, match="positions"):
        extract(make_weights(), FF, x, labels, ids, categories=NAMES, positions=[[0]])


def test_new_images_are_whole_numbers_of_a_byte():
    run = {"dataset": "digits", "held_out": None}
    for images in (np.full((2, 28, 28), 0.5), np.full((2, 28, 28), 256), np.full((2, 28, 28), -1)):
        with pytest.raises(ValueError, match=r"images: found values that are no whole numbers in"):
            read_images(make_weights(), FF, run, {}, images)


@pytest.mark.parametrize("label", ["own", "predicted"])
def test_images_of_the_class_left_out_carry_the_label_that_is_asked_for(tmp_path, label):
    run, recipe = {**RUN, "held_out": 2}, RECIPE.but(epochs=2)
    train(tmp_path, recipe, held_out=2)
    store = tmp_path / "a.zarr.zip"
    read_out(run, recipe, DATA, files_in(tmp_path).weights, store, unseen_label=label)
    layer = open_activations(store, layer=1)
    unseen = layer["label"].values == 2
    wanted = layer["label"] if label == "own" else layer["predicted"]
    np.testing.assert_array_equal(layer["embedded_label"].values[unseen], wanted.values[unseen])
    assert (layer["predicted"].values[unseen] != 2).any()
