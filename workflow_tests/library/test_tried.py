"""What settings do to a number that differs."""

import numpy as np
import pandas as pd
import pytest
from published_runs import accuracy_of, frame, number, run, sizes_of, sweep_of

from ffensembles.analyses.tidy import whole_numbers
from ffensembles.plotting.tried import caption_tried, draw_tried
from ffensembles.publication.claims import claims
from ffensembles.publication.comparison import compare
from ffensembles.publication.page import page
from ffensembles.publication.tried import ALIKE, COMPARED, at_scale, placed, scored, tried


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
    # runs of a seed that the base has not are beside nothing
    apart = sweep.assign(seed=[1, 0, 0])
    assert cause(apart) == "not swept"
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
    # nearer than its own base, but not than the value that is compared
    off = sweep_of(base=[60.0], **{"FF.theta_0.4": [30.0]})
    assert cause(off) == "no setting that was varied brings it nearer"
    # what is reproduced needs no cause
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


def test_cause_of_an_accuracy_has_no_layer() -> None:
    rows = sweep_of(base=[0.5], **{"FF.theta_0.4": [0.9]})
    rows = rows.assign(quantity="accuracy", layer=None, published=0.93)
    row = number(
        compare({"accuracy": accuracy_of({"FF": [0.5]})}, [whole_numbers(rows)]),
        "accuracy", model="FF", dataset="mnist",
    )  # fmt: skip
    assert row.cause == "FF.theta=0.4 gives 0.900 (1 run of 6,000 images; base 0.500)"


def test_a_key_that_a_configuration_lacks_has_its_default_where_a_sweep_is_placed() -> None:
    sweep = sweep_of(base=[18.0]).assign(model="BPFF")
    earlier = {"recipes": {"sigmoid-linf": {"negatives": "once", "BPFF": {"theta": 1.5}}}}
    today = {"recipes": {"sigmoid-linf": {"BPFF": {"theta": 0.5, "objective": "layers"}}}}
    summed = {"recipes": {"sigmoid-linf": {"BPFF": {"theta": 1.5, "objective": "sum"}}}}
    for own, compared, expected in (
        (today, earlier, "BPFF.theta=0.5, BPFF.objective=layers"),
        (earlier, today, "BPFF.theta=1.5, BPFF.objective=sum"),
        (summed, earlier, ""),
        (earlier, summed, ""),
    ):
        assert set(placed(sweep, own, compared).around) == {expected}


def test_a_models_own_negatives_stand_for_the_protocols_where_a_sweep_is_placed() -> None:
    def recipe(shared: str, own: str | None) -> dict:
        return {"recipes": {"sigmoid-linf": {"negatives": shared, "FF": {"negatives": own}}}}

    today = recipe("once", "pooled")
    earlier = {"recipes": {"sigmoid-linf": {"negatives": "pooled", "FF": {}}}}
    paired = recipe("once", None)
    for own, compared, expected in (
        (earlier, today, ""),
        (today, earlier, ""),
        (paired, today, "negatives=once"),
        (today, paired, "negatives=pooled"),
    ):
        assert set(placed(sweep_of(base=[18.0]), own, compared).around) == {expected}
    rows = placed(sweep_of(base=[18.0], **{"FF.negatives_once": [9.0]}), paired, today)
    assert dict(zip(rows.value, rows.around, strict=True)) == {"": "negatives=once", "once": ""}


def test_runs_that_a_setting_makes_another_models_are_placed_among_its_runs() -> None:
    """BP/FF whose layers learn from their own loss alone is FF with all layers at once."""
    compared = {"recipes": {"sigmoid-linf": {"FF": {"theta": 0.5, "epochs": 1000}}}}
    rows = sweep_of(**{"BPFF.objective_local": [9.0]}).assign(model="FF")
    for theta, expected in ((0.5, ""), (0.7, "FF.theta=0.7")):
        fit = {"theta": theta, "epochs": 1000, "objective": "layers"}
        own = {"recipes": {"sigmoid-linf": {"BPFF": fit, "FF": {"theta": 2.0, "epochs": 9}}}}
        assert set(placed(rows, own, compared).around) == {expected}


