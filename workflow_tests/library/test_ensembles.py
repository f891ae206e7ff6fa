"""The methods against hand-worked cases and against loops that spell their definitions out."""

import inspect
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from synthetic import activations

from ffensembles.ensembles import METHODS, check_method, ensemble_sizes, find_ensembles, matrices
from ffensembles.ensembles.loo import loo
from ffensembles.ensembles.method1 import method1
from ffensembles.ensembles.method2 import density_and_rank, method2, recut
from ffensembles.ensembles.shuffle import shuffled
from ffensembles.errors import ConfigError
from ffensembles.representations.store import open_tree, save_tree

ROOT = Path(__file__).parents[2]
ANY = arrays(np.float32, (12, 6), elements=st.floats(0, 1, width=32))
LEVELS = arrays(np.float32, (12, 6), elements=st.sampled_from(np.float32([0, 0.25, 0.5, 1])))


def make_layer(x: np.ndarray, labels: list[int], correct: list[bool] | None = None) -> xr.Dataset:
    coords = {"label": ("presentation", labels), "neuroid_id": ("neuroid", np.arange(x.shape[1]))}
    if correct is not None:
        coords["correct"] = ("presentation", correct)
    return xr.Dataset({"activation": (("presentation", "neuroid"), np.asarray(x))}, coords=coords)


