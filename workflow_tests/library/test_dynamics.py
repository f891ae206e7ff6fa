"""Readings of nets while they train: nothing changes, kills leave no trace, numbers by hand."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from test_engine import BP, BPFF, FF, images_of_test, make_task
from test_training import DATA, RECIPE, RUN, TRAINING, files_in, same

from ffensembles.analyses.sparsity import sparsity_frame
from ffensembles.analyses.tidy import read_frame, with_keys
from ffensembles.engine.batched import BatchedStage
from ffensembles.ensembles import find_ensembles
from ffensembles.errors import TrainingError
from ffensembles.extensions.kinds.dynamics import (
    Dynamics,
    curves,
    half_epoch,
    halves_of_change,
    measure,
    results,
    verdict,
)
from ffensembles.extensions.observing import DynamicsObserver, dynamics_frame
from ffensembles.extensions.runs import ExtensionRun
from ffensembles.models.network import hidden, initial_weights, predict
from ffensembles.models.recipe import Recipe
from ffensembles.training import loop
from ffensembles.training.cache import Cache
from ffensembles.training.readings import Readings
from ffensembles.training.run import run_block, run_training

METHODS: dict[str, dict[str, Any]] = {
    "method1": {"quantiles": [0.9, 0.95]},
    "method2": {},
    "loo": {"k": 1.0},
}
OBSERVER = DynamicsObserver(4, 3, METHODS)


def train(
    folder: Path, recipe: Recipe = RECIPE, observer: Any = OBSERVER, **options: Any
) -> dict[str, np.ndarray]:
    files = replace(files_in(folder), readings=folder / Cache.readings)
    run_training(RUN, recipe, DATA, TRAINING, files, observer=observer, **options)
    return load_file(files.weights)


@pytest.mark.parametrize(
    ("recipe", "engine"),
    [
        (FF, "fast"),
        (FF, "plain"),
        (FF.but(goodness="l2", batch_size=20), "fast"),
        (BPFF, "fast"),
        (BPFF, "plain"),
        (BP, "fast"),
        (BP, "plain"),
    ],
)
def test_weights_with_and_without_readings_are_the_same_bits(recipe: Recipe, engine: Any):
    task = make_task(recipe)
    settings = loop.Settings(engine=engine, block_size=16)
    test = images_of_test(task)
    without = loop.train(task, settings, test)
    watched = loop.train(task, settings, test, observer=OBSERVER)
    assert same(without.weights, watched.weights)
    assert without.readings == {}
    read = {tuple(map(int, name.split("/")[:2])) for name in watched.readings}
    assert read == {(layer, epoch) for layer in (1, 2, 3) for epoch in (0, 1, 2, 3, 6)}


@pytest.mark.parametrize("recipe", [FF, FF.but(prediction="softmax"), BPFF, BP])
def test_the_last_reading_is_that_of_the_trained_net(recipe: Recipe):
    task = make_task(recipe)
    test = images_of_test(task)
    everything = DynamicsObserver(3, 10**6, METHODS)
    trained = loop.train(task, loop.Settings(), test, observer=everything)
    weights = {name: make_task(FF).x.new_tensor(w) for name, w in trained.weights.items()}
    predicted, alone = predict(weights, recipe, test.x, test.label_value, task.positions)
    last = {name.split("/")[2]: value for name, value in trained.readings.items()
            if name.startswith(f"3/{recipe.epochs}/")}  # fmt: skip
    for label in test.labels.unique().tolist():
        of = test.labels == label
        right = float((predicted[of] == label).double().mean())
        assert last["network_accuracy"][label] == pytest.approx(right, abs=1e-6)
        if not recipe.spec.readout:
            right = float((alone[2][of] == label).double().mean())
            assert last["layer_accuracy"][label] == pytest.approx(right, abs=1e-6)


def test_epoch_0_of_a_layer_is_the_layer_as_it_was_drawn():
    task = make_task(BP)
    test = images_of_test(task)
    everything = DynamicsObserver(3, 10**6, METHODS)
    trained = loop.train(task, loop.Settings(), test, observer=everything)
    net = initial_weights(BP, task.seed, task.x.shape[1], task.n_labels)
    net = {name: w.to(task.x.dtype) for name, w in net.items()}
    drawn = hidden(net, BP, test.x)[1].float().numpy()
    expected = everything.measure(drawn, test.labels.numpy(), task.n_labels, BP.valid_activations)
    for name, value in expected.items():
        np.testing.assert_array_equal(trained.readings[f"2/0/{name}"], value)


def test_the_same_images_of_each_class_are_read():
    task = make_task(FF)
    test = images_of_test(task)
    one, other = (Readings(OBSERVER, [replace(task, seed=seed)], test) for seed in (1, 2))
    assert one._labels.tolist() == other._labels.tolist()
    assert np.bincount(one._labels.numpy()).max() <= OBSERVER.images


def stop_at(patch: pytest.MonkeyPatch, layer: int, epoch: int) -> None:
    """Let a job be asked to stop in a layer's epoch."""
    real = loop._Training._epochs

    def stopped(self: Any, stage: Any, number: int, first: int) -> None:
        real_epoch = stage.epoch

        def asked(index: int) -> Any:
            if (number, index) == (layer, epoch):
                signal.raise_signal(signal.SIGTERM)
            return real_epoch(index)

        stage.epoch = asked
        real(self, stage, number, first)

    patch.setattr(loop._Training, "_epochs", stopped)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["FF", "BPFF"])
