"""Intrinsic dimension: data of known dimension, other libraries' numbers, duplicates, rounding."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from ffensembles.extensions import EXTENSIONS
from ffensembles.extensions.intrinsic_dimension import (
    RESOLVED,
    dimension_by_scale,
    distinct,
    rounding_of_distances,
)
from ffensembles.extensions.kinds import dimension as kind
from ffensembles.extensions.mixed_model import mixed_slopes
from ffensembles.representations.store import round_mantissa, rounding_bound

skdim = pytest.importorskip("skdim", reason="scikit-dimension is in the extra `extensions`")

# computed with dadapy 0.3.4 (`return_id_scaling_gride`) on the data of `noisy_subspace`
DADAPY = {
    2: [2.2332, 2.1602, 2.1379, 1.9926, 2.1022, 2.0464, 1.9876],
    6: [5.6878, 5.8305, 5.9146, 5.5008, 5.2794, 4.9791, 4.4218],
}


def subspace(dimension: int, n: int = 800, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dimension)) @ rng.normal(size=(dimension, 60))


def noisy_subspaces() -> dict[int, np.ndarray]:
    rng = np.random.default_rng(7)
    return {
        d: rng.normal(size=(600, d)) @ rng.normal(size=(d, 40)) + 0.01 * rng.normal(size=(600, 40))
        for d in (2, 6)
    }


@pytest.mark.parametrize("dimension", [1, 2, 5, 8])
def test_a_linear_subspace_has_its_dimension(dimension: int):
    found = dimension_by_scale(subspace(dimension), 16, 6, np.random.default_rng(0))
    assert found.orders.tolist() == [1, 2, 4, 8]
    assert found.dimension[0] == pytest.approx(dimension, rel=0.12)
    # in many dimensions distant neighbours are at the edge, where points are sparse
    assert found.dimension == pytest.approx(dimension, rel=0.15)
    assert (found.se > 0).all()
    assert (found.se < 0.1 * dimension).all()


def test_noise_fills_the_space_at_small_scales_and_is_gone_at_large_ones():
    x = subspace(2) + 0.05 * np.random.default_rng(1).normal(size=(800, 60))
    found = dimension_by_scale(x, 128, 0, np.random.default_rng(0))
    assert found.dimension[0] > 4
    assert found.dimension[-1] == pytest.approx(2, rel=0.25)


def test_the_numbers_are_those_of_dadapy():
    for dimension, x in noisy_subspaces().items():
        found = dimension_by_scale(x, 128, 0, np.random.default_rng(0))
        assert found.dimension == pytest.approx(DADAPY[dimension], abs=2e-4)


def test_the_first_scale_is_two_nn_worked_out_by_hand():
    x = subspace(3, n=60)
    distances = np.sort(np.linalg.norm(x[:, None] - x[None], axis=-1), axis=1)
    ratios = np.log(distances[:, 2] / distances[:, 1])
    found = dimension_by_scale(x, 2, 0, np.random.default_rng(0))
    cut = np.quantile(np.exp(ratios), [0.5, 0.95]) @ [-19, 20]
    kept = ratios[np.exp(ratios) < cut]
    assert found.dimension[0] == pytest.approx((len(kept) - 1) / kept.sum(), rel=1e-6)


def test_points_that_coincide_or_are_silent_are_counted_and_change_nothing():
    x = subspace(3, n=200)
    many = np.concatenate([np.zeros((4, 60)), x, x[:50], x[:7]])
    points = distinct(many)
    assert (points.silent, points.duplicates) == (4, 57)
    one = dimension_by_scale(points.x, 16, 0, np.random.default_rng(0))
    other = dimension_by_scale(x, 16, 0, np.random.default_rng(0))
    assert one.dimension == pytest.approx(other.dimension)


@given(st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_every_point_is_distinct_silent_or_a_duplicate(rows: list[list[int]]):
    found = distinct(np.array(rows, float))
    assert len(found.x) + found.silent + found.duplicates == len(rows)
    assert len({tuple(row) for row in found.x.tolist()}) == len(found.x)


def test_too_few_points_have_no_scale_and_equal_distances_no_dimension():
    assert not len(dimension_by_scale(subspace(2, n=7), 64, 3, np.random.default_rng(0)).orders)
    few = dimension_by_scale(subspace(2, n=40), 128, 3, np.random.default_rng(0))
    assert few.orders.tolist() == [1, 2, 4]  # a third of the points at most
    alike = dimension_by_scale(np.eye(30), 8, 2, np.random.default_rng(0))
    assert np.isnan(alike.dimension).all()


def test_what_rounding_adds_to_distances_is_estimated_and_marks_what_it_hides():
    rng = np.random.default_rng(0)
    x = (0.3 + 0.004 * subspace(2, n=400) / np.sqrt(2)).astype(np.float32)
    stored = round_mantissa(x, 10)
    added = np.linalg.norm((stored - x).astype(float), axis=1)
    expected = np.sqrt(2 * (added**2).mean())
    assert rounding_of_distances(stored, 10) == pytest.approx(expected, rel=0.5)
    assert rounding_of_distances(stored, None) == 0
    found = dimension_by_scale(distinct(stored).x, 64, 0, rng)
    resolved = found.radius >= RESOLVED * rounding_of_distances(stored, 10)
    assert found.dimension[0] > 2.25
    assert not resolved[0]
    assert resolved[-1]
    assert found.dimension[resolved] == pytest.approx(2, rel=0.1)


@given(
    st.lists(st.floats(0, 1, width=32) | st.floats(0.984375, 1, width=32), min_size=1, max_size=20),
    st.integers(6, 23),
)
@settings(max_examples=100, deadline=None)
def test_no_value_is_rounded_by_more_than_the_bound(values: list[float], bits: int):
    x = np.array(values, np.float32)
    stored = round_mantissa(x, bits)
    error = np.abs(stored.astype(float) - x)
    # subnormal numbers have fewer bits; the bound of a value near a power of two is that below it
    assert (error <= 1.04 * rounding_bound(stored, bits) + 1e-30).all()


def test_a_mixed_model_finds_the_slopes_that_were_put_in():
    rng = np.random.default_rng(1)
    rows = [
        {"seed": s, "layer": k, "x": rng.normal(), "z": rng.normal(), "level": 3 * s + k}
        for s in range(5)
        for k in (1, 2, 3)
        for _ in range(10)
    ]
    frame = pd.DataFrame(rows)
    frame["y"] = 0.5 * frame.x - frame.z + frame.level + 0.1 * rng.normal(size=len(frame))
    found = mixed_slopes(frame, "y", ["x", "z"])
    for name, slope in (("x", 0.5), ("z", -1.0)):
        assert found[name].low < slope < found[name].high
        assert len(found[name].by_run) == 5
        assert np.mean(found[name].by_run) == pytest.approx(slope, abs=0.05)
    single = mixed_slopes(frame[frame.seed == 0], "y", ["x"])["x"]
    assert np.isnan(single.value)
    assert len(single.by_run) == 1
    constant = mixed_slopes(frame.assign(x=1.0), "y", ["x"])["x"]
    assert np.isnan(constant.value)


@pytest.mark.parametrize("between", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("runs", [2, 5])
def test_a_mixed_model_is_the_one_of_greatest_restricted_likelihood(between: float, runs: int):
    """Beside every ratio of the two variances tried in turn; with a ratio of 0, least squares."""
    for draw in range(3):
        rng = np.random.default_rng(draw)
        seed, layer = np.repeat(np.arange(runs), 12), np.tile([1, 2], 6 * runs)
        x = rng.normal(size=12 * runs)
        y = 0.4 * x + layer + between * rng.normal(size=runs)[seed] + rng.normal(size=12 * runs)
        frame = pd.DataFrame({"seed": seed, "layer": layer, "x": x, "y": y})
        slope = mixed_slopes(frame, "y", ["x"])["x"]
        design = np.column_stack([np.ones_like(x), layer == 2, x])
        ratios = np.concatenate([[0], np.geomspace(1e-4, 1e3, 400)])
        fits = [restricted_fit(y, design, seed, ratio) for ratio in ratios]
        best = int(np.argmax([likelihood for likelihood, _, _ in fits]))
        _, value, error = fits[best]
        assert slope.value == pytest.approx(value, abs=1e-3)
        assert slope.high - slope.low == pytest.approx(2 * 1.96 * error, rel=0.02)
        if best == 0:
            assert slope.value == pytest.approx(np.linalg.lstsq(design, y, rcond=None)[0][-1])


def restricted_fit(
    y: np.ndarray, design: np.ndarray, seed: np.ndarray, ratio: float
) -> tuple[float, float, float]:
    """Return the restricted log likelihood at a ratio of variances, the last slope, its error."""
    covariance = np.eye(len(y)) + ratio * (seed[:, None] == seed)
    inverse = np.linalg.inv(covariance)
    information = design.T @ inverse @ design
    beta = np.linalg.solve(information, design.T @ inverse @ y)
    rest, freedom = y - design @ beta, len(y) - design.shape[1]
    scale = rest @ inverse @ rest / freedom
    dets = [np.linalg.slogdet(one)[1] for one in (covariance, information)]
    error = np.sqrt(scale * np.linalg.inv(information)[-1, -1])
    return -0.5 * (freedom * np.log(scale) + sum(dets)), float(beta[-1]), float(error)


class Run:
    """A run whose classes have two and five dimensions, one silent image, and a lost class."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        x = np.concatenate([subspace(2, 120, seed), subspace(5, 120, seed), rng.random((30, 60))])
        x[0] = 0
        self.labels = np.repeat([0, 1, 2], [120, 120, 30])
        self.images = np.concatenate([subspace(3, 240, 9), rng.random((30, 60))])
        coords = {
            "label": ("presentation", self.labels),
            "correct": ("presentation", self.labels != 2),
            "stimulus_id": ("presentation", np.arange(270)),
        }
        layer = xr.Dataset({"activation": (("presentation", "neuroid"), np.abs(x))}, coords=coords)
        self.run = {"dataset": "digits", "seed": seed}
        self.activations = xr.DataTree.from_dict({"layer1": layer})
        self.categories = ("a", "b", "c")

    @property
    def test_images(self) -> object:
        from types import SimpleNamespace

        return SimpleNamespace(x=self.images, stimulus_id=np.arange(270))

    def found(self, tree: xr.DataTree, method: str, quantile: float | None) -> xr.DataTree:
        from ffensembles.ensembles import find_ensembles

        return find_ensembles(tree, method, categories=range(3))


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    parameters = kind.Dimension(method="loo", neighbours=2, largest=8, subsamples=3)
    keys = {"protocol": "relu-l2", "dataset": "digits", "held_out": None}
    return pd.concat(
        [
            kind.measure(Run(seed), parameters).assign(**keys, model=model, seed=seed)  # type: ignore[arg-type]
            for model in ("FF", "BP")
            for seed in (0, 1)
        ],
        ignore_index=True,
    )


