"""The published numbers are complete, unique and say where they are printed."""

import pytest

from ffensembles.models.recipe import MODELS
from ffensembles.publication.numbers import PUBLISHED, published, published_frame


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


def test_no_number_is_there_twice() -> None:
    keys = [(p.quantity, p.dataset, p.model, p.layer) for p in PUBLISHED]
    assert len(keys) == len(set(keys))


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
    assert published("accuracy", "mnist", "FF", protocol="relu-l2") is None


def test_the_frame_holds_everything() -> None:
    frame = published_frame()
    assert len(frame) == len(PUBLISHED)
    assert set(frame.columns) == {
        "quantity", "source", "value", "se", "dataset", "model", "layer", "runs", "note",
    }  # fmt: skip
    sizes = frame.query("quantity == 'ensemble_size' and model == 'BP'")
    assert sizes.value.sum() == pytest.approx(287.7 + 133.4 + 39.8 + 304.7 + 132.9 + 39.0)