def test_a_run_stopped_in_any_layer_ends_with_the_same_weights_and_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
):
    recipe = RECIPE.but(model=model, epochs=12)
    whole = train(tmp_path / "whole", recipe)
    for layer, epoch in ((0, 5), (1, 3), (2, 0), (2, 11)):
        folder = tmp_path / f"{layer}-{epoch}"
        with monkeypatch.context() as patch:
            stop_at(patch, layer if model == "FF" else 0, epoch)
            try:
                train(folder, recipe)
                assert epoch == recipe.epochs - 1  # asked in the last epoch of all
            except TrainingError:
                assert (folder / "checkpoint.safetensors").exists()
        assert same(train(folder, recipe), whole)
        frames = [(at / Cache.readings).read_bytes() for at in (folder, tmp_path / "whole")]
        assert frames[0] == frames[1]


@pytest.mark.parametrize("former", [None, replace(OBSERVER, methods={"loo": {}})])
def test_other_readings_do_not_cost_a_training(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    former: DynamicsObserver | None,
):
    recipe = RECIPE.but(epochs=6)
    whole = train(tmp_path / "whole", recipe)
    for layer, observer in ((0, former), (1, OBSERVER)):  # stopped twice
        with monkeypatch.context() as patch:
            stop_at(patch, layer, 3)
            with pytest.raises(TrainingError, match="asked to stop"):
                train(tmp_path / "again", recipe, observer)
    caplog.set_level("INFO")
    assert same(train(tmp_path / "again", recipe), whole)
    assert "continuing at stage 1, epoch 4" in caplog.text
    assert "Training goes on without" in caplog.text
    assert not (tmp_path / "again" / Cache.readings).exists()


def test_runs_of_a_block_have_their_own_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from ffensembles.engine import stages

    recipe = RECIPE.but(epochs=4)
    alone = train(tmp_path / "alone", recipe)
    monkeypatch.setattr(stages, "takes_many", lambda task, kind: True)
    monkeypatch.setattr("ffensembles.training.loop.stage_kind", lambda task, kind: BatchedStage)
    folders = [tmp_path / "block" / str(seed) for seed in (2, RUN["seed"])]
    files = [replace(files_in(each), readings=each / Cache.readings) for each in folders]
    runs = [{**RUN, "seed": int(each.name)} for each in folders]
    run_block(runs, recipe, DATA, TRAINING, files, observer=OBSERVER)
    frames = [read_frame(own.readings or "") for own in files]
    assert not frames[0]["sparsity"].equals(frames[1]["sparsity"])
    expected = read_frame(tmp_path / "alone" / Cache.readings)
    np.testing.assert_allclose(frames[1]["sparsity"], expected["sparsity"], atol=1e-3)
    assert alone