def test_a_frame_has_a_row_for_each_layer_class_and_scale(frame: pd.DataFrame):
    one = frame[(frame.model == "FF") & (frame.seed == 0)]
    assert one.groupby(["layer", "category"])["order"].apply(list).tolist() == [[1, 2, 4]] * 6
    lost = one[one.category == 2]
    assert lost["dimension"].isna().all()
    assert (lost["n_presentations"] == 0).all()
    first = one[(one.layer == 1) & (one.category == 0)]
    assert first["silent"].eq(1).all()
    assert first["size"].notna().all()
    assert one[one.layer == 0]["size"].isna().all()
    images = one[(one.layer == 0) & (one.category == 1) & one.main]
    assert images["dimension"].item() == pytest.approx(3, rel=0.3)
    assert (one["shuffled"].dropna() > one.loc[one["shuffled"].notna(), "dimension"]).all()


def test_results_say_what_was_measured_and_on_how_many_runs(frame: pd.DataFrame):
    found = kind.results(frame)
    main = found[found["quantity"] == "dimension, neighbours 2 and 4"]
    assert main["n_runs"].eq(2).all()
    assert set(main["layer"]) == {0, 1}
    mean = frame[frame.main & (frame.layer == 1) & (frame.model == "FF")]["dimension"].mean()
    here = main[(main.layer == 1) & (main.model == "FF")].iloc[0]
    assert here["value"] == pytest.approx(mean)
    assert here["control_value"] > here["value"]
    ratio = found[found["quantity"].str.startswith(kind.RATIO)]
    assert ratio["value"].to_numpy() == pytest.approx(1)  # both models are the same data here
    said = " ".join(kind.verdict(found))
    assert "2 runs" in said
    assert f"{here['value']:.1f}" in said
    assert "hardly known" in said


