"""Each analysis against a case worked by hand, with a lost class in it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from synthetic import QUANTILES, activations, method1

from ffensembles.analyses.accuracy import accuracy_frame
from ffensembles.analyses.regression import (
    free,
    mark_ended,
    paired_sizes,
    regress,
    regress_protocols,
    regression_band,
)
from ffensembles.analyses.sharing import pair, shared_units, sharing_frame
from ffensembles.analyses.sizes import at_quantile, sizes_frame
from ffensembles.analyses.tidy import (
    RUN_KEYS,
    over_runs,
    over_seeds,
    read_frame,
    with_keys,
    write_frame,
)
from ffensembles.analyses.unseen import unseen_frame
from ffensembles.analyses.weights import (
    weights_by_unit,
    weights_frame,
    weights_histogram,
)
from ffensembles.ensembles import find_ensembles
from ffensembles.errors import StoreError
from ffensembles.representations.store import open_tree, save_tree
from ffensembles.representations.weights import load_weights


def keys(seed: int = 0, **changes: object) -> dict[str, object]:
    plain = {"protocol": "sigmoid-linf", "dataset": "mnist", "model": "FF", "held_out": None}
    return {**plain, "seed": seed, **changes}


def make_found(active: list[list[int]], lost: tuple[int, ...] = (), **attrs: object) -> xr.DataTree:
    """Ensembles of one layer as given; each unit's mean is its number over 10."""
    table = np.array(active, dtype=bool)
    means = np.tile(np.arange(table.shape[1]) / 10, (len(table), 1))
    counts = [0 if category in lost else 5 for category in range(len(table))]
    layer = xr.Dataset(
        {
            "active": (("category", "neuroid"), table),
            "mean": (("category", "neuroid"), means),
            "n_presentations": ("category", counts),
        },
        coords={"category": np.arange(len(table))},
    )
    root = xr.Dataset(attrs={"method": "method2", **attrs})
    return xr.DataTree.from_dict({"/": root, "layer1": layer})


# ------------------------------------------------------------------------------------------ tidy


def test_mean_and_standard_error_over_runs_by_hand() -> None:
    frame = pd.DataFrame(
        {
            "model": ["FF"] * 6 + ["BP"],
            "seed": [0, 0, 1, 1, 2, 2, 0],
            "size": [1.0, 3, 4, np.nan, 6, 6, 9],
        }
    )
    got = over_seeds(frame, "size", ["model"]).set_index("model")
    # runs' means 2, 4, 6: mean 4, deviation 2, standard error 2 / sqrt(3)
    assert got.loc["FF", "mean"] == pytest.approx(4)
    assert got.loc["FF", "se"] == pytest.approx(2 / np.sqrt(3))
    assert got.loc["FF", ["n_runs", "n_missing"]].tolist() == [3, 1]
    assert np.isnan(got.loc["BP", "se"])


def test_a_run_without_any_value_counts_as_missing_not_as_nothing() -> None:
    frame = pd.DataFrame({"model": "FF", "seed": [0, 1], "size": [np.nan, 2.0]})
    assert over_seeds(frame, "size", ["model"]).iloc[0].tolist()[1::2] == [2, 1]


def test_frames_survive_csv_with_their_missing_values(tmp_path: Path) -> None:
    frame = pd.concat(
        [with_keys(pd.DataFrame({"size": [1.5, np.nan]}), keys(held_out=h)) for h in (None, 3)]
    )
    write_frame(frame, tmp_path / "sizes.csv")
    pd.testing.assert_frame_equal(read_frame(tmp_path / "sizes.csv"), frame.reset_index(drop=True))
    assert "nan" not in (tmp_path / "sizes.csv").read_text().lower()
    with pytest.raises(StoreError, match="nowhere"):
        read_frame(tmp_path / "nowhere")


def test_the_frames_of_many_runs_become_one(tmp_path: Path) -> None:
    runs = []
    for seed in (4, 7):
        path = tmp_path / f"{seed}.zarr.zip"
        save_tree(make_found([[1, 0, 0], [1, 1, 0]], lost=(0,)), path)
        runs.append((keys(seed), path))
    frame = over_runs(lambda path: sizes_frame(open_tree(path)), runs)
    assert tuple(frame.columns[:5]) == RUN_KEYS
    assert frame.seed.tolist() == [4, 4, 7, 7]
    assert frame.held_out.isna().all()
    np.testing.assert_array_equal(frame["size"], [np.nan, 2, np.nan, 2])