def test_readings_are_cached_with_the_run(tmp_path: Path):
    cache, recipe = Cache(tmp_path / "cache", "0" * 64), RECIPE.but(epochs=3)
    first = train(tmp_path / "one", recipe, cache=cache)
    again = train(tmp_path / "other", recipe, cache=cache)
    assert same(first, again)
    name = Cache.readings
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    unread = Cache(tmp_path / "unread", "0" * 64)
    train(tmp_path / "three", recipe, observer=None, cache=unread)
    train(tmp_path / "four", recipe, cache=unread)  # a run is not trained again for readings
    assert not (tmp_path / "four" / name).exists()


def run_at(folder: Path, observer: DynamicsObserver | None = OBSERVER) -> ExtensionRun:
    files = {"weights": folder / "weights.safetensors", "metadata": folder / "run.json"}
    return ExtensionRun(RUN, files=files, recipe=RECIPE, data=DATA, methods=METHODS,
                        observer=observer)  # fmt: skip


def test_the_extension_takes_the_readings_of_these_weights_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    shown = Dynamics(method="method1", quantile=0.95)
    recipe = RECIPE.but(epochs=3)
    train(tmp_path / "one", recipe)
    frame = measure(run_at(tmp_path / "one"), shown)
    assert set(frame.method) == set(METHODS)
    here = frame[frame.of_edition]
    assert set(zip(here.method, here["quantile"], strict=True)) == {("method1", 0.95)}
    assert sorted(here.epoch.unique()) == [0, 1, 2, 3]
    train(tmp_path / "without", recipe, observer=None)
    assert measure(run_at(tmp_path / "without"), shown).empty
    assert "was trained without readings" in caplog.text
    train(tmp_path / "other", recipe.but(learning_rate=0.02), observer=None)
    (tmp_path / "one" / Cache.readings).rename(tmp_path / "other" / Cache.readings)
    assert measure(run_at(tmp_path / "other"), shown).empty
    assert "is of another training" in caplog.text


@pytest.mark.parametrize("change", [{"images": 4}, {"methods": {"method1": {"quantiles": [0.5]}}}])
def test_the_extension_takes_no_readings_of_other_settings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: dict[str, Any]
):
    shown = Dynamics(method="method1", quantile=0.95)
    train(tmp_path, RECIPE.but(epochs=2))
    configured = replace(OBSERVER, **change)
    assert measure(run_at(tmp_path, configured), shown).empty
    assert f"{tmp_path}/dynamics.parquet: was read with other settings" in caplog.text
    assert not measure(run_at(tmp_path), shown).empty
    assert not measure(run_at(tmp_path, None), shown).empty  # nothing to compare them with


def test_readings_of_a_version_without_a_parameter_are_taken():
    """Identities that kept results have, of the configuration that they were trained with."""
    methods = {
        "method1": {"quantiles": [0.9, 0.95, 0.99], "saturated": True},
        "method2": {"epsilon": 0.2, "cut": "box", "max_rho": 0.8, "max_n_h": 0.25},
        "loo": {"k": 1},
    }
    observer = DynamicsObserver(12, 50, methods)
    assert observer.identity == "d04607e54f207a9a"
    assert observer.fits(observer.identity)
    assert observer.fits("4d58d10f7d034b90")  # Method 2 had no `cut`
    gap = replace(observer, methods={**methods, "method2": {**methods["method2"], "cut": "gap"}})
    assert gap.fits("134129140c10f677")
    assert not gap.fits("4d58d10f7d034b90")
    assert not gap.fits(observer.identity)


