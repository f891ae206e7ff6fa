"""The published numbers are complete, unique and say where they are printed."""

import pytest

from ffensembles.models.recipe import MODELS
from ffensembles.publication.numbers import NUMBERS, PUBLISHED, published, tolerance
from ffensembles.publication.numbers2025 import PUBLISHED_2025


def test_every_cell_of_the_three_tables_is_there() -> None:
    for quantity, layers in (
        ("accuracy", [None]),
        ("ensemble_size", [1, 2, 3]),
        ("positive_weights", [1, 2, 3]),
    ):
        for dataset in ("mnist", "fashionmnist"):
            for model in MODELS:
                for layer in layers:
                    assert published(quantity, dataset, model, layer) is not None
    assert len(PUBLISHED) == 6 + 18 + 18 + 10


@pytest.mark.parametrize("edition", NUMBERS)
def test_no_number_is_there_twice(edition: str) -> None:
    numbers = NUMBERS[edition]
    keys = [(p.quantity, p.dataset, p.model, p.layer, p.protocol) for p in numbers]
    assert len(keys) == len(set(keys))
    assert {p.edition for p in numbers} == {edition}
    # a protocol belongs to one edition, so that it tells which number is meant
    others = {p.protocol for key, rest in NUMBERS.items() if key != edition for p in rest}
    assert not others & {p.protocol for p in numbers}


@pytest.mark.parametrize(
    ("quantity", "dataset", "model", "layer", "value", "se"),
    [
        ("accuracy", "mnist", "BP", None, 0.77, 0.076),
        ("accuracy", "fashionmnist", "BPFF", None, 0.79, 0.0081),
        ("ensemble_size", "mnist", "BPFF", 3, 38.9, 0.11),
        ("ensemble_size", "fashionmnist", "FF", 2, 18.2, 1.01),
        ("ensemble_size", "fashionmnist", "BP", 1, 304.7, 2.55),
        ("positive_weights", "mnist", "FF", 2, 0.002, None),
        ("positive_weights", "fashionmnist", "BPFF", 3, 0.005, None),
        ("regression_intercept", None, None, None, 9.95, None),
    ],
)
def test_values_as_printed(
    quantity: str,
    dataset: str | None,
    model: str | None,
    layer: int | None,
    value: float,
    se: float | None,
) -> None:
    number = published(quantity, dataset, model, layer)
    assert number is not None
    assert (number.value, number.se) == (value, se)
    assert number.source


def test_what_was_not_published_is_none() -> None:
    assert published("accuracy", "digits", "FF") is None
    assert published("sparsity", "mnist", "FF", 1) is None
    assert published("ensemble_size", "mnist", "FF", 1, protocol="relu-l2") is None
    # of an upper bound there is no value
    assert published("accuracy", "mnist", "BPFF", protocol="relu-l2") is None


def test_sizes_of_bp_add_up() -> None:
    sizes = [p.value for p in PUBLISHED if (p.quantity, p.model) == ("ensemble_size", "BP")]
    assert sum(sizes) == pytest.approx(287.7 + 133.4 + 39.8 + 304.7 + 132.9 + 39.0)


def test_conditions_stand_beside_the_numbers() -> None:
    size, shared = (
        published("ensemble_size", "mnist", "FF", 1),
        published("shared_units", "fashionmnist", "FF", 1),
    )
    assert size is not None
    assert shared is not None
    assert (size.edition, size.protocol) == ("2023", "sigmoid-linf")
    assert size.ensembles == {"method": "method1", "quantile": 0.95}
    assert (shared.quantile, shared.categories) == (0.9, (2, 4))
    for quantity in ("unseen_size", "unseen_activity", "seen_activity"):
        unseen = published(quantity, "fashionmnist", "FF")
        assert unseen is not None
        assert (unseen.ensembles, unseen.held_out) == ({"method": "method2"}, 0)


@pytest.mark.parametrize(
    ("dataset", "model", "layer", "value", "known", "ends"),
    [
        ("mnist", "FF", None, 0.9511, "inferred", (0.9509, 0.9513)),
        ("mnist", "FF", 3, 0.3775, "inferred", (0.162, 0.593)),
        ("mnist", "BP", 2, 0.1935, "fitted", (0.188, 0.199)),
        ("fashionmnist", "FF", None, 0.8317, "printed", (None, None)),
        ("fashionmnist", "BPFF", 3, 0.025, "inferred", (None, None)),
        ("svhn", "BP", None, 0.857, "fitted", (None, None)),
        ("svhn", "FF", 1, 0.802, "fitted", (None, None)),
    ],
)
def test_the_later_editions_numbers(dataset, model, layer, value, known, ends) -> None:
    quantity = "sparsity" if layer else "accuracy"
    number = published(quantity, dataset, model, layer, protocol="relu-l2")
    assert number is not None
    assert number.value == pytest.approx(value)
    assert (number.known, (number.low, number.high), number.bound) == (known, ends, False)


def test_the_later_edition_is_whole() -> None:
    accuracies = [p for p in PUBLISHED_2025 if p.quantity == "accuracy"]
    assert (len(accuracies), len(PUBLISHED_2025)) == (10, 10 + 9 * 3)
    assert [(p.dataset, p.model, p.value) for p in accuracies if p.bound] == [
        ("mnist", "BPFF", 0.97)
    ]
    control = published("sparsity", "mnist", "BP", 1, protocol="relu-l2--BP.learning_rate-0.01")
    assert control is not None
    assert (control.low, control.high, control.runs) == (0.95, 0.97, 6)
    assert tolerance("accuracy", 0.83, "2025") == pytest.approx(0.02)
