"""Published numbers beside ours: values, verdicts, causes, and the page that shows them."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ffensembles.analyses.tidy import read_frame, whole_numbers, write_frame
from ffensembles.publication.claims import claims
from ffensembles.publication.comparison import compare
from ffensembles.publication.numbers import PROTOCOL, PUBLISHED
from ffensembles.publication.page import about, page
from ffensembles.publication.tried import placed, tried

RECIPE = {"FF": {"epochs": 3}, "BPFF": {"epochs": 3}, "BP": {"epochs": 3}, "per_dataset": {}}

COUNTS = {"units": 784, "all_negative": 0}


def run(seed: int = 0, **changes: object) -> dict[str, object]:
    plain = {"protocol": PROTOCOL, "dataset": "mnist", "model": "FF", "held_out": None}
    return {**plain, "seed": seed, **changes}


def frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    return whole_numbers(pd.DataFrame(rows))


def accuracy_of(by_model: dict[str, list[float]], dataset: str = "mnist") -> pd.DataFrame:
    return frame(
        [
            {**run(seed, model=model, dataset=dataset), "layer": layer, "accuracy": value}
            for model, values in by_model.items()
            for seed, value in enumerate(values)
            for layer, value in ((0, value), (1, 0.1))
        ]
    )


def sizes_of(layer: int, *sizes: float, quantile: float = 0.95, **changes: object) -> pd.DataFrame:
    return frame(
        [
            {
                **run(seed, **changes), "layer": layer, "category": 0, "method": "method1",
                "quantile": quantile, "size": size, "floor": 784 * (1 - quantile),
                "units": 784, "lost": False,
            }
            for seed, size in enumerate(sizes)
        ]
    )  # fmt: skip


def number(comparison: pd.DataFrame, quantity: str, layer: int | None = None, **keys: object):
    rows = comparison[comparison.quantity == quantity]
    rows = rows if layer is None else rows[rows.layer == layer]
    for key, value in keys.items():
        rows = rows[rows[key] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def sweep_of(**settings: list[float]) -> pd.DataFrame:
    """Sizes of FF's second layer on MNIST by setting; `base` has none."""
    rows = []
    for name, values in settings.items():
        setting, _, value = ("", "", "") if name == "base" else name.partition("_")
        for seed, ours in enumerate(values):
            rows.append(
                {
                    "protocol": "sigmoid-linf", "n_train": 6000, "setting": setting, "value": value,
                    "dataset": "mnist", "model": "FF", "seed": seed, "layer": 2,
                    "quantity": "ensemble_size", "ours": ours, "published": 5.5,
                    "distance": abs(ours - 5.5),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def everything() -> dict[str, pd.DataFrame | None]:
    """Frames of which every single number can be made."""
    fashion = {"dataset": "fashionmnist"}
    pair = {"layer": 1, "method": "method1", "quantile": 0.9, "category": 2, "other": 4}
    unseen = [
        {
            **run(seed, held_out=held_out, **fashion), "layer": layer, "category": category,
            "method": "method2", "unseen": category == held_out, "size": size, "activity": activity,
        }
        for held_out in (0, 1)
        for layer in (1, 2)
        for seed in (0, 1)
        for category, size, activity in (
            (0, 1.0 if held_out == 0 else 9.0, 0.3 + 0.1 * seed), (1, 5.0, 0.4), (2, 5.0, 0.5)
        )
    ]  # fmt: skip
    weights = [
        {
            **run(seed, model=model, dataset=dataset), "layer": 2, "positive": 0.01,
            "units": 784, "all_negative": count + seed,
        }
        for model, dataset, count in (
            ("FF", "mnist", 700), ("BP", "mnist", 200), ("BP", "fashionmnist", 780)
        )
        for seed in (0, 1)
    ]  # fmt: skip
    by_unit = [
        {**run(seed, model="BPFF"), "layer": 2, "neuroid": unit, "negative": negative}
        for seed in (0, 1)
        # five of eight near the peak in the first run, six in the second
        for unit, negative in enumerate([0.75] * 4 + [0.71, 0.9, 0.1, 0.71 if seed else 0.2])
    ]
    sizes = [sizes_of(1, 2.0, quantile=q, **fashion) for q in (0.9, 0.95)]
    for method, quantile, slope in (("method1", 0.99, 2.0), ("method2", np.nan, 1.0)):
        sizes += [
            sizes_of(1, slope * category + (category == 3)).assign(
                method=method, quantile=quantile, category=category
            )
            for category in range(5)
        ]
    return {
        "sizes": whole_numbers(pd.concat(sizes, ignore_index=True)),
        "sharing": frame([{**run(s, **fashion), **pair, "count": 1.0 + s} for s in (0, 1)]),
        "unseen": frame(unseen),
        "positive_weights": frame(weights),
        "positive_weights_by_unit": frame(by_unit),
    }


def test_nothing_run_is_one_row_for_each_number() -> None:
    table = compare({})
    assert len(table) == len(PUBLISHED) == 52
    assert set(table.verdict) == {"not run"}
    assert table[["ours", "se", "n_runs", "within", "cause"]].isna().all(axis=None)
    assert table.published.tolist() == [one.value for one in PUBLISHED]
    # of the published values alone
    assert table.published_on_floor.sum() == 3
    half = compare({"sizes": sizes_of(1, 2.0, quantile=0.9), "accuracy": None, "unseen": None})
    assert set(half.verdict) == {"not run"}


def test_a_cell_has_its_mean_error_and_difference() -> None:
    sizes = pd.concat(
        [sizes_of(2, 5.0, 7.0), sizes_of(2, 999.0, held_out=3), sizes_of(2, 999.0, protocol="x")]
    )
    row = number(compare({"sizes": sizes}), "ensemble_size", 2, model="FF", dataset="mnist")
    assert (row.ours, row.se, row.n_runs) == (6, 1, 2)
    assert row.difference_in_se == pytest.approx(0.5 / np.hypot(1, 0.3))
    assert (row.within, row.verdict) == (True, "reproduced")
    single = number(
        compare({"sizes": sizes_of(2, 5.0)}), "ensemble_size", 2, model="FF", dataset="mnist"
    )
    assert np.isnan(single.difference_in_se)


@pytest.mark.parametrize(
    ("layer", "model", "size", "verdict", "on_floor"),
    [
        (2, "FF", 6.6, "reproduced", False),
        (2, "FF", 6.7, "same direction", False),
        (2, "FF", 38.0, "not reproduced", True),  # theirs is below the floor, not on it
        (2, "FF", 300.0, "not reproduced", False),
        (1, "BP", 50.0, "same direction", False),
        (3, "BP", 40.0, "reproduced", True),
        (3, "BP", 60.0, "not reproduced", False),
    ],
)
def test_sizes_are_set_against_the_floor(
    layer: int, model: str, size: float, verdict: str, on_floor: bool
) -> None:
    table = compare({"sizes": sizes_of(layer, size, model=model)})
    row = number(table, "ensemble_size", layer, model=model, dataset="mnist")
    assert (row.verdict, row.on_floor) == (verdict, on_floor)
    assert row.published_on_floor == ((layer, model) == (3, "BP"))


def test_fractions_are_set_against_one_half() -> None:
    def verdict(layer: int, value: float) -> str:
        weights = frame([{**run(), "layer": layer, "positive": value, **COUNTS}])
        table = compare({"positive_weights": weights})
        return number(table, "positive_weights", layer, model="FF", dataset="mnist").verdict

    assert verdict(1, 0.66) == "reproduced"  # .63 and what rounding adds
    assert verdict(1, 0.51) == "same direction"
    assert verdict(1, 0.49) == "not reproduced"
    assert verdict(2, 0.03) == "reproduced"
    assert verdict(2, 0.49) == "same direction"


def test_accuracies_are_set_against_the_other_models() -> None:
    def verdicts(**by_model: float) -> dict[str, str]:
        accuracy = accuracy_of({model: [value] for model, value in by_model.items()})
        rows = compare({"accuracy": accuracy}).query("source == 'Table 1' and dataset == 'mnist'")
        return dict(zip(rows.model, rows.verdict, strict=True))

    near, side, off = "reproduced", "same direction", "not reproduced"
    # published: .93, .79, .77
    assert verdicts(FF=0.95, BPFF=0.7, BP=0.6) == {"FF": near, "BPFF": side, "BP": side}
    assert verdicts(FF=0.85, BPFF=0.6, BP=0.7) == {"FF": side, "BPFF": off, "BP": off}
    assert verdicts(FF=0.85, BPFF=0.7) == {"FF": side, "BPFF": side, "BP": "not run"}
    assert verdicts(FF=0.85) == {"FF": off, "BPFF": "not run", "BP": "not run"}


def test_runs_without_any_ensemble_are_not_reproduced() -> None:
    table = compare({"sizes": sizes_of(2, np.nan)})
    row = number(table, "ensemble_size", 2, model="FF", dataset="mnist")
    assert (row.verdict, row.n_runs, row.within) == ("not reproduced", 0, False)


def test_single_numbers() -> None:
    table = compare(everything())

    def of(quantity: str, **keys: object) -> tuple[object, ...]:
        row = number(table, quantity, **keys)
        return row.ours, row.se, row.n_runs, row.verdict

    near, side = "reproduced", "same direction"
    assert of("shared_units") == (1.5, 0.5, 2, near)
    assert of("unseen_size") == (1, 0, 2, near)
    assert of("unseen_activity") == pytest.approx((0.35, 0.05, 2, near))
    assert of("seen_activity") == pytest.approx((0.45, 0, 2, near), abs=1e-9)
    assert of("all_negative_units", model="FF") == (700.5, 0.5, 2, near)
    assert of("all_negative_units", model="BP") == (200.5, 0.5, 2, side)
    assert of("negative_peak")[0] == pytest.approx(0.75)
    assert of("negative_peak")[2:] == (2, near)
    assert of("negative_peak_share") == pytest.approx((11 / 16, 1 / 16, 2, "not reproduced"))
    one, two = [0.0, 2.0, 4.0, 7.0, 8.0], [0.0, 1.0, 2.0, 4.0, 4.0]
    line = stats.linregress(two, one)
    assert of("regression_slope")[0] == pytest.approx(line.slope)
    assert of("regression_intercept")[0] == pytest.approx(line.intercept)
    assert of("regression_slope")[2] == 1
    # the interval is Student's, with three degrees of freedom
    wide = stats.t.ppf(0.975, 3) / 1.96
    assert of("regression_slope")[1] == pytest.approx(line.stderr * wide)


def test_numbers_are_measured_as_they_were_published() -> None:
    frames = everything()
    whole = compare(frames)
    # what else a study measures changes nothing: quantiles, methods, classes, classes left out
    sharing, unseen, sizes = (frames[name] for name in ("sharing", "unseen", "sizes"))
    assert sharing is not None
    assert unseen is not None
    assert sizes is not None
    more = {
        "sharing": [
            sharing, sharing.assign(quantile=0.95, count=50.0),
            sharing.assign(method="loo", count=70.0), sharing.assign(other=5, count=90.0),
        ],
        "unseen": [unseen, unseen.assign(method="loo", size=30.0, activity=9.0)],
        "sizes": [sizes, sizes.assign(method="loo", size=5.0)],
    }  # fmt: skip
    pd.testing.assert_frame_equal(
        compare({**frames, **{name: pd.concat(parts) for name, parts in more.items()}}), whole
    )
    assert number(whole, "shared_units").ours == 1.5
    without = {**frames, "sharing": sharing.assign(quantile=0.95)}
    assert number(compare(without), "shared_units").verdict == "not run"
    assert number(whole, "unseen_size").ours == 1
    others = {**frames, "unseen": unseen[unseen.held_out == 1]}
    assert number(compare(others), "unseen_size").verdict == "not run"


def later_of(values: list[float], **changes: object) -> pd.DataFrame:
    """Accuracies, or sparsities if a layer is named, of runs of the later protocol."""
    rows = []
    for seed, value in enumerate(values):
        keys = run(seed, **{"protocol": "relu-l2", "dataset": "fashionmnist", **changes})
        if changes.get("layer"):
            rows += [{**keys, "category": c, "sparsity": v} for c, v in ((None, value), (0, 0.0))]
        else:
            rows.append({**keys, "layer": 0, "accuracy": value})
    return frame(rows)


def test_the_later_edition_beside_ours() -> None:
    control = {"protocol": "relu-l2--BP.learning_rate-0.01", "dataset": "mnist", "model": "BP"}
    frames = {
        "accuracy": pd.concat(
            [
                later_of([0.84, 0.85]), later_of([0.7], protocol="sigmoid-linf"),
                later_of([0.89], model="BP"), later_of([0.971], dataset="mnist", model="BPFF"),
            ]
        ),
        "sparsity": pd.concat(
            [
                later_of([0.84, 0.80], layer=1), later_of([0.5], layer=2),
                later_of([0.33], layer=1, model="BP"), later_of([0.6], layer=2, model="BP"),
                later_of([0.5], layer=3, dataset="mnist"),
            ]
        ),
        "control_accuracy": later_of([0.96], **control),
        "control_sparsity": later_of([0.5], layer=1, **control),
    }  # fmt: skip
    table = compare(frames, edition="2025")
    fashion = {"dataset": "fashionmnist"}
    row = number(table, "accuracy", model="FF", **fashion)
    assert (row.ours, row.n_runs, row.verdict) == (pytest.approx(0.845), 2, "reproduced")
    row = number(table, "sparsity", 1, model="FF", **fashion)
    assert (row.ours, row.verdict, row.known) == (pytest.approx(0.82), "reproduced", "printed")
    # .08 away, and on the other side of BP's than published
    assert number(table, "sparsity", 2, model="FF", **fashion).verdict == "not reproduced"
    # within the range of the authors' two runs
    assert number(table, "sparsity", 3, model="FF", dataset="mnist").verdict == "reproduced"
    # an upper bound and a variation of the protocol
    assert number(table, "accuracy", model="BPFF", dataset="mnist").verdict == "reproduced"
    rows = table[table.protocol == control["protocol"]].set_index("quantity")
    assert rows.loc["accuracy", "verdict"] == "reproduced"
    assert rows[rows.layer == 1].verdict.item() == "not reproduced"
    assert set(compare({}, edition="2025").verdict) == {"not run"}


def test_an_unseen_class_that_another_layer_explains() -> None:
    frames = everything()
    rows = frames["unseen"]
    deeper = rows.layer.eq(2) & rows.unseen
    frames["unseen"] = rows.assign(activity=rows.activity.where(~deeper, 0.34) + 0.5 * ~deeper)
    row = number(compare(frames), "unseen_activity")
    assert (row.ours, row.cause) == (pytest.approx(0.85), "not swept; layer 2 gives 0.34")
    # the seen classes' are as far away in both
    assert number(compare(frames), "seen_activity").cause == "not swept"


def test_regression_is_of_the_published_protocol_and_data_sets() -> None:
    sizes = everything()["sizes"]
    # the same sizes by both methods would change a line over all
    two = sizes[sizes.method == "method2"]
    other = [two, two.assign(method="method1", quantile=0.99)]
    for change in ({"protocol": "untrained"}, {"dataset": "digits"}):
        more = pd.concat([sizes, *(rows.assign(**change) for rows in other)])
        fits = [
            number(compare({"sizes": rows}), "regression_slope")[["ours", "se"]].tolist()
            for rows in (sizes, more)
        ]
        assert fits[0] == fits[1]


def test_cause_is_the_nearest_setting_of_the_sweep() -> None:
    frames = {"sizes": sizes_of(2, 19.2)}

    def cause(*sweeps: pd.DataFrame) -> str:
        table = compare(frames, sweeps)
        return number(table, "ensemble_size", 2, model="FF", dataset="mnist").cause

    assert cause() == cause(pd.DataFrame()) == "not swept"
    sweep = sweep_of(base=[19.2], **{"FF.theta_0.4": [5.1], "FF.theta_0.6": [9.0]})
    assert cause(sweep) == "FF.theta=0.4 gives 5.1 (1 run of 6,000 images; base 19.2)"
    # read from a file: numbers are numbers, an empty cell is missing
    read = sweep.assign(setting=sweep.setting.replace("", np.nan), value=[np.nan, 0.4, 0.6])
    assert cause(read) == "FF.theta=0.4 gives 5.1 (1 run of 6,000 images; base 19.2)"
    two = sweep_of(base=[10.0, 20.0], **{"negatives_each-epoch": [6.0, 8.0], "x_1": [4.9]})
    assert cause(two) == "x=1 gives 4.9 (1 run of 6,000 images; base 10.0)"
    assert cause(two[two.setting != "x"]) == (
        "negatives=each-epoch gives 7.0 (2 runs of 6,000 images; base 15.0)"
    )
    # a sweep on fewer images is asked where one on more brings nothing nearer, and only there
    larger = sweep_of(base=[18.0], **{"FF.theta_0.4": [9.0]}).assign(n_train=20_000)
    assert cause(sweep, larger) == "FF.theta=0.4 gives 9.0 (1 run of 20,000 images; base 18.0)"
    worse = larger.assign(ours=larger.ours.where(larger.setting == "", 30.0))
    assert cause(worse, sweep) == "FF.theta=0.4 gives 5.1 (1 run of 6,000 images; base 19.2)"
    assert cause(sweep_of(base=[6.0], **{"FF.theta_0.4": [9.0]})) == (
        "no setting that was varied brings it nearer"
    )
    assert cause(sweep_of(**{"FF.theta_0.4": [5.1]})) == "not swept"
    assert cause(sweep.assign(layer=3)) == "not swept"
    assert cause(sweep.assign(protocol="relu-l2")) == "not swept"  # another edition's
    # what is reproduced wants no cause
    table = compare({"sizes": sizes_of(2, 5.5)}, [sweep])
    assert pd.isna(number(table, "ensemble_size", 2, model="FF", dataset="mnist").cause)


def test_a_control_run_may_come_nearer() -> None:
    def accuracies(**values: tuple[float, ...]) -> pd.DataFrame:
        rows = [
            accuracy_of({"FF": list(of)}).assign(protocol=name.replace("__", "--"))
            for name, of in values.items()
        ]
        return pd.concat(rows, ignore_index=True)

    def cause(control: dict[str, tuple[float, ...]]) -> str:
        frames = {
            "accuracy": accuracies(**{"relu-l2": (0.7, 0.72)}),
            "control_accuracy": accuracies(**control),
        }
        table = compare(frames, edition="2025")
        return number(table, "accuracy", model="FF", dataset="mnist").cause

    assert (
        cause({"relu-l2__FF.epochs-50": (0.9,)}) == "FF.epochs=50 gives 0.900 (1 run; base 0.700)"
    )
    both = {"relu-l2__FF.epochs-50": (0.9, 0.9), "relu-l2__FF.epochs-100": (0.94, 0.95)}
    assert cause(both) == "FF.epochs=100 gives 0.945 (2 runs; base 0.710)"
    assert cause({"relu-l2__FF.epochs-50": (0.6,)}) == "no setting that was varied brings it nearer"
    assert cause({"sigmoid-linf__FF.epochs-50": (0.9,)}) == "not swept"  # another protocol's
    # where the control has a base of its own, that is what its runs are set against
    apart = {"relu-l2__base": (0.85,), "relu-l2__FF.epochs-50": (0.9,)}
    assert cause(apart) == "FF.epochs=50 gives 0.900 (1 run; base 0.850)"


def test_a_size_that_another_quantile_explains() -> None:
    at = {0.9: (40.0, 42.0), 0.95: (19.0, 21.0), 0.99: (5.0, 7.0)}
    sizes = pd.concat([sizes_of(2, *two, quantile=q) for q, two in at.items()])
    row = number(compare({"sizes": sizes}), "ensemble_size", 2, model="FF", dataset="mnist")
    assert row.cause == "not swept; Method 1 at 0.99 gives 6.0"
    sizes = sizes[sizes["quantile"] != 0.99]
    row = number(compare({"sizes": sizes}), "ensemble_size", 2, model="FF", dataset="mnist")
    assert row.cause == "not swept"


def test_cause_of_an_accuracy_has_no_layer() -> None:
    rows = sweep_of(base=[0.5], **{"FF.theta_0.4": [0.9]})
    rows = rows.assign(quantity="accuracy", layer=None, published=0.93)
    row = number(
        compare({"accuracy": accuracy_of({"FF": [0.5]})}, [whole_numbers(rows)]),
        "accuracy", model="FF", dataset="mnist",
    )  # fmt: skip
    assert row.cause == "FF.theta=0.4 gives 0.900 (1 run of 6,000 images; base 0.500)"


def test_the_page_holds_every_number_and_claim(tmp_path) -> None:
    frames = {**everything(), "accuracy": accuracy_of({"FF": [0.93, 0.95], "BP": [0.1]})}
    frames["sizes"] = pd.concat([frames["sizes"], sizes_of(3, 39.0, 39.4, model="BP")])
    sweep = sweep_of(base=[19.2], **{"FF.theta_0.4": [5.1]})
    comparison, tested = compare(frames, [sweep]), claims(frames)
    about = {"title": "A small one", "runs": "2 of each | model", "commit": "abc"}
    text = page(comparison, tested, about, {"mnist": "MNIST"}, sweeps=[sweep])
    assert text.startswith("# A small one\n")
    varied = "| Setting | Values | Models | Data sets | Training images | Seeds |\n"
    assert varied in text
    assert "\n| `FF.theta` | 0.4 | FF | MNIST | 6,000 | 0 |\n" in text
    assert "- commit: abc" in text
    for source in {one.source for one in PUBLISHED}:
        assert f"### {source}\n" in text
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    # claims, eight sources and the sweep's one setting, each with a head and a rule
    assert len(lines) == len(tested) + len(comparison) + 1 + 2 * (1 + 8 + 1)
    for line in tested.statement:
        assert line in text
    assert "Tables 1 to 3: 4 of 42 cells lie within the tolerance" in text
    assert "39.2 ± 0.20 (2) †" in text
    assert "39.8 ± 0.65 †" in text
    assert "0.940 ± 0.0100 (2)" in text
    assert "| size (units) | MNIST | BP | 3 |" in text
    for word in ("reproduced", "same direction", "not reproduced", "not run", "undecided"):
        assert f"**{word}**" in text
    # frames that went through a file make the same page
    write_frame(comparison, tmp_path / "comparison.csv")
    write_frame(tested, tmp_path / "claims.csv")
    again = page(
        read_frame(tmp_path / "comparison.csv"), read_frame(tmp_path / "claims.csv"), about,
        {"mnist": "MNIST"}, sweeps=[sweep],
    )  # fmt: skip
    assert again == text
    # another edition's sweep is not this one's
    assert varied not in page(comparison, tested, about, sweeps=[sweep.assign(protocol="relu-l2")])


def test_a_key_that_a_configuration_lacks_has_its_default_where_a_sweep_is_placed() -> None:
    sweep = sweep_of(base=[18.0]).assign(model="BPFF")
    earlier = {"recipes": {"sigmoid-linf": {"negatives": "once", "BPFF": {"theta": 1.5}}}}
    today = {"recipes": {"sigmoid-linf": {"BPFF": {"theta": 0.5, "objective": "layers"}}}}
    summed = {"recipes": {"sigmoid-linf": {"BPFF": {"theta": 1.5, "objective": "sum"}}}}
    for own, judged, expected in (
        (today, earlier, "BPFF.theta=0.5, BPFF.objective=layers"),
        (earlier, today, "BPFF.theta=1.5, BPFF.objective=sum"),
        (summed, earlier, ""),
        (earlier, summed, ""),
    ):
        assert set(placed(sweep, own, judged).around) == {expected}


def test_what_settings_do_is_said_of_each_number_that_differs() -> None:
    frames = {"sizes": pd.concat([sizes_of(2, 19.2), sizes_of(3, 1.5)])}
    small = sweep_of(base=[18.0, 20.0], **{"FF.theta_0.4": [15.0, 16.0], "x_1": [9.0]})
    large = sweep_of(base=[12.0], **{"FF.epochs_200": [5.6]}).assign(n_train=60_000)
    recipe = {"negatives": "once", "FF": {"theta": 0.5}, "BP": {"epochs": 20}}
    judged = {"recipes": {"sigmoid-linf": recipe}}
    other = {**recipe, "negatives": "pooled", "BP": {"epochs": 40}}
    sweeps = [
        placed(small, judged, judged),
        placed(large, {"recipes": {"sigmoid-linf": other}}, judged),
    ]
    # BP's own keys do not concern FF
    assert set(sweeps[0].around) == {""}
    assert set(sweeps[1].around) == {"negatives=pooled"}
    table = compare(frames, sweeps)
    assert number(table, "ensemble_size", 2, model="FF", dataset="mnist").cause == (
        "FF.epochs=200 gives 5.6 (1 run of 60,000 images, negatives=pooled; base 12.0)"
    )
    trials = tried(frames, sweeps)
    assert trials[["n_train", "setting", "value", "n_runs", "ours"]].values.tolist() == [
        [60_000, "", "", 1, 12.0],
        [60_000, "FF.epochs", "200", 1, 5.6],
        [6_000, "", "", 2, 19.0],
        [6_000, "FF.theta", "0.4", 2, 15.5],
        [6_000, "x", "1", 1, 9.0],
    ]
    text = page(table, claims(frames), {}, {"mnist": "MNIST"}, trials=trials)
    section = text.split("## What was tried\n")[1].split("\n## ")[0]
    # layer 3 is reproduced, so that it has no row
    (line,) = section.strip().splitlines()[4:]
    assert line == (
        "| size (units) | MNIST | FF | 2 | 5.5 ± 0.30 | 19.2 (1) | **60,000 images, "
        "negatives=pooled**: 12.0 (1), FF.epochs=200: 5.6 (1); **6,000 images**: 19.0 (2), "
        "FF.theta=0.4: 15.5 (2), x=1: 9.0 (1) |"
    )
    assert "## What was tried" not in page(table, claims(frames), {}, trials=tried(frames))


def test_the_page_says_which_runs_are_missing() -> None:
    runs = accuracy_of({"FF": [0.9, 0.9], "BP": [0.8] * 5})
    apart = accuracy_of({"FF": [0.7]}, "fashionmnist").assign(held_out=0)
    settings = {"name": "small", "recipes": {"sigmoid-linf": RECIPE}}

    def said(*parts: pd.DataFrame) -> str | None:
        accuracy = whole_numbers(pd.concat(parts, ignore_index=True)).assign(n_train=10)
        return about({"accuracy": accuracy}, settings, {"mnist": "MNIST"}).get("Runs missing")

    text = said(runs, apart)
    assert text.startswith(
        "FF on MNIST: 3; FF on fashionmnist without class 0: 4, for 5 of each. Seeds"
    )
    assert "of the study `small`" in text
    assert said(accuracy_of({"FF": [0.9] * 5})) is None


def test_a_page_of_nothing() -> None:
    text = page(compare({}), claims({}), {})
    assert text.startswith("# Reproduction\n")
    assert "not run 52." in text
    assert "nan" not in text
    assert "None" not in text


def test_needs_no_torch() -> None:
    code = "import sys, ffensembles.publication.page; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