@given(st.integers(1, 5000), st.integers(2, 30))
def test_readings_begin_before_training_and_end_with_it(last: int, n: int):
    epochs = DynamicsObserver(n, 1, {}).epochs(last)
    assert epochs[0] == 0
    assert epochs[-1] == last
    assert epochs == sorted(set(epochs))
    assert len(epochs) <= n + 1


@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=8),
    st.floats(0.1, 10),
    st.floats(-3, 3),
)
def test_the_epoch_at_half_does_not_depend_on_scale(values: list[float], scale: float, by: float):
    epochs = np.arange(len(values), dtype=float)
    found = half_epoch(epochs, np.array(values), 1e-3)
    if np.isnan(found):
        assert abs(values[-1] - values[0]) <= 1e-3
        return
    assert 0 < found <= epochs[-1]
    at = np.interp(found, epochs, values)
    assert at == pytest.approx((values[0] + values[-1]) / 2, abs=1e-6)
    scaled = half_epoch(epochs, scale * np.array(values) + by, 0)
    assert scaled == pytest.approx(found, abs=1e-6)


def readings_of(layers: dict[int, dict[int, list[list[int]]]], **given: Any) -> dict[str, Any]:
    """Make readings by hand: active units (classes, units) by layer and epoch."""
    arrays = {}
    for layer, epochs in layers.items():
        for epoch, active in epochs.items():
            n = len(active)
            own = {
                name: np.zeros(n)
                for name in ("layer_accuracy", "network_accuracy", "sparsity", "silent", "images")
            }
            own |= {name: np.full(n, values[epoch]) for name, values in given.items()}
            own["active-loo"] = np.array(active, bool)
            arrays |= {f"{layer}/{epoch}/{name}": value for name, value in own.items()}
    return arrays


def frame_of(readings: dict[str, Any], seed: int = 0, model: str = "FF") -> pd.DataFrame:
    keys = {"protocol": "p", "dataset": "d", "model": model, "held_out": None, "seed": seed}
    return with_keys(dynamics_frame(readings).assign(of_edition=True), keys)


def test_which_comes_first_by_hand():
    # the final ensembles are there from epoch 4 on; accuracy is at half after 1 or 3 epochs
    none, final = [[0, 0, 0], [0, 0, 0]], [[1, 0, 0], [0, 1, 1]]
    active = {1: {0: none, 2: none, 4: final, 8: final}}
    accuracy = {
        0: {0: 0.0, 2: 1.0, 4: 1.0, 8: 1.0},
        1: {0: 0.0, 2: 0.0, 4: 1.0, 8: 1.0},
    }
    frame = pd.concat(
        [frame_of(readings_of(active, layer_accuracy=own), seed) for seed, own in accuracy.items()]
    )
    half = halves_of_change(frame)
    assert half["accuracy"].tolist() == [1.0, 3.0]
    assert half["ensembles"].tolist() == [3.0, 3.0]
    assert half["formed"].tolist() == [1.0, 1.0]
    assert half["formed_before"].tolist() == [0.0, 0.0]
    found = results(frame).set_index("quantity")
    row = found.loc["accuracy: epoch at half of its rise"]
    assert (row["value"], row["control_value"], row["n_runs"]) == (2.0, 3.0, 2)
    assert "the order is not settled (2 runs)" in verdict(results(frame))[0]
    # ensembles that are gone in the end are not an accuracy that does not rise
    gone = {1: {epoch: none for epoch in active[1]}}
    lost = frame_of(readings_of(gone, layer_accuracy=accuracy[0]))
    (said,) = verdict(results(lost))
    assert "accuracy is at half after 1 epochs, and there are no ensembles in the end" in said
    flat = frame_of(readings_of(active, layer_accuracy=dict.fromkeys(accuracy[0], 0.5)))
    assert "accuracy rises too little" in verdict(results(flat))[0]
    assert results(frame.iloc[:0]).empty
    assert verdict(results(frame.iloc[:0])) == ["No run was read while it trained."]