def test_a_sweep_is_not_placed_by_the_key_that_a_row_varies() -> None:
    own = {"recipes": {"sigmoid-linf": {"negatives": "pooled", "FF": {"theta": 0.7}}}}
    compared = {"recipes": {"sigmoid-linf": {"negatives": "once", "FF": {"theta": 0.5}}}}
    rows = placed(sweep_of(base=[18.0], **{"FF.theta_0.6": [9.0]}), own, compared)
    assert dict(zip(rows.value, rows.around, strict=True)) == {
        "": "negatives=pooled, FF.theta=0.7",
        "0.6": "negatives=pooled",
    }
    cause = number(compare({"sizes": sizes_of(2, 19.2)}, [rows]), "ensemble_size", 2, model="FF",
                   dataset="mnist").cause  # fmt: skip
    assert cause == "FF.theta=0.6 gives 9.0 (1 run of 6,000 images, negatives=pooled; base 18.0)"


def test_what_settings_do_is_said_of_each_number_that_differs() -> None:
    frames = {"sizes": pd.concat([sizes_of(2, 19.2), sizes_of(3, 1.5)])}
    small = sweep_of(base=[18.0, 20.0], **{"FF.theta_0.4": [15.0, 16.0], "x_1": [9.0]})
    large = sweep_of(base=[12.0], **{"FF.epochs_200": [5.6]}).assign(n_train=60_000)
    recipe = {"negatives": "once", "FF": {"theta": 0.5}, "BP": {"epochs": 20}}
    compared = {"recipes": {"sigmoid-linf": recipe}}
    other = {**recipe, "negatives": "pooled", "BP": {"epochs": 40}}
    sweeps = [
        placed(small, compared, compared),
        placed(large, {"recipes": {"sigmoid-linf": other}}, compared),
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


def test_every_run_has_its_distance_to_the_publication() -> None:
    accuracy = accuracy_of({"FF": [0.93, 0.96]}).assign(n_train=60_000)
    weights = [
        {**run(seed), "layer": layer, "positive": value, "units": 784, "all_negative": 0}
        for seed in (0, 1)
        for layer, value in ((1, 0.63), (2, 0.002), (3, 0.035))
    ]
    sizes = pd.concat([sizes_of(1, 2.7, 2.7), sizes_of(2, 5.5, 1000.0), sizes_of(3, 1.5, np.nan)])
    frames = {"accuracy": accuracy, "positive_weights": frame(weights), "sizes": sizes}
    sweep = sweep_of(base=[5.5], **{"FF.epochs_200": [6.6]}).assign(n_train=20_000)
    scores = scored(frames, [sweep.assign(around="negatives=pooled")])
    columns = ["n_train", "around", "setting", "value", "model", "seed"]
    runs = {tuple(row[:6]): row[6:] for row in scores[[*columns, "distance", "within"]].values}
    own, tenth = (60_000, "", "", "", "FF"), (20_000, "negatives=pooled")
    assert set(scores.numbers) == {7}
    assert runs[(*own, 0)] == pytest.approx([0, 7])
    # accuracy is one tolerance off, layer 2 counts for ten at most, layer 3 has no ensemble
    assert runs[(*own, 1)] == pytest.approx([(1 + 10 + 10) / 7, 5])
    # a sweep's numbers that are not there count as lost
    assert runs[(*tenth, "", "", "FF", 0)] == pytest.approx([60 / 7, 1])
    assert runs[(*tenth, "FF.epochs", "200", "FF", 0)] == pytest.approx([61 / 7, 1])
    assert len(runs) == 4
    # a run that two sweeps have is one run
    twice = [sweep.assign(around="negatives=pooled")] * 2
    pd.testing.assert_frame_equal(scored(frames, twice), scores)
    assert scored({}).empty
    # a sweep's runs that differ in nothing stand apart from those compared
    again = sweep_of(base=[5.5, 5.5]).assign(n_train=60_000, around="")
    varied = sweep_of(base=[5.5], **{"FF.epochs_200": [6.6]}).assign(n_train=60_000)
    shown = at_scale(scored(frames, [varied.assign(around="negatives=once"), again]))
    names = shown.sort_values("row").groupby("name", sort=False)["seed"].nunique()
    assert list(names.items())[:2] == [(COMPARED, 2), (ALIKE, 2)]


def test_the_figure_has_a_row_for_each_setting_that_was_tried_at_scale() -> None:
    run = {"dataset": "mnist", "model": "FF", "within": 3, "numbers": 7, "control": False}
    keys = ["n_train", "around", "setting", "value", "seed", "distance"]
    rows = [
        (60_000, "", "", "", 0, 3.0), (60_000, "", "", "", 1, 2.0),
        # configured so, and varied so below: one row
        (60_000, "FF.epochs=200, negatives=pooled", "", "", 5, 3.25),
        (20_000, "negatives=pooled", "FF.theta", "0.7", 0, 1.5),
        (60_000, "negatives=pooled", "", "", 0, 1.0),
        (60_000, "negatives=pooled", "FF.epochs", "200", 0, 2.75),
        (6_000, "", "FF.theta", "0.3", 0, 0.1),
    ]  # fmt: skip
    scores = pd.DataFrame([dict(zip(keys, row, strict=True)) | run for row in rows])
    (axes,) = draw_tried(scores, {"mnist": "MNIST"}).axes
    assert [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()] == [
        "the runs of this page", "negatives=pooled", "negatives=pooled, FF.epochs=200",
        "20,000 images, negatives=pooled, FF.theta=0.7",
    ]  # fmt: skip
    points = [tuple(at) for dots in axes.collections for at in dots.get_offsets()]
    assert {distance for distance, place in points if round(place) == 2} == {2.75, 3.25}
    caption = caption_tried(scores, {"mnist": "MNIST"})
    assert caption.endswith(
        "FF on MNIST: negatives=pooled (1, 1 run; the runs of this page: 2.5, 2 runs)."
    )
    assert "Control runs" not in caption
    assert "Control runs change" in caption_tried(scores.assign(control=True), {})
    alone = caption_tried(scores[:2], {})
    assert "Nearest" not in alone
    assert draw_tried(scores[:0], {}).axes
    assert "Nothing to show" in caption_tried(scores[:0], {})


def test_the_page_counts_what_runs_with_each_setting_reproduce() -> None:
    frames = {"sizes": pd.concat([sizes_of(2, 19.2), sizes_of(3, 1.5)])}
    keys = ["n_train", "around", "setting", "value", "model", "dataset", "seed", "within"]
    rows = [
        (60_000, "", "", "", "BPFF", "mnist", 0, 4), (60_000, "", "", "", "BPFF", "mnist", 1, 3),
        (60_000, "", "", "", "FF", "mnist", 0, 3),
        (60_000, "negatives=pooled", "", "", "FF", "fashionmnist", 0, 6),
        (6_000, "", "FF.theta", "0.3", "FF", "mnist", 0, 7),
    ]  # fmt: skip
    scores = pd.DataFrame([dict(zip(keys, row, strict=True)) for row in rows])
    scores = scores.assign(distance=1.0, numbers=7, control=False)
    sweeps = [sweep_of(base=[18.0], **{"FF.theta_0.4": [15.0]})]
    titles = {"mnist": "MNIST", "fashionmnist": "FashionMNIST"}
    text = page(
        compare(frames, sweeps), claims(frames), {}, titles,
        trials=tried(frames, sweeps), scores=scores,
    )  # fmt: skip
    table = text.split("## What was tried\n")[1].strip().splitlines()[2:8]
    assert table == [
        "| Model | Setting | MNIST | FashionMNIST |",
        "| --- | --- | --- | --- |",
        "| FF | the runs of this page | 3 of 7 (1) | — |",
        "| FF | negatives=pooled | — | 6 of 7 (1) |",
        "| BP/FF | the runs of this page | 3.5 of 7 (2) | — |",
        "",
    ]
