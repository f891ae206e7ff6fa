"""Published numbers beside ours: differences and verdicts."""

import numpy as np
import pandas as pd
import pytest
from published_runs import accuracy_of, frame, number, run, sizes_of

from ffensembles.publication.comparison import compare
from ffensembles.publication.numbers import PUBLISHED

COUNTS = {"units": 784, "all_negative": 0}


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


def test_an_upper_bound_is_no_value() -> None:
    mnist = {"dataset": "mnist"}

    def verdicts(**by_model):
        rows = pd.concat([later_of([x], model=m, **mnist) for m, x in by_model.items()])
        table = compare({"accuracy": rows}, edition="2025")
        return {
            m: number(
                table[~table.protocol.str.contains("--")], "accuracy", model=m, **mnist
            ).verdict
            for m in by_model
        }

    assert verdicts(BPFF=0.9) == {"BPFF": "reproduced"}
    assert verdicts(BPFF=0.995) == {"BPFF": "not reproduced"}
    assert verdicts(FF=0.90, BPFF=0.85, BP=0.98)["FF"] == "same direction"