LABELS = [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
CORRECT = [True, True, False, True, True, True, True, True, False, True, False, True]


def loop_method1(x: np.ndarray, q: float) -> list[bool]:
    values = sorted(float(value) for row in x for value in row)
    position = q * (len(values) - 1)
    low = int(np.floor(position))
    high = min(low + 1, len(values) - 1)
    threshold = values[low] + (position - low) * (values[high] - values[low])
    active = []
    for unit in range(x.shape[1]):
        column = sorted(float(value) for value in x[:, unit])
        middle = len(column) // 2
        odd = len(column) % 2
        median = column[middle] if odd else (column[middle - 1] + column[middle]) / 2
        on_top = median == values[-1] and values[0] < values[-1]
        active.append(median > threshold + 1e-12 or on_top)
    return active


def loop_method2(
    means: list[float], epsilon: float, bounded: bool
) -> tuple[list[float], list[float]]:
    rho, n_h = [], []
    for mean in means:
        near = sum(1 for other in means if mean - epsilon <= other <= mean + epsilon)
        width = 2 * epsilon
        if bounded and mean + epsilon > 1:
            width = epsilon + min(epsilon, 1 - mean)
        rho.append(near / width)
        n_h.append(float(sum(1 for other in means if other > mean)))
    return rho, n_h


def loop_loo(means: list[float], k: float) -> list[bool]:
    active = []
    for i, mean in enumerate(means):
        others = [other for j, other in enumerate(means) if j != i]
        active.append(mean > (k + 1) * sum(others) / len(others))
    return active


@settings(max_examples=60, deadline=None)
@given(st.one_of(ANY, LEVELS), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_method1_is_its_definition(x: np.ndarray, q: float) -> None:
    layer = make_layer(x, LABELS, CORRECT)
    found = method1(layer, [0.3, q])
    for category, rows in matrices(layer):
        # a median within rounding of the threshold may fall on either side
        threshold = found.threshold.sel(quantile=q, category=category).item()
        clear = np.abs(np.median(rows, axis=0) - threshold) > 1e-6
        clear |= np.median(rows, axis=0) == rows.max()
        got = found.active.sel(quantile=q, category=category).values
        np.testing.assert_array_equal(got[clear], np.array(loop_method1(rows, q))[clear])


@settings(max_examples=60, deadline=None)
@given(st.one_of(ANY, LEVELS), st.sampled_from([0.05, 0.2, 0.6]), st.booleans())
def test_method2_is_its_definition(x: np.ndarray, epsilon: float, relu: bool) -> None:
    x = x * np.float32(3) if relu else x
    layer = make_layer(x, LABELS, CORRECT)
    found = method2(layer, epsilon, cut="box", max_rho=0.4, max_n_h=0.3)
    for category, rows in matrices(layer):
        means = rows.mean(axis=0, dtype=np.float64).tolist()
        rho, n_h = loop_method2(means, epsilon, bounded=x.max() <= 1)
        got = found.sel(category=category)
        np.testing.assert_allclose(got.rho, rho)
        np.testing.assert_array_equal(got.n_h, n_h)
        box = [r <= 0.4 * 6 / (2 * epsilon) and h <= 0.3 * 6 for r, h in zip(rho, n_h, strict=True)]
        np.testing.assert_array_equal(got.active, box)


@pytest.mark.parametrize(
    ("known", "bounded"),
    [({}, True), ({"valid_min": 0.0}, False), ({"valid_min": 0.0, "valid_max": 1.0}, True)],
)
def test_a_weak_layer_of_relu_is_not_taken_for_a_sigmoid_one(
    known: dict[str, float], bounded: bool
) -> None:
    x = np.array([[0.9, 0.8, 0.1], [0.9, 0.8, 0.1]])
    layer = make_layer(x, np.zeros(2, int), np.ones(2, bool))
    layer["activation"].attrs.update(known)
    rho = method2(layer, 0.2).rho.sel(category=0)
    np.testing.assert_allclose(rho, loop_method2([0.9, 0.8, 0.1], 0.2, bounded)[0])


@pytest.mark.parametrize("units", range(2, 12))
def test_no_unit_is_above_equal_ones(units: int) -> None:
    x = np.full((2, units), 0.1)  # the sum of some numbers of these is rounded below their product
    assert not loo(make_layer(x, np.zeros(2, int), np.ones(2, bool)), 0).active.any()


@settings(max_examples=60, deadline=None)
@given(ANY, st.sampled_from([0.0, 1.0, 2.0]))
def test_loo_is_its_definition(x: np.ndarray, k: float) -> None:
    layer = make_layer(x, LABELS, CORRECT)
    found = loo(layer, k)
    for category, rows in matrices(layer):
        means = rows.mean(axis=0, dtype=np.float64)
        clear = np.abs(means - found.threshold.sel(category=category).item()) > 1e-9
        got = found.active.sel(category=category).values
        np.testing.assert_array_equal(got[clear], np.array(loop_loo(means.tolist(), k))[clear])


def test_method1_by_hand() -> None:
    # medians .8, .2, 0; sorted values 0 0 0 .1 .2 .3 .7 .8 .9: the .75-quantile is the 7th, .7
    x = np.array([[0.9, 0.2, 0.0], [0.8, 0.3, 0.0], [0.7, 0.1, 0.0]])
    found = method1(make_layer(x, [1, 1, 1]), [0.5, 0.75])
    np.testing.assert_allclose(found.threshold.squeeze(), [0.2, 0.7])
    np.testing.assert_allclose(found.floor, [1.5, 0.75])
    np.testing.assert_allclose(found["median"].squeeze(), [0.8, 0.2, 0])
    np.testing.assert_allclose(found["mean"].squeeze(), [0.8, 0.2, 0])
    assert found.active.dims == ("quantile", "category", "neuroid")
    assert found.active.squeeze().values.tolist() == [[True, False, False]] * 2
    assert ensemble_sizes(found).values.tolist() == [[1], [1]]


def test_method1_sits_on_its_floor_when_activations_do_not_depend_on_the_image() -> None:
    same = np.random.default_rng(0).random(784, np.float32)
    found = method1(make_layer(np.tile(same, (50, 1)), [0] * 50), [0.9, 0.95])
    np.testing.assert_allclose(found.floor, [78.4, 39.2])
    # distinct levels, 50 times each: the quantile itself falls on one of them
    np.testing.assert_allclose(ensemble_sizes(found).squeeze(), [78, 39])


def test_method1_cannot_exceed_its_ceiling_but_for_saturated_units() -> None:
    rng = np.random.default_rng(1)
    x = rng.random((40, 200), np.float32) * 0.1
    x[:, :60] = 1  # 30 % of the layer has run into the sigmoid's 1
    layer = make_layer(x, [0] * 40)
    assert ensemble_sizes(method1(layer, [0.95])).item() == 60
    assert ensemble_sizes(method1(layer, [0.95], saturated=False)).item() == 0
    # a layer that says nothing (dead, or stuck at 1) has no active unit
    for level in (0, 1):
        stuck = make_layer(np.full((40, 200), level, np.float32), [0] * 40)
        assert ensemble_sizes(method1(stuck, [0.95])).item() == 0


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (9, 40), elements=st.floats(0, 1)), st.sampled_from([0.9, 0.95]))
def test_method1_to_the_letter_respects_its_ceiling(x: np.ndarray, q: float) -> None:
    found = method1(make_layer(x, [0] * 9), [q], saturated=False)
    assert ensemble_sizes(found).item() <= 2 * (1 - q) * 40 + 1