# ----------------------------------------------------------------------------------------- sizes


def test_sizes_of_method1_carry_their_floor(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    layer = xr.Dataset(
        {"activation": (("presentation", "neuroid"), rng.random((20, 50), np.float32))},
        coords={"label": ("presentation", [0, 1] * 10), "correct": ("presentation", [True] * 20)},
    )
    tree = xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs={"categories": ["a", "b", "c"], "held_out": None}),
            "layer2": layer,
            "layer1": layer,
        }
    )
    found = find_ensembles(tree, "method1", quantiles=[0.9, 0.99])
    save_tree(found, tmp_path / "m.zarr.zip")
    frame = sizes_frame(open_tree(tmp_path / "m.zarr.zip"))
    assert len(frame) == 2 * 2 * 3
    assert frame.layer.tolist() == [1] * 6 + [2] * 6
    np.testing.assert_allclose(frame.floor, np.tile([5.0] * 3 + [0.5] * 3, 2), rtol=1e-6)
    assert frame["quantile"].unique().tolist() == [0.9, 0.99]
    assert frame.lost.tolist() == [False, False, True] * 4
    assert frame["size"].isna().tolist() == frame.lost.tolist()
    assert set(frame.units) == {50}
    for row in frame[~frame.lost].itertuples():
        here = found[f"layer{row.layer}"].to_dataset().sel(category=row.category)
        assert at_quantile(here, row.quantile).active.sum() == row.size
    with pytest.raises(KeyError):
        at_quantile(found["layer1"].to_dataset(), 0.95)


# --------------------------------------------------------------------------------------- sharing


def test_shared_units_by_hand() -> None:
    found = make_found([[1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], (4,))
    shared = shared_units(found["layer1"].to_dataset())
    nan = np.nan
    np.testing.assert_array_equal(
        shared["count"],
        [[3, 2, 0, 0, nan], [2, 3, 0, 0, nan], [0, 0, 0, 0, nan], [0, 0, 0, 0, nan], [nan] * 5],
    )
    np.testing.assert_array_equal(
        shared["jaccard"],
        [[1, 0.5, 0, 0, nan], [0.5, 1, 0, 0, nan], *[[0, 0, nan, nan, nan]] * 2, [nan] * 5],
    )
    frame = sharing_frame(found)
    assert len(frame) == 15
    assert pair(frame, (1, 0))["count"].tolist() == [2]
    assert pair(frame, (0, 4))["count"].isna().all()


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=2, max_size=5))
def test_shared_units_are_those_of_sets(active: list[list[bool]]) -> None:
    shared = shared_units(make_found(active)["layer1"].to_dataset())  # type: ignore[arg-type]
    sets = [{i for i, on in enumerate(row) if on} for row in active]
    for i, one in enumerate(sets):
        for j, two in enumerate(sets):
            assert shared["count"].values[i, j] == len(one & two)
            if one | two:
                expected = len(one & two) / len(one | two)
                assert shared["jaccard"].values[i, j] == pytest.approx(expected)


# ---------------------------------------------------------------------------------------- unseen