def test_dimensions_that_rounding_hides_do_not_count(frame: pd.DataFrame):
    hidden = frame.assign(resolved=frame["resolved"] & (frame["layer"] == 0))
    found = kind.results(hidden)
    layer = found[found["quantity"].str.startswith(kind.DIMENSION) & (found.layer == 1)]
    assert layer["value"].isna().all()
    assert "no dimension can be told" in kind.verdict(found)[0]
    left_out = found[found["quantity"] == kind.LEFT_OUT]
    assert left_out["value"].eq(1).all()


def test_a_class_without_a_dimension_counts_in_no_comparison(frame: pd.DataFrame):
    lost = (frame["category"] == 1) & (frame["layer"] == 1) & (frame["model"] == "BP")
    found = kind.results(frame.assign(resolved=frame["resolved"] & ~lost))
    main = found[(found["quantity"] == "dimension, neighbours 2 and 4") & (found["layer"] == 1)]
    of = frame[frame.main & (frame.layer == 1) & (frame.category == 0)]
    rows = main.set_index("model").loc["BP"]
    assert rows["control_value"] == pytest.approx(of[of.model == "BP"]["shuffled"].mean())
    ratio = found[found["quantity"].str.startswith(kind.RATIO) & (found["layer"] == 1)]
    means = of.groupby("model")["dimension"].mean()  # of the class that both models have
    assert ratio["value"].item() == pytest.approx(means["FF"] / means["BP"])