def test_method2_by_hand() -> None:
    # means .95, .9, .5, .1, .05, 0; epsilon .2
    x = np.array([[0.95, 0.9, 0.5, 0.1, 0.05, 0.0]])
    box = {"cut": "box", "max_rho": 0.4, "max_n_h": 0.5}
    found = method2(make_layer(x, [3]), epsilon=0.2, **box).sel(category=3)
    # the first window ends at 1: .2 + .05 wide; the second's .2 + .1; each holds both
    np.testing.assert_allclose(found.rho, [2 / 0.25, 2 / 0.3, 1 / 0.4, 7.5, 7.5, 7.5])
    assert found.n_h.values.tolist() == [0, 1, 2, 3, 4, 5]
    # the box: rho up to .4 * 6 / .4 = 6, n_h up to 3
    assert (found.attrs["rho_cut"], found.attrs["n_h_cut"]) == pytest.approx((6, 3))
    assert found.active.values.tolist() == [False, False, True, False, False, False]


def loop_gap(means: list[float], epsilon: float, bounded: bool) -> list[bool]:
    """The units nearer to the corner than the widest gap, fewer than half of the layer above."""
    n = len(means)
    if max(means) - min(means) <= epsilon:  # the whole layer around each unit
        return [False] * n
    rho, n_h = loop_method2(means, epsilon, bounded)
    shares = [(r * 2 * epsilon / n, h / n) for r, h in zip(rho, n_h, strict=True)]
    far = [(r**2 + h**2) ** 0.5 for r, h in shares]
    order = sorted(far)
    widths = [b - a for a, b in pairwise(order)]
    last = order[widths.index(max(widths))]
    return [f <= last and h < n / 2 for f, h in zip(far, n_h, strict=True)]


@settings(max_examples=60, deadline=None)
@given(st.one_of(ANY, LEVELS), st.sampled_from([0.05, 0.2, 0.6]), st.booleans())
def test_method2s_gap_is_its_definition(x: np.ndarray, epsilon: float, relu: bool) -> None:
    x = x * np.float32(3) if relu else x
    layer = make_layer(x, LABELS, CORRECT)
    found = method2(layer, epsilon, cut="gap")
    assert "n_h_cut" not in found.attrs
    for category, rows in matrices(layer):
        means = rows.mean(axis=0, dtype=np.float64).tolist()
        got = found.sel(category=category)
        wanted = loop_gap(means, epsilon, bounded=x.max() <= 1)
        far = np.sort(np.hypot(got.rho * 2 * epsilon / 6, got.n_h / 6))
        widths = np.sort(np.diff(far))
        # not a tie, which rounding may decide
        if widths[-1] - widths[-2] > 1e-9 and abs(max(means) - min(means) - epsilon) > 1e-9:
            np.testing.assert_array_equal(got.active, wanted)


def test_method2s_gap_by_hand() -> None:
    # means .95, .9, .5, .1, .05, 0; epsilon .2; densities and ranks as shares of six units:
    # .53 and 0, .44 and .17, .17 and .33, .5 and .5, .5 and .67, .5 and .83
    x = np.array([[0.95, 0.9, 0.5, 0.1, 0.05, 0.0]])
    found = method2(make_layer(x, [3]), epsilon=0.2, cut="gap").sel(category=3)
    # distances .37 | .48, .53 | .71 | .83 | .97: the widest gap is before .71
    assert found.gap.item() == pytest.approx((0.5333 + 0.7071) / 2, abs=1e-3)
    assert found.active.values.tolist() == [True, True, True, False, False, False]
    # all means within epsilon: nobody stands out, whatever the order
    for quiet in (np.full((2, 6), 0.3), x / 5):
        none = method2(make_layer(quiet, [3] * len(quiet)), cut="gap").sel(category=3)
        assert np.isnan(none.gap)
        assert not none.active.any()


def test_method2s_box_in_a_layer_of_two_levels() -> None:
    for on in (1, 39, 40, 50, 51, 80, 81, 160):
        x = np.zeros((4, 200), np.float32)
        x[:, :on] = 1
        active = method2(make_layer(x, [0] * 4), cut="box").active.values[0]
        assert active[:on].all() == active[:on].any() == (on <= 80)
        assert active[on:].all() == active[on:].any() == (40 <= on <= 50)


@pytest.mark.parametrize("cut", ["gap", "box"])
def test_method2_finds_the_weak_unit_of_an_unseen_class_that_stands_alone(cut: str) -> None:
    rng = np.random.default_rng(2)
    x = rng.random((50, 784), np.float32) * 0.04
    x[:, 7] = 0.34
    found = method2(make_layer(x, [0] * 50), cut=cut)
    assert np.flatnonzero(found.active.values).tolist() == [7]