def test_units_that_change_class_by_hand():
    # unit 0 goes from class 1 to class 0, unit 1 was class 0's all the time, unit 2 was nobody's
    active = {1: {0: [[0, 1, 0, 0], [1, 0, 0, 0]], 3: [[1, 1, 1, 0], [0, 0, 0, 1]]}}
    frame = frame_of(readings_of(active)).query("epoch == 0").set_index("category")
    assert frame.loc[0, "kept"] == pytest.approx(1 / 3)
    assert frame.loc[0, "elsewhere"] == pytest.approx(1 / 3)
    assert frame.loc[0, "elsewhere_chance"] == pytest.approx(1 / 4)
    empty = frame_of(readings_of({1: {0: [[1, 0], [0, 1]], 3: [[1, 0], [0, 0]]}}))
    assert empty.set_index(["epoch", "category"])["elsewhere_chance"].isna()[0, 1]
    assert frame.loc[1, "jaccard"] == 0
    assert frame.loc[1, "elsewhere"] == 0


@pytest.mark.parametrize(("model", "expected"), [("FF", 0.25), ("BP", 0.75)])
def test_accuracy_is_the_layers_where_layers_train_alone(model: str, expected: float):
    readings = readings_of(
        {2: {0: [[1, 0]], 5: [[1, 0]]}},
        layer_accuracy={0: 0.25, 5: 0.25},
        network_accuracy={0: 0.75, 5: 0.75},
    )
    assert set(curves(frame_of(readings, model=model))["accuracy"]) == {expected}


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_shares_of_a_final_ensemble_never_exceed_one(seed: int):
    rng = np.random.default_rng(seed)
    active = {1: {epoch: rng.random((3, 7)) < 0.4 for epoch in (0, 1, 4)}}
    frame = frame_of(readings_of(active))  # type: ignore[arg-type]
    known = frame.dropna(subset=["kept"])
    assert (known["kept"] + known["elsewhere"] <= 1 + 1e-12).all()
    assert frame["jaccard"].dropna().between(0, 1).all()
    last = frame[frame.epoch == 4].dropna(subset=["jaccard"])
    assert (last[["jaccard", "kept"]] == 1).all(axis=None)


def test_readings_that_were_made_before_there_was_a_method_are_taken(tmp_path: Path):
    shown = Dynamics(method="method1", quantile=0.95)
    train(tmp_path, RECIPE.but(epochs=2))
    later = replace(OBSERVER, methods={**METHODS, "mine": {"a": 1}})
    assert measure(run_at(tmp_path, later), shown).equals(measure(run_at(tmp_path), shown))
    other = replace(later, methods={**later.methods, "loo": {"k": 2}})
    assert measure(run_at(tmp_path, other), shown).empty


def test_a_layer_is_measured_as_stored_activations_are():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 10)
    x = 0.2 * rng.random((30, 40)).astype(np.float32)
    for category in range(3):
        x[np.ix_(labels == category, range(4 * category, 4 * category + 4))] += 0.8
    x[:3] = 0
    methods = {"method1": {"quantiles": [0.85, 0.95]}, "method2": {"max_rho": 0.12}, "loo": {}}
    valid = {"valid_min": 0.0}
    got = DynamicsObserver(4, 10, methods).measure(x, labels, 3, valid)
    layer = xr.Dataset(
        {"activation": (("presentation", "neuroid"), x, valid)},
        coords={"label": ("presentation", labels)},
    )
    tree = xr.DataTree.from_dict({"layer1": layer})
    sparsity = sparsity_frame(tree).dropna(subset="category")
    np.testing.assert_allclose(got["sparsity"], sparsity["sparsity"])
    assert got["silent"].tolist() == sparsity["silent"].tolist() == [3, 0, 0]
    for name, parameters in methods.items():
        active = find_ensembles(tree, name, **parameters)["layer1"]["active"]
        if name != "method1":
            np.testing.assert_array_equal(got[f"active-{name}"], active)
            continue
        for quantile in (0.85, 0.95):
            own = got[f"active-method1@{quantile}"]
            np.testing.assert_array_equal(own, active.sel(quantile=quantile))