def test_a_layer_in_which_most_classes_have_no_dimension_has_no_mean(frame: pd.DataFrame):
    """Of two classes with images one is half of them; of four it is not."""
    more = [frame.assign(category=frame["category"] + 3 * copy) for copy in (0, 1)]
    both = pd.concat(more, ignore_index=True)
    left = both["category"].eq(1) | both["layer"].eq(0) | both["model"].eq("BP")
    found = kind.results(both.assign(resolved=both["resolved"] & left))
    main = found[found["quantity"] == "dimension, neighbours 2 and 4"].set_index(["model", "layer"])
    assert np.isnan(main.loc[("FF", 1), "value"])
    assert main.loc[("FF", 1), "n_runs"] == 0
    assert main.loc[[("FF", 0), ("BP", 1)], "n_runs"].eq(2).all()


def test_a_slope_is_told_where_classes_differ_by_half_of_its_step():
    """Sizes of 10 to 21 units are 1.0 doublings of 1 + units apart, 100 to 110 .14 of one."""
    rng = np.random.default_rng(0)
    rows = [
        {
            **{"protocol": "p", "dataset": "d", "model": model, "held_out": None, "seed": seed},
            **{"layer": layer, "category": category, "order": 4, "main": True, "resolved": True},
            **{"dimension": 2 + rng.random(), "se": 0.1, "shuffled": 9.0, "radius": 1.0},
            **{"n_presentations": 50, "silent": 0, "duplicates": 0},
            **{"size": first + category * step, "sparsity": 0.5 + 0.01 * category},
        }
        for model, first, step in (("FF", 10, 1.1), ("BP", 100, 1.0))
        for seed in range(5)
        for layer in (1, 2)
        for category in range(11)
    ]
    found = kind.results(pd.DataFrame(rows))
    by_model = found[found["quantity"].isin(kind.SLOPES.values())].groupby("model")["quantity"]
    assert {model: set(names) for model, names in by_model} == {
        "FF": set(kind.SLOPES.values()),
        "BP": {kind.SLOPES["sparsity_tenths"]},
    }
    alike = pd.DataFrame(rows).assign(size=lambda one: one["size"].where(one["seed"] > 0, 10))
    told = set(kind.results(alike)["quantity"])
    assert kind.SLOPES["doublings"] not in told  # one run in which all are alike is enough


def test_one_run_is_measured_and_has_no_interval(frame: pd.DataFrame):
    found = kind.results(frame[(frame.model == "FF") & (frame.seed == 0)])
    assert found["low"].isna().all()
    assert "1 run" in EXTENSIONS["dimension"].verdict(found)[0]


def test_a_figure_shows_runs_and_says_what_is_missing(frame: pd.DataFrame):
    from ffensembles.plotting.captions import DatasetLabel
    from ffensembles.plotting.registry import KINDS, Shown

    one = KINDS["dimension"]
    labels = {name: DatasetLabel(name, ("a", "b", "c")) for name in ("digits", "mnist")}
    for rows, said in (
        (frame, "neighbours 2 and 4"),
        (frame.assign(resolved=False), "rounding"),
        (frame[:0], "0 runs"),
    ):
        shown = Shown("dimension", "2025", labels, frames={"dimension": rows})
        assert said in one.caption(shown, one.parameters())
        figure = one.draw(shown, one.parameters())
        figure.canvas.draw()
        assert len(figure.axes) == 8
    few = frame.assign(resolved=~(frame.model.eq("FF") & frame.layer.eq(1)))
    caption = one.caption(
        Shown("dimension", "2025", labels, frames={"dimension": few}), one.parameters()
    )
    assert re.search(r"adds to them \(0 of \d+ are left in layer 1 of FF on digits\)\.", caption)
    main = frame[frame.main & (frame.layer == 1) & (frame.category == 0)]
    assert "4 silent" in one.caption(
        Shown("dimension", "2025", labels, frames={"dimension": main}), one.parameters()
    )