def test_only_correct_presentations_count_but_all_of_an_unseen_class() -> None:
    x = np.array([[0.9, 0], [0, 0.9], [0.2, 0.4], [0.4, 0.2]], np.float32)
    layer = make_layer(x, [0, 0, 1, 1], [True, False, False, False])
    found = loo(layer, 0)
    assert found.n_presentations.values.tolist() == [1, 0]
    np.testing.assert_allclose(found["mean"].sel(category=0), [0.9, 0])
    unseen = loo(layer, 0, unseen=1)
    assert unseen.n_presentations.values.tolist() == [1, 2]
    np.testing.assert_allclose(unseen["mean"].sel(category=1), [0.3, 0.3], rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lost", [[1], [0, 1, 2]])
def test_a_lost_class_has_a_missing_size(method: str, lost: list[int]) -> None:
    x = np.random.default_rng(0).random((12, 6), np.float32)
    layer = make_layer(x, LABELS, [label not in lost for label in LABELS])
    found = METHODS[method].find(layer, categories=range(4))  # 3 never occurs at all
    size = ensemble_sizes(found)
    missing = np.isnan(size.isel(quantile=0) if "quantile" in size.dims else size)
    assert found.category.values[missing].tolist() == [*lost, 3]
    assert found.n_presentations.values[missing].tolist() == [0] * (len(lost) + 1)
    assert not found.active.sel(category=lost).any()
    assert np.isnan(found["mean"].sel(category=lost)).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_run_layer_by_layer_and_through_a_file(method: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    layers = {
        f"layer{k}": make_layer(rng.random((12, 6), np.float32), LABELS, CORRECT)
        for k in (2, 10, 1)
    }
    attrs = {"categories": ["a", "b", "c"], "held_out": 2, "model": "FF"}
    tree = xr.DataTree.from_dict({"/": xr.Dataset(attrs=attrs), **layers})
    found = find_ensembles(tree, method)
    assert list(found.children) == ["layer1", "layer2", "layer10"]
    assert found.attrs["method"] == method
    assert found.attrs["model"] == "FF"
    assert found["layer2"].n_presentations.values.tolist() == [4, 3, 3]
    assert "neuroid_id" in found["layer2"].coords
    save_tree(found, tmp_path / "found.zarr.zip")
    back = open_tree(tmp_path / "found.zarr.zip", layer=10)
    np.testing.assert_array_equal(back.active, found["layer10"].active)
    assert back.active.dtype == bool


def test_impossible_parameters_are_told() -> None:
    layer = make_layer(np.zeros((1, 2)), [0])
    cases = [
        (lambda: method1(layer, [1.0]), "quantiles: found 1.0"),
        (lambda: method2(layer, 0), "epsilon: found 0"),
        (lambda: method2(layer, 0.1, max_rho=2), "max_rho, max_n_h: found 2"),
        (lambda: method2(layer, 0.1, cut="bok"), "cut: found 'bok'"),
        (lambda: loo(layer, -1), "k: found -1"),
        (lambda: find_ensembles(xr.DataTree(), "metod1"), "Did you mean method1"),
    ]
    for call, message in cases:
        with pytest.raises(ConfigError, match=message):
            call()


CUTS = st.fixed_dictionaries(
    {}, optional={
        "cut": st.sampled_from(["gap", "box"]),
        "max_rho": st.floats(0, 1),
        "max_n_h": st.floats(0, 1),
    },
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(ANY, st.sampled_from([0.05, 0.2]), CUTS, CUTS)
def test_a_recut_is_what_method2_finds_with_that_cut(x, epsilon, asked, other) -> None:
    tree = xr.DataTree.from_dict({"layer1": make_layer(x, LABELS, CORRECT)})
    found = find_ensembles(tree, "method2", epsilon=epsilon, **asked)
    xr.testing.assert_identical(
        recut(found, **other)["layer1"].to_dataset(),
        find_ensembles(tree, "method2", **{"epsilon": epsilon, **asked, **other})[
            "layer1"
        ].to_dataset(),
    )


def test_ensembles_of_an_earlier_version_were_cut_by_a_box() -> None:
    layer = make_layer(np.array([[0.95, 0.9, 0.5, 0.1, 0.05, 0.0]]), [3])
    found = find_ensembles(xr.DataTree.from_dict({"layer1": layer}), "method2", max_n_h=0.5)
    del found["layer1"].attrs["cut"]
    again = recut(found, max_rho=0.4)["layer1"]
    assert (again.attrs["cut"], again.attrs["n_h_cut"]) == ("box", 3)
    assert again.active.values[0].tolist() == [False, False, True, False, False, False]
    with pytest.raises(ConfigError, match="cut: found 'bok'"):
        recut(found, cut="bok")


# --- every entry of the registry -----------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_every_method_fulfils_what_results_rely_on(name):
    check_method(METHODS[name].find)


@pytest.mark.parametrize("name", METHODS)
def test_parameters_are_the_functions_own_and_config_yaml_states_their_defaults(name):
    method = METHODS[name]
    given = method.parameters().model_dump()
    signature = inspect.signature(method.find).parameters
    defaults = {key: signature[key].default for key in given}
    assert {k: list(v) if isinstance(v, tuple) else v for k, v in defaults.items()} == given
    stated = yaml.safe_load((ROOT / "config.yaml").read_text())["ensembles"]
    assert stated[name] == given


def test_config_yaml_states_every_method():
    assert set(yaml.safe_load((ROOT / "config.yaml").read_text())["ensembles"]) == set(METHODS)


def test_a_method_that_depends_on_the_order_of_presentations_is_found():
    def first_row(layer, *, categories=None, unseen=None):
        found = loo(layer, categories=categories, unseen=unseen)
        strongest = layer["activation"].values[0] > 0.15
        return found.assign(active=found["active"] & strongest)

    with pytest.raises(AssertionError, match="order of presentations"):
        check_method(first_row)


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_of_a_store_says_which_class_was_unseen(method: str) -> None:
    rng = np.random.default_rng(0)
    layer = make_layer(
        rng.random((6, 5)).astype(np.float32), [0, 0, 1, 1, 3, 3], [True] * 4 + [False] * 2
    )
    root = {"categories": list("abcd"), "held_out": 3}
    tree = xr.DataTree.from_dict({"/": xr.Dataset(attrs=root), "layer1": layer})
    found = find_ensembles(tree, method)["layer1"].to_dataset()
    alone = METHODS[method].find(layer.assign_attrs(root))
    xr.testing.assert_identical(found, alone)
    assert alone.n_presentations.values.tolist() == [2, 2, 0, 2]
    assert METHODS[method].find(layer).n_presentations.values.tolist() == [2, 2, 0]


def test_a_parameter_that_a_method_has_not_is_told() -> None:
    tree = xr.DataTree.from_dict({"layer1": make_layer(np.ones((1, 2)), [0], [True])})
    with pytest.raises(ConfigError, match=r"loo: has no kk; it takes categories, k and unseen\."):
        find_ensembles(tree, "loo", kk=2)


def test_the_null_permutes_labels_of_correct_images_alike_in_every_layer() -> None:
    tree = activations(lost=(1,))
    null, other = shuffled(tree, 3), shuffled(tree, 4)
    own, right = (tree["layer1"][name].values for name in ("label", "correct"))
    drawn = [null[name]["label"].values for name in null.children]
    assert all((one == drawn[0]).all() for one in drawn)
    assert (drawn[0][~right] == own[~right]).all()
    assert sorted(drawn[0][right]) == sorted(own[right])
    assert (drawn[0][right] != own[right]).mean() > 0.5
    assert (other["layer1"]["label"].values != drawn[0]).any()
    np.testing.assert_array_equal(null["layer2"].activation, tree["layer2"].activation)


def test_the_null_of_a_class_left_out_is_one_of_all_its_images() -> None:
    """None of them is classified correctly, and all of them count."""
    labels = [0] * 20 + [1] * 20 + [2] * 20
    layer = make_layer(np.random.default_rng(0).random((60, 4)), labels, [True] * 40 + [False] * 20)
    tree = xr.DataTree.from_dict({"/": xr.Dataset(attrs={"held_out": 2}), "layer1": layer})
    null = shuffled(tree, 0)["layer1"].to_dataset()
    assert (null["label"].values[40:] != 2).sum() > 5
    found = METHODS["loo"].find(null.assign_attrs(held_out=2))
    assert found.n_presentations.values.tolist() == [20, 20, 20]


def test_the_ends_of_the_window_belong_to_it() -> None:
    rho, _ = density_and_rank(np.array([0.75, 0.5, 0.25, 0.0]), 0.25)
    assert (rho * 0.5).tolist() == [2, 3, 3, 2]
