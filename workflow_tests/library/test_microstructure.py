"""Microstructure: planted patterns are found, their nulls give none, images and units belong."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes import recipe_of

from ffensembles.ensembles import find_ensembles
from ffensembles.extensions.kinds import microstructure as kind
from ffensembles.extensions.patterns import (
    OUTSIDE,
    Search,
    cluster,
    find_patterns,
    normal_cloud,
    project,
    shuffled_units,
    typical,
)

SEARCH = Search(components=10, least_share=0.05, neighbours=10)


def planted(sizes: tuple[int, ...], units: int = 120, seed: int = 0) -> np.ndarray:
    """ReLU activations: every pattern has ten units of its own among those that always vary."""
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.normal(size=(sum(sizes), units)), 0)
    starts = np.cumsum([0, *sizes])
    for pattern, (low, high) in enumerate(pairwise(starts)):
        x[low:high, 10 * pattern : 10 * (pattern + 1)] += 4
    return x


def test_two_planted_patterns_are_found_and_the_larger_one_is_first():
    x = planted((60, 140))
    found = find_patterns(x, SEARCH)
    assert found.count == 2
    inside = found.labels != OUTSIDE
    assert inside.mean() > 0.8
    assert (found.labels[inside] == np.repeat([1, 0], [60, 140])[inside]).all()


@pytest.mark.parametrize("seed", range(2))
def test_nulls_of_planted_patterns_give_none(seed: int):
    rng = np.random.default_rng(seed)
    x = planted((400, 400), seed=seed)
    shuffled = shuffled_units(x, rng)
    assert find_patterns(shuffled, SEARCH).count == 0
    assert cluster(normal_cloud(project(x, 10)[0], rng), SEARCH).max() == OUTSIDE


def test_shuffling_keeps_every_unit_and_breaks_what_units_do_together():
    x = planted((100, 100))
    shuffled = shuffled_units(x, np.random.default_rng(0))
    assert (np.sort(shuffled, axis=0) == np.sort(x, axis=0)).all()
    together, apart = (np.corrcoef(one[:, 0], one[:, 1])[0, 1] for one in (x, shuffled))
    assert together > 0.7
    assert abs(apart) < 0.3


@given(st.integers(0, 30), st.integers(1, 4), st.integers(0, 100))
@settings(max_examples=40, deadline=None)
def test_labels_are_whole_numbers_from_0_the_largest_first(n: int, units: int, seed: int):
    x = np.random.default_rng(seed).integers(0, 3, (n, units)).astype(float)
    found = find_patterns(x, Search(3, 0.05, 10))
    assert found.labels.shape == (n,)
    sizes = [int((found.labels == one).sum()) for one in range(found.count)]
    assert found.count != 1
    assert sizes == sorted(sizes, reverse=True)
    assert all(size >= 10 for size in sizes)


def test_the_order_of_images_does_not_matter():
    x = planted((60, 140))
    order = np.random.default_rng(0).permutation(len(x))
    one, other = find_patterns(x, SEARCH).labels, find_patterns(x[order], SEARCH).labels
    assert (one[order] == other).mean() > 0.98


def test_typical_images_belong_to_their_pattern():
    found = find_patterns(planted((60, 140)), SEARCH)
    picked = typical(found, 5)
    assert [len(one) for one in picked] == [5, 5]
    for pattern, rows in enumerate(picked):
        assert (found.labels[rows] == pattern).all()


class Run:
    """A run with a class of two patterns, one of a single pattern, and a lost class."""

    def __init__(self, seed: int) -> None:
        x = np.concatenate([planted((40, 60), seed=seed), planted((100,), seed=seed + 9)])
        self.labels = np.repeat([0, 1, 2], [100, 100, 10])
        self.x = np.concatenate([x, np.zeros((10, 120))]).astype(np.float32)
        self.x[3] = 0
        coords = {
            "label": ("presentation", self.labels),
            "correct": ("presentation", self.labels != 2),
            "stimulus_id": ("presentation", np.arange(210)),
        }
        layer = xr.Dataset({"activation": (("presentation", "neuroid"), self.x)}, coords=coords)
        self.run = {"dataset": "digits", "seed": seed}
        self.recipe = recipe_of("FF", activation="relu")
        self.activations = xr.DataTree.from_dict({"layer1": layer})
        self.categories = ("a", "b", "c")
        self.data = {"source": None, "folder": "data", "test_images": None, "split_seed": 0}

    @property
    def test_images(self) -> SimpleNamespace:
        noise = np.random.default_rng(0).random((210, 784))
        return SimpleNamespace(x=noise, stimulus_id=np.arange(210))

    def found(self, tree: xr.DataTree, method: str, quantile: float | None) -> xr.DataTree:
        return find_ensembles(tree, method)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    parameters = kind.Microstructure(method="loo", least_share=0.2, draws=3)
    keys = {"protocol": "relu-l2", "dataset": "digits", "held_out": None, "model": "FF"}
    parts = [
        kind.measure(Run(seed), parameters).assign(**keys, seed=seed)  # type: ignore[arg-type]
        for seed in (0, 1)
    ]
    return pd.concat(parts, ignore_index=True)


def row(frame: pd.DataFrame, layer: int, category: int) -> dict[str, Any]:
    here = frame[(frame.layer == layer) & (frame.category == category) & (frame.seed == 0)]
    return dict(here.iloc[0])


def test_a_frame_tells_classes_of_one_and_of_two_patterns(frame: pd.DataFrame):
    assert len(frame) == 2 * 2 * 3
    two, one, lost = (row(frame, 1, category) for category in range(3))
    assert (two["patterns"], one["patterns"], lost["patterns"]) == (2, 0, 0)
    assert two["silent"] == 1
    assert two["pattern"][3] == OUTSIDE
    assert two["dominant"] == pytest.approx(0.6, abs=0.1)
    assert two["shuffled"] == 0
    assert two["cloud"] < 1  # a hundred points of a long cloud are few
    # the ten units of each pattern are its own
    assert two["active"] == pytest.approx(10, abs=1)
    assert two["jaccard"] < 0.1
    assert two["jaccard_random"] > 0.8
    assert np.isnan(one["jaccard"])
    assert lost["n_presentations"] == 0
    assert row(frame, 0, 0)["patterns"] == 0
    assert row(frame, 0, 0)["stimulus_id"].tolist() == list(range(100))


def test_what_a_figure_shows_is_of_the_class_with_patterns(frame: pd.DataFrame):
    two, one = row(frame, 1, 0), row(frame, 1, 1)
    assert one["map_activation"] is None
    images = np.asarray(two["example_image"]).reshape(-1, 28, 28)
    assert images.dtype == np.uint8
    assert len(images) == len(two["example_pattern"]) == 10
    shown = np.asarray(two["map_activation"]).reshape(len(two["map_pattern"]), -1)
    assert shown.shape[1] == len(two["map_neuroid"]) == 40
    assert set(range(20)) <= set(two["map_neuroid"].tolist())
    own = np.isin(two["map_neuroid"], range(10))  # of the smaller pattern, which is the second
    second = np.asarray(two["map_pattern"]) == 1
    assert shown[np.ix_(second, own)].mean() > 2 + shown[np.ix_(~second, own)].mean()


def test_results_compare_with_both_nulls_and_between_runs(frame: pd.DataFrame):
    found = kind.results(frame)
    share = found[(found["quantity"] == kind.SEVERAL) & (found.layer == 1)]
    assert share["value"].tolist() == [0.5] * 3  # of the two classes that are not lost
    assert share["control"].tolist() == [kind.SHUFFLED, kind.CLOUD, kind.LARGER]
    assert share["control_value"].iloc[0] == 0
    agreement = found[(found["quantity"] == kind.AGREEMENT) & (found.layer == 1)].iloc[0]
    assert agreement["value"] > 0.9  # both runs have the same images in each pattern
    assert agreement["n_runs"] == 2
    assert not (found["quantity"] == kind.OF_IMAGES).any()  # these are noise without patterns
    # in each class the null counts that finds several patterns the more often
    nulls = pd.DataFrame({"shuffled": [0.0, 1.0], "cloud": [0.8, 0.2]})
    two = frame[frame.category < 2]
    two = two.assign(**{name: nulls[name][two["category"]].to_numpy() for name in nulls})
    found_two = kind.results(two)
    against = found_two[found_two.layer == 1].set_index("control")["control_value"]
    assert against[[kind.SHUFFLED, kind.CLOUD, kind.LARGER]].tolist() == [0.5, 0.5, 0.9]
    said = " ".join(kind.verdict(found))
    assert "0.50 in layer 1" in said
    assert "2 runs" in said


def test_a_frame_without_patterns_still_has_results(frame: pd.DataFrame):
    found = kind.results(frame[frame.category != 0])
    assert found[found["quantity"] == kind.SEVERAL]["value"].eq(0).all()
    assert "0.00 in layer 1" in kind.verdict(found)[0]


def test_a_figure_shows_the_class_with_patterns_and_survives_none(frame: pd.DataFrame):
    from ffensembles.plotting.captions import DatasetLabel
    from ffensembles.plotting.registry import KINDS, Shown

    one = KINDS["microstructure"]
    labels = {"digits": DatasetLabel("Digits", ("a", "b", "c"))}
    for rows, pictures in ((frame, 10), (frame[frame.category == 1], 0), (frame[:0], 0)):
        shown = Shown("microstructure", "2025", labels, frames={"microstructure": rows})
        figure = one.draw(shown, one.parameters())
        figure.canvas.draw()
        images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
        assert sum(image.shape == (28, 28) for image in images) == pictures
        caption = one.caption(shown, one.parameters())
        assert ("Digits: a in layer 1 of FF" in caption) == bool(pictures)