def test_unseen_beside_seen_by_hand() -> None:
    # means are 0, .1, .2, .3, .4; class 1 was left out
    table = [[0, 0, 0, 1, 1], [0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]
    frame = unseen_frame(make_found(table, held_out=1))
    assert frame.unseen.tolist() == [False, True, False, False]
    np.testing.assert_allclose(frame.activity, [0.35, 0.2, np.nan, 0.2])
    assert frame.shared.tolist() == [2, 2, 0, 3]
    lost = unseen_frame(make_found([[1, 0], [0, 0]], lost=(1,), held_out=1))
    np.testing.assert_array_equal(lost["size"], [1, np.nan])


def test_every_quantile_and_method_gives_rows() -> None:
    tree = activations(held_out=2, lost=(1,))
    one = method1(tree)
    for frame_of in (sharing_frame, unseen_frame):
        every = frame_of(one)
        assert every["quantile"].unique().tolist() == QUANTILES
        for quantile in QUANTILES:
            alone = frame_of(one, quantile)
            here = every[every["quantile"] == quantile].reset_index(drop=True)
            pd.testing.assert_frame_equal(alone, here)
        with pytest.raises(KeyError):
            frame_of(one, 0.5)
        for found in (find_ensembles(tree, "method2"), find_ensembles(tree, "loo")):
            frame = frame_of(found)
            assert frame["quantile"].isna().all()
            assert set(frame.method) == {found.attrs["method"]}
            assert list(frame.dtypes) == list(every.dtypes)
    shared = sharing_frame(one, 0.9)
    assert shared.columns[-1] == "unseen"
    of_unseen = shared[shared.unseen & (shared.layer == 1)]
    assert of_unseen[["category", "other"]].to_numpy().tolist() == [[0, 2], [1, 2], [2, 2], [2, 3]]
    assert not sharing_frame(method1(activations())).unseen.any()


# --------------------------------------------------------------------------------------- weights


def test_signs_of_weights_by_hand(tmp_path: Path) -> None:
    weights = {
        "layer2.weight": np.float32([[-1, -2], [-1, 1]]),
        "layer1.weight": np.float32([[1, 2, -3, 0], [1, 1, 1, 1]]),
        "layer1.bias": np.float32([5, 5]),
        "readout.weight": np.float32([[9, 9]]),
    }
    save_file(weights, tmp_path / "weights.safetensors")
    loaded = load_weights(tmp_path / "weights.safetensors")
    by_unit = weights_by_unit(loaded)
    assert by_unit.layer.tolist() == [1, 1, 2, 2]
    assert by_unit.positive.tolist() == [0.5, 1, 0, 0.5]
    assert by_unit.negative.tolist() == [0.25, 0, 1, 0.5]
    frame = weights_frame(loaded)
    assert frame.positive.tolist() == [0.75, 0.25]
    assert frame.all_negative.tolist() == [0, 1]
    assert frame.all_positive.tolist() == [1, 0]
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    for name in ("bad.safetensors", "nowhere"):
        with pytest.raises(StoreError, match=name):
            load_weights(tmp_path / name)


def test_histogram_counts_units_per_run() -> None:
    units = pd.DataFrame({"layer": 2, "neuroid": range(4), "negative": [0, 0.2, 1, 1.0]})
    frame = pd.concat([with_keys(units, keys(seed)) for seed in (0, 1)])
    got = weights_histogram(frame, layer=2, bins=4)
    assert got.units.tolist() == [2, 0, 0, 2]
    assert got.n_runs.tolist() == [2] * 4
    assert got.right.tolist() == [0.25, 0.5, 0.75, 1]


# -------------------------------------------------------------------------------------- accuracy


def test_accuracy_of_net_and_layers() -> None:
    frame = accuracy_frame({"accuracy": {"network": 0.9, "layers": [0.7, None]}, "n_train": 5})
    assert frame.layer.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(frame.accuracy, [0.9, 0.7, np.nan])
    assert not frame.dead.any()
    assert len(accuracy_frame({"accuracy": {"network": 0.9, "layers": []}})) == 1


# ------------------------------------------------------------------------------------ regression


def test_runs_of_two_protocols_give_two_regressions() -> None:
    pairs = pd.DataFrame({"size2": [0.0, 1, 2, 3]})
    both = pd.concat([
        pairs.assign(protocol="one", size1=pairs.size2 * 2 + [0, 0.1, 0, -0.1]),
        pairs.assign(protocol="two", size1=9 - pairs.size2),
    ])  # fmt: skip
    found = regress_protocols(both).set_index("protocol")
    assert found["n"].to_dict() == {"one": 4, "two": 4}
    for name, rows in both.groupby("protocol"):
        assert found.loc[name, "slope"] == regress(rows).slope.item()
    empty = regress_protocols(both[:0])
    assert empty.empty
    assert list(empty) == ["protocol", *regress(both)]


def test_regression_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(1)
    two = rng.integers(0, 100, 40).astype(float)
    pairs = pd.DataFrame({"size2": two, "size1": 10 + 0.9 * two + rng.normal(0, 5, 40)})
    pairs.loc[3, "size1"] = np.nan
    fit = regress(pairs, confidence=0.9).iloc[0]
    known = pairs.dropna()
    reference = sm.OLS(known.size1, sm.add_constant(known.size2)).fit()
    assert fit.slope == pytest.approx(reference.params["size2"])
    assert fit.intercept == pytest.approx(reference.params["const"])
    assert fit.r**2 == pytest.approx(reference.rsquared)
    interval = reference.conf_int(0.1)
    assert [fit.slope_low, fit.slope_high] == pytest.approx(interval.loc["size2"].tolist())
    assert [fit.intercept_low, fit.intercept_high] == pytest.approx(interval.loc["const"].tolist())
    assert (fit.n, fit.n_missing) == (39, 1)
    band = regression_band(pairs, [0, 50], confidence=0.9)
    assert band.line.tolist() == pytest.approx([fit.intercept, fit.intercept + 50 * fit.slope])
    assert [band.low[0], band.high[0]] == pytest.approx(interval.loc["const"].tolist())


def test_no_regression_learns_from_what_the_cut_ended() -> None:
    run = {key: 0 for key in RUN_KEYS} | {"layer": 1, "quantile": np.nan, "units": 8}
    found = {"method1": [1.0, 3, 5, 8], "method2": [0.0, 1, 2, 3]}
    sizes = pd.concat([
        pd.DataFrame({**run, "method": method, "category": range(4), "size": values})
        for method, values in found.items()
    ], ignore_index=True)  # fmt: skip
    sizes.loc[sizes.method == "method1", "quantile"] = 0.99
    box = mark_ended(sizes, {"cut": "box", "max_n_h": 0.25})
    assert box[box.ended][["method", "size"]].to_numpy().tolist() == [["method2", 3.0]]
    pairs = paired_sizes(box, 0.99)
    fit = regress(pairs).iloc[0]
    assert fit[["slope", "intercept", "n", "n_ended"]].tolist() == pytest.approx([2, 1, 3, 1])
    assert regression_band(pairs, [9.0]).line.item() == pytest.approx(19)
    assert free(pairs).size1.tolist() == [1, 3, 5]
    gap = paired_sizes(mark_ended(sizes, {"cut": "gap"}), 0.99)
    without = paired_sizes(sizes, 0.99)
    for all_of_them in (gap, without):
        fit = regress(all_of_them).iloc[0]
        assert fit[["slope", "n", "n_ended"]].tolist() == pytest.approx([2.3, 4, 0])


@pytest.mark.parametrize("sizes", [[], [1.0, 2.0], [3.0, 3.0, 3.0], [np.nan] * 4])
def test_no_line_is_missing_values_not_a_crash(sizes: list[float]) -> None:
    pairs = pd.DataFrame({"size1": np.arange(len(sizes), dtype=float), "size2": sizes})
    fit = regress(pairs).iloc[0]
    assert fit[["slope", "intercept", "r"]].isna().all()
    assert fit.n + fit.n_missing == len(sizes)
    assert regression_band(pairs, [0.0, 1.0])[["line", "low", "high"]].isna().all(axis=None)


def test_sizes_are_paired_by_run_layer_and_category() -> None:
    rows = []
    for seed in (0, 1):
        for category in (0, 1):
            for method, quantile in (("method1", 0.95), ("method1", 0.99), ("method2", np.nan)):
                row = {"layer": 1, "category": category, "method": method, "quantile": quantile}
                rows.append(
                    {**keys(seed), **row, "size": seed + 10 * category + (quantile == 0.99)}
                )
    frame = pd.DataFrame(rows)
    pairs = paired_sizes(frame, 0.99)
    assert len(pairs) == 4
    assert (pairs.size1 - pairs.size2).tolist() == [1] * 4


def test_analyses_import_no_torch() -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        "import ffensembles.analyses as packages, ffensembles.publication.tables\n"
        "names = [package.name for package in pkgutil.iter_modules(packages.__path__)]\n"
        "for name in names: importlib.import_module(f'ffensembles.analyses.{name}')\n"
        "assert len(names) > 5 and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
