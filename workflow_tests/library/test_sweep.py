"""Variations of the open settings: what they are called, what they change, how they are scored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ffensembles.analyses.similarity import similarity_frame
from ffensembles.config import load_config
from ffensembles.errors import ConfigError
from ffensembles.plotting.sweep import caption_sweep, draw_sweep
from ffensembles.publication.numbers import published
from ffensembles.publication.sweep import distances, sweep_frame
from ffensembles.runs import Run
from ffensembles.study.grid import Grid, whole, without
from ffensembles.study.variations import configured, cuts, untrained

ROOT = Path(__file__).parents[2]
THETA = {"key": "FF.theta", "values": [0.4, 0.6], "models": ["FF"]}
BATCH = {"key": "BP.batch_size", "values": [None], "models": ["BP"]}


def swept(*settings, **changes):
    sweep = {"protocol": "sigmoid-linf", "seeds": [0, 7], "settings": list(settings)}
    first = {"protocols": ["sigmoid-linf"], "sweep": sweep}
    return Grid(load_config(ROOT / "config.yaml", {**first, **changes}))


def test_a_variation_changes_one_key_and_nothing_else():
    grid = swept(THETA, BATCH)
    base = grid.recipe(Run("sigmoid-linf", "mnist", "FF", None, 0))
    varied = grid.recipe(Run("sigmoid-linf--FF.theta-0.4", "mnist", "FF", None, 0))
    assert varied == base.but(theta=0.4)
    full = grid.recipe(Run("sigmoid-linf--BP.batch_size-null", "mnist", "BP", None, 0))
    assert full.batch_size is None


def test_the_sweep_is_its_base_and_each_variation_of_the_models_it_concerns():
    grid = swept(THETA, BATCH, datasets=["mnist"], held_out=[])
    runs = grid.scope("sweep/")
    # BP/FF is no base here: no setting concerns it
    assert len(runs) == len(set(runs)) == 2 * (2 + 2 + 1)
    names = {(run.protocol, run.model) for run in runs if run.protocol != "sigmoid-linf"}
    assert names == {
        ("sigmoid-linf--FF.theta-0.4", "FF"),
        ("sigmoid-linf--FF.theta-0.6", "FF"),
        ("sigmoid-linf--BP.batch_size-null", "BP"),
    }
    assert {run.seed for run in runs} == {0, 7}
    assert configured(grid.config, grid.config.sweep) == {"FF.theta": "0.5", "BP.batch_size": "256"}


def test_a_model_s_own_key_that_is_null_is_configured_as_the_protocol_has_it():
    grid = swept({"key": "BPFF.negatives", "values": ["pooled"], "models": ["BPFF"]})
    assert configured(grid.config, grid.config.sweep) == {"BPFF.negatives": "once"}


def test_a_setting_has_seeds_of_its_own_and_its_base_has_them_too():
    grid = swept({**THETA, "seeds": [0, 9]}, BATCH, datasets=["mnist"], held_out=[])
    seeds: dict[str, set[int]] = {}
    for run in grid.scope("sweep/"):
        seeds.setdefault(run.protocol, set()).add(run.seed)
    assert seeds == {
        "sigmoid-linf": {0, 7, 9},
        "sigmoid-linf--FF.theta-0.4": {0, 9},
        "sigmoid-linf--FF.theta-0.6": {0, 9},
        "sigmoid-linf--BP.batch_size-null": {0, 7},
    }


def test_a_setting_has_seeds_by_data_set():
    grid = swept({**THETA, "seeds": {"fashionmnist": [3]}}, BATCH, held_out=[])
    found = {(run.protocol, run.dataset, run.model, run.seed) for run in grid.scope("sweep/")}
    base, batch = "sigmoid-linf", "sigmoid-linf--BP.batch_size-null"
    assert found == {
        # no setting of FF has runs on MNIST, so that it needs no base there
        *((base, "mnist", "BP", seed) for seed in (0, 7)),
        *((base, "fashionmnist", model, seed) for model in ("FF", "BP") for seed in (0, 3, 7)),
        *((f"{base}--FF.theta-{theta}", "fashionmnist", "FF", 3) for theta in (0.4, 0.6)),
        *((batch, data, "BP", seed) for data in ("mnist", "fashionmnist") for seed in (0, 7)),
    }


def test_a_sweep_without_settings_is_of_its_base():
    grid = swept(datasets=["mnist"], held_out=[])
    found = {(run.protocol, run.dataset, run.model, run.seed) for run in grid.scope("sweep/")}
    models = grid.config.models
    assert found == {("sigmoid-linf", "mnist", m, seed) for m in models for seed in (0, 7)}


def test_settings_stand_beside_the_runs_that_the_study_has():
    def bases(*seeds):
        one = {"protocol": "all", "model": "FF", "dataset": "all", "seeds": [*seeds]}
        grid = swept(THETA, held_out=[], own_seeds=[one])
        return {run.seed for run in grid.scope("sweep/") if run.protocol == "sigmoid-linf"}

    assert bases(0, 1, 7) == {0, 7}
    assert bases(0, 1) == {0}
    assert bases(1, 2) == {0, 7}  # none of the sweep's: they are trained for it


def test_nothing_of_the_sweep_or_of_the_nulls_is_part_of_the_study():
    grid = swept(THETA)
    assert set(grid.scope("")) == set(grid.scope("shuffled/")) == set(grid.runs)
    assert not set(grid.scope("untrained/")) & set(grid.runs)


def test_untrained_nets_lack_the_classes_that_trained_ones_do():
    grid = swept(THETA)
    runs = grid.scope("untrained/")
    apart, seeds = without(runs), {run.seed for run in whole(runs)}
    assert {(run.model, run.dataset, run.held_out) for run in apart} == {
        (run.model, run.dataset, run.held_out) for run in without(grid.runs)
    }
    assert len(apart) == len(set(apart)) == len(seeds) * len({run.held_out for run in apart})


def test_an_untrained_net_is_one_of_no_epochs():
    grid = swept(THETA)
    for run in grid.scope("untrained/"):
        assert run.protocol == untrained("sigmoid-linf")
        trained = grid.recipe(Run("sigmoid-linf", run.dataset, run.model, None, run.seed))
        assert grid.recipe(run) == trained.but(epochs=0)


UNSEEN = {"key": "unseen_label", "values": ["predicted"], "models": ["FF"]}
GAP = {"key": "ensembles.method2.cut", "values": ["gap"], "models": ["FF", "BPFF", "BP"]}
MAX_RHO = {**GAP, "key": "ensembles.method2.max_rho", "values": [0.4]}


def test_what_matters_to_an_unseen_class_is_varied_on_runs_without_one():
    entry = {"protocols": "all", "model": "FF", "dataset": "mnist"}
    held_out = [{**entry, "classes": [3], "seeds": [0, 1]}]
    grid = swept(UNSEEN, GAP, datasets=["mnist"], held_out=held_out)
    runs = grid.scope("sweep/")
    assert {(run.protocol, run.held_out, run.seed) for run in runs if run.model == "FF"} == {
        ("sigmoid-linf", None, 0),
        ("sigmoid-linf", None, 7),
        ("sigmoid-linf", 3, 0),
        ("sigmoid-linf--unseen_label-predicted", 3, 0),
    }
    (varied,) = [run for run in runs if run.protocol != "sigmoid-linf"]
    assert grid.unseen_label(varied) == "predicted"
    assert grid.recipe(varied) == grid.recipe(Run("sigmoid-linf", "mnist", "FF", 3, 0))


def test_a_cut_needs_no_run_of_its_own():
    grid = swept(GAP, MAX_RHO, datasets=["mnist"], held_out=[])
    assert list(cuts(grid.config.sweep).values()) == [{"cut": "gap"}, {"max_rho": 0.4}]
    assert grid.cut_runs == list(grid.scope("sweep/"))
    assert {run.protocol for run in grid.cut_runs} == {"sigmoid-linf"}
    assert configured(grid.config, grid.config.sweep) == {
        "ensembles.method2.cut": "box",
        "ensembles.method2.max_rho": "0.8",
    }


def test_a_setting_that_another_key_leaves_without_effect_is_told():
    with pytest.raises(ConfigError, match=r"max_rho, which changes nothing while \S+cut is gap\."):
        swept(MAX_RHO, ensembles={"method2": {"cut": "gap"}})
    shared = {"key": "negatives", "values": ["each-epoch"], "models": ["BPFF", "FF"]}
    with pytest.raises(ConfigError, match=r"nothing while FF\.negatives is pooled\. Change that"):
        swept(shared)
    swept({**shared, "models": ["BPFF"]})
    swept(shared, recipes={"sigmoid-linf": {"FF": {"negatives": None}}})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            {**THETA, "key": "FF.thetta"},
            "settings[0].key: found 'FF.thetta'; allowed: widths",
        ),
        ({**THETA, "key": "FF.thetta"}, "did you mean 'FF.theta'?"),
        ({**THETA, "key": "FF"}, "sweep.settings[0].key: found 'FF'; allowed: widths"),
        (
            {**THETA, "values": [0.4, -1]},
            "settings[0].values[1]: found -1; allowed: a number",
        ),
        (
            {**THETA, "key": "negatives", "values": ["onec"]},
            "sweep.settings[0].values[0]: found 'onec'; allowed: once, each-epoch, pooled, "
            "permuted",
        ),
        (
            {**GAP, "values": ["bok"]},
            "sweep.settings[0].values[0]: found 'bok'; allowed: box, gap",
        ),
        (
            {**MAX_RHO, "values": [2]},
            "sweep.settings[0].values[0]: found 2; allowed: a number from 0 and up to 1",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_said_in_a_line(setting, message):
    with pytest.raises(ConfigError) as raised:
        swept(setting)
    assert message in str(raised.value)


def keyed(protocol, **columns):
    keys = {"protocol": protocol, "dataset": "mnist", "model": "FF", "held_out": pd.NA, "seed": 0}
    return pd.DataFrame({**keys, **columns}, index=[0])


BASE, THETA_4, CUT = "sigmoid-linf", "sigmoid-linf--FF.theta-0.4", "a cut"
SETTINGS = {THETA_4: ("FF.theta", "0.4"), CUT: ("ensembles.method2.max_rho", "0.5")}


def sizes_by(protocol, method, sizes, **more):
    rows = [keyed(protocol, layer=1, method=method, category=c, size=s, **more)
            for c, s in enumerate(sizes)]  # fmt: skip
    return pd.concat(rows)


def of_each_model(protocol, method, sizes, **more):
    """Return one class of each model, whose sizes are these."""
    return sizes_by(protocol, method, sizes, **more).assign(model=["FF", "BPFF", "BP"])


@pytest.fixture
def scored():
    """Return what makes the scores of one base run, one at another theta, and a cut."""
    parts = []
    for protocol, accuracy, size, positive in (
        (BASE, 0.90, 2.7, 0.63),
        (THETA_4, 0.93, 5.4, np.nan),
    ):
        parts.append(
            (
                keyed(protocol, layer=0, accuracy=accuracy, n_train=6000),
                pd.concat(
                    [
                        sizes_by(protocol, "method1", [size - 1, size + 1, np.nan], quantile=0.95),
                        sizes_by(protocol, "method1", [99, 99, 99], quantile=0.9),
                        of_each_model(protocol, "method1", [12.95, 10.95, 14.95], quantile=0.99),
                    ]
                ),
                keyed(protocol, layer=1, positive=positive),
            )
        )
    accuracy, sizes, weights = (pd.concat(of, ignore_index=True) for of in zip(*parts, strict=True))
    cuts = [of_each_model(BASE, "method2", [3, 1, 5], quantile=np.nan),
            of_each_model(CUT, "method2", [1.5, 0.5, 2.5], quantile=np.nan)]  # fmt: skip
    unseen = [
        keyed(protocol, layer=1, category=c, unseen=c == 0, size=size, activity=0.1 + 0.1 * c)
        for protocol, units in ((BASE, (2, 4)), (CUT, (1, 3)))
        for c, size in enumerate(units)
    ]
    unseen = pd.concat(unseen, ignore_index=True).assign(
        dataset="fashionmnist", held_out=0, method="method2"
    )
    apart = accuracy.assign(held_out=3, accuracy=0.1)  # of no concern to accuracies
    return pd.concat([accuracy, apart]), pd.concat([sizes, *cuts]), weights, unseen


@pytest.fixture
def frame(scored):
    *frames, unseen = scored
    return sweep_frame(*frames, SETTINGS, BASE, unseen=unseen)


def test_a_sweep_that_lacks_a_model_has_no_regression_of_all(scored):
    accuracy, sizes, weights, _ = scored
    quantities = sweep_frame(accuracy, sizes, weights, SETTINGS, BASE).quantity
    assert "regression_slope" in set(quantities)
    rest = sweep_frame(accuracy, sizes[sizes.model != "BP"], weights, SETTINGS, BASE)
    assert not rest.empty
    assert not rest.quantity.str.startswith("regression").any()


def test_scores_by_hand(frame):
    assert set(frame.protocol) == {"sigmoid-linf"}  # the one varied, not the variations
    assert set(frame.n_train) == {6000}
    rows = frame.set_index(["setting", "quantity"])
    assert rows.loc[("", "accuracy"), "distance"].item() == pytest.approx(1)
    assert rows.loc[("", "ensemble_size"), "ours"].item() == pytest.approx(2.7)
    assert rows.loc[("FF.theta", "ensemble_size"), "distance"].item() == pytest.approx(2.7 / 0.54)
    assert rows.loc["FF.theta", "value"].tolist() == ["0.4"] * 3
    assert rows.loc["FF.theta", "published"].tolist() == [0.93, 2.7, 0.63]


def test_a_sweep_of_the_later_protocol_is_scored_by_the_later_edition():
    accuracy = keyed("relu-l2", layer=0, accuracy=0.96, n_train=6000).assign(model="BP")
    sizes = sizes_by("relu-l2", "loo", [3.0]).assign(quantile=np.nan)
    weights = keyed("relu-l2", layer=1, positive=0.5)
    (row,) = sweep_frame(accuracy, sizes, weights, {}, "relu-l2").to_dict("records")
    number = published("accuracy", "mnist", "BP", protocol="relu-l2")
    assert row["published"] == number.value == pytest.approx(0.98, abs=0.005)
    assert row["distance"] == pytest.approx((number.value - 0.96) / 0.02)


def test_a_setting_that_makes_another_model_is_scored_as_that_model(scored):
    accuracy, sizes, weights, _ = (frame.assign(model="BPFF") for frame in scored)
    settings = {next(iter(SETTINGS)): ("BPFF.objective", "local")}
    rows = sweep_frame(accuracy, sizes, weights, settings, BASE)
    local = rows.setting == "BPFF.objective"
    assert set(rows[local & (rows.quantity == "accuracy")].published) == {0.93}
    assert set(rows[~local & (rows.quantity == "accuracy")].published) == {0.79}


def test_a_cut_is_scored_on_what_method_2_gives(frame):
    """Method 1's sizes are Method 2's plus 9.95 in the base; the cut halves the latter."""
    ours = frame.set_index(["setting", "quantity"]).ours
    assert ours["", "regression_slope"].item() == pytest.approx(1)
    assert ours["", "regression_intercept"].item() == pytest.approx(9.95)
    cut = ours["ensembles.method2.max_rho"]
    assert cut["regression_slope"] == pytest.approx(2)
    assert cut["regression_intercept"] == pytest.approx(9.95)
    assert (ours["", "unseen_size"].item(), cut["unseen_size"]) == (2, 1)
    assert (cut["unseen_activity"], cut["seen_activity"]) == pytest.approx((0.1, 0.2))
    assert len(cut) == 5


def test_distances_are_capped_means_and_a_missing_number_is_far_off(frame):
    scores = distances(frame).set_index(["setting", "value", "dataset", "model"])
    theta = scores.loc["FF.theta"].droplevel(["dataset", "model"])
    assert theta.loc["", "distance"] == pytest.approx(1 / 3)
    assert theta.loc["", "within"] == pytest.approx(1)
    assert theta.loc["0.4", "distance"] == pytest.approx((0 + 5 + 10) / 3)
    assert theta.loc["0.4", "within"] == pytest.approx(1 / 3)


def test_a_number_of_all_data_sets_counts_for_each_and_the_base_on_the_same_numbers(frame):
    scores = distances(frame).set_index(["setting", "value", "dataset", "model"]).distance
    cut = scores["ensembles.method2.max_rho"]
    slope = (1.02 / 0.196 + 0) / 2
    for dataset in ("mnist", "fashionmnist"):
        assert cut["0.5", dataset, "all"] == pytest.approx(slope)
        assert cut["", dataset, "all"] == pytest.approx((0.02 / 0.196 + 0) / 2)
    unseen, seen = 0.24 / (0.2 * 0.34), 0.23 / (0.2 * 0.43)
    assert cut["0.5", "fashionmnist", "FF"] == pytest.approx((0 + unseen + seen) / 3)
    assert cut["", "fashionmnist", "FF"] == pytest.approx((5 + unseen + seen) / 3)
    assert ("", "mnist", "FF") not in cut.index


def test_the_figure_has_a_row_for_every_value_and_the_caption_the_nearest(frame):
    said = {"FF.theta": "0.5", "ensembles.method2.max_rho": "0.67"}, {"mnist": "MNIST"}
    mnist, fashion = draw_sweep(frame, *said).axes
    assert [tick.get_text() for tick in mnist.get_yticklabels()] == [
        "FF.theta = 0.5 *",
        "FF.theta = 0.4",
        "ensembles.method2.max_rho = 0.67 *",
        "ensembles.method2.max_rho = 0.5",
    ]
    places = [tuple(at) for dots in mnist.collections for at in dots.get_offsets()]
    of_ff = [x for x, y in places if y < 1.5]
    assert of_ff == pytest.approx([1 / 3, 5])
    places = [tuple(at) for dots in fashion.collections for at in dots.get_offsets()]
    of_all = [round(y) for _, y in places if y > round(y)]  # below FF's in each row
    assert sorted(of_all) == [2, 3]
    assert draw_sweep(frame[::-1], *said).axes[0].get_title() == "MNIST"  # the study's order
    caption = caption_sweep(frame, *said)
    assert "with ensembles.method2.max_rho = 0.5 (by default" in caption


def test_values_that_a_file_holds_as_numbers_are_named_as_configured_and_no_point_is_cut_off():
    rows = [
        {
            "protocol": "sigmoid-linf", "n_train": 100, "setting": setting, "value": value,
            "dataset": dataset, "model": "FF", "seed": 0, "quantity": "accuracy", "layer": pd.NA,
            "ours": 0.5, "published": 0.9, "distance": distance,
        }
        for dataset, of in (("mnist", (1.0, 2.0)), ("fashionmnist", (1.0, 9.0)))
        for (setting, value), distance in zip((("", np.nan), ("FF.epochs", 30.0)), of, strict=True)
    ]  # fmt: skip
    panels = draw_sweep(pd.DataFrame(rows), {"FF.epochs": "1000"}, {}).axes
    names = [tick.get_text() for tick in panels[0].get_yticklabels()]
    assert names == ["FF.epochs = 1000 *", "FF.epochs = 30"]
    for axes in panels:
        low, high = axes.get_xlim()
        shown = [x for dots in axes.collections for x, _ in dots.get_offsets()]
        assert shown
        assert all(low <= x <= high for x in shown)


AS_CONFIGURED = {
    "protocol": "sigmoid-linf", "n_train": 100, "setting": "", "value": "", "dataset": "mnist",
    "model": "BPFF", "seed": 0, "quantity": "accuracy", "layer": pd.NA, "ours": 0.5,
    "published": 0.8, "distance": 10.0,
}  # fmt: skip


def test_a_sweep_without_settings_is_drawn_and_described():
    frame = pd.DataFrame([AS_CONFIGURED, {**AS_CONFIGURED, "seed": 1}])
    figure = draw_sweep(frame, {}, {})
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["as configured"]
    assert legend_of(figure) == ["BP/FF", "mean"]
    caption = caption_sweep(frame, {}, {})
    assert caption.startswith("**Runs as they are configured.** Points are runs, bars their means,")
    assert "Brought nearest" not in caption
    assert "by default" not in caption


def test_a_sweep_of_one_run_each_has_no_means():
    frame = pd.DataFrame([AS_CONFIGURED])
    assert legend_of(draw_sweep(frame, {}, {})) == ["BP/FF"]
    assert "Points are runs, on mnist, 1 of each." in caption_sweep(frame, {}, {})


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_model_that_a_setting_alone_makes_is_drawn_without_a_default():
    varied = {**AS_CONFIGURED, "setting": "BPFF.objective"}
    frame = pd.DataFrame(
        [AS_CONFIGURED, {**varied, "value": "mean"}, {**varied, "value": "local", "model": "FF"}]
    )
    base = {"BPFF.objective": "layers"}
    (axes,) = draw_sweep(frame, base, {}).axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        f"BPFF.objective = {value}" for value in ("layers *", "mean", "local")
    ]
    caption = caption_sweep(frame, base, {})
    assert "data sets: BP/FF by no setting." in caption  # FF, of one value, has no nearest


def test_similarity_is_the_correlation_of_mean_images():
    x = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    frame = similarity_frame(x, np.array([0, 0, 1, 2]))
    found = frame.set_index(["category", "other"]).similarity
    assert found[(0, 0)] == pytest.approx(1)
    assert found[(0, 2)] == pytest.approx(1)  # mean of class 0 is (.5, .5, 0)
    assert found[(0, 1)] == pytest.approx(-1)
    assert len(found) == 6
