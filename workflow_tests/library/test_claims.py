"""Each claim on frames small enough to know the answer, against scipy where there is a formula."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ffensembles.analyses.regression import mark_ended
from ffensembles.analyses.statistics import mantel
from ffensembles.analyses.tidy import whole_numbers
from ffensembles.publication.claims import CLAIMS, claims, floor_of, select
from ffensembles.publication.numbers import PROTOCOL

CLASSES = range(6)
UNTRAINED = f"{PROTOCOL}--untrained"


def run(seed: int = 0, **changes: object) -> dict[str, object]:
    plain = {"protocol": PROTOCOL, "dataset": "mnist", "model": "FF", "held_out": None}
    return {**plain, "seed": seed, **changes}


def frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    return whole_numbers(pd.DataFrame(rows))


def sizes_of(by_model: dict[str, list[float]], protocol: str = PROTOCOL) -> pd.DataFrame:
    """One size per run, the mean of two categories, in layer 1."""
    return frame(
        [
            {
                **run(seed, model=model, protocol=protocol), "layer": 1, "category": category,
                "method": "method1", "quantile": 0.95, "size": size + shift, "floor": 39.2,
            }
            for model, sizes in by_model.items()
            for seed, size in enumerate(sizes)
            for category, shift in ((0, -size / 2), (1, size / 2))
        ]
    )  # fmt: skip


def sharing_of(jaccard: np.ndarray, runs: int = 2, **changes: object) -> pd.DataFrame:
    return frame(
        [
            {
                **run(seed, **changes), "layer": 1, "method": "method1", "quantile": 0.9,
                "category": i, "other": j, "count": 1.0, "jaccard": jaccard[i, j],
            }
            for seed in range(runs)
            for i in range(len(jaccard))
            for j in range(i, len(jaccard))
        ]
    )  # fmt: skip


def similarity_of(matrix: np.ndarray) -> pd.DataFrame:
    rows = [
        {"dataset": "mnist", "category": i, "other": j, "similarity": matrix[i, j]}
        for i in range(len(matrix))
        for j in range(i, len(matrix))
    ]
    return pd.DataFrame(rows)


def unseen_of(differences: list[float], sizes: list[float], layer: int = 1) -> pd.DataFrame:
    """One run per held-out class; the two seen classes' activities have the mean .5."""
    rows = []
    for label, (difference, size) in enumerate(zip(differences, sizes, strict=True)):
        for category, activity in ((label, 0.5 + difference), (8, 0.4), (9, 0.6)):
            unseen = category == label
            rows.append(
                {
                    **run(dataset="fashionmnist", held_out=label), "layer": layer,
                    "category": category, "method": "method2", "unseen": unseen,
                    "size": size if unseen else 50.0, "activity": activity,
                }
            )  # fmt: skip
    return frame(rows)


def weights_of(by_model: dict[str, list[float]], protocol: str = PROTOCOL) -> pd.DataFrame:
    """One fraction per run: the mean of layers 2 and 3; layer 1 is far off."""
    return frame(
        [
            {**run(seed, model=model, protocol=protocol), "layer": layer, "positive": positive}
            for model, fractions in by_model.items()
            for seed, fraction in enumerate(fractions)
            for layer, positive in ((1, 0.99), (2, fraction + 0.01), (3, fraction - 0.01))
        ]
    )


def paired(one: list[float], two: list[float]) -> pd.DataFrame:
    """Sizes by Method 1 at .99 and by Method 2, one class each."""
    return frame(
        [
            {
                **run(), "layer": 1, "category": category, "method": method,
                "quantile": quantile, "size": size, "floor": np.nan, "units": 784,
            }
            for method, quantile, sizes in (("method1", 0.99, one), ("method2", np.nan, two))
            for category, size in enumerate(sizes)
        ]
    )  # fmt: skip


def tell(frames: dict[str, pd.DataFrame | None], claim: str, dataset: str = "mnist") -> pd.Series:
    table = claims(frames)
    rows = table[table.claim == claim]
    if rows.dataset.notna().any():
        rows = rows[rows.dataset == dataset]
    assert len(rows) == 1
    return rows.iloc[0]


DISTANCES = np.abs(np.subtract.outer(np.arange(6.0) ** 2, np.arange(6.0) ** 2))


def test_select_tells_whole_runs_from_those_without_a_class() -> None:
    rows = frame([{**run(), "layer": 1}, {**run(held_out=3), "layer": 1}, {**run(1), "layer": 2}])
    assert select({"sizes": rows}, "sizes").seed.tolist() == [0, 1]
    assert select({"sizes": rows}, "sizes", layer=2).seed.tolist() == [1]
    assert select({"sizes": rows}, "sizes", held_out=True).held_out.tolist() == [3]
    assert select({"sizes": rows}, "sizes", UNTRAINED).empty
    assert select({"sizes": None}, "sizes", layer=2).empty
    assert floor_of({"sizes": sizes_of({"FF": [2.0]})}, "mnist") == 39.2
    assert np.isnan(floor_of({}, "mnist"))


def test_sparse_is_welch_on_log_sizes() -> None:
    large, small = [280.0, 300.0, 330.0], [2.0, 3.0, 4.5]
    frames = {
        "sizes": sizes_of({"FF": small, "BP": large}),
        "untrained_sizes": sizes_of({"FF": [40.0, 40.0], "BP": [80.0, 80.0]}, UNTRAINED),
        "shuffled_sizes": sizes_of({"FF": [30.0, 30.0], "BP": [90.0, 90.0]}),
    }
    row = tell(frames, "sparse_ff")
    test = stats.ttest_ind(np.log(large), np.log(small), equal_var=False)
    interval = np.exp(test.confidence_interval(0.95))
    assert row.value == pytest.approx(np.prod(large) ** (1 / 3) / 3)
    assert (row.low, row.high) == pytest.approx(tuple(interval))
    assert row.p == pytest.approx(test.pvalue)
    assert (row.n, row.n_of) == (6, "runs (3 FF, 3 BP)")
    assert row.null_untrained == pytest.approx(2)
    assert row.null_shuffled == pytest.approx(3)
    assert (row.verdict, row.as_untrained) == ("holds", False)
    assert "floor 39.2" in row.note
    assert "not run" not in row.note
    assert tell(frames, "sparse_bpff").verdict == "not run"
    assert tell(frames, "sparse_ff", "fashionmnist").verdict == "not run"


def test_sparse_wants_an_interval_above_one_and_two_runs() -> None:
    assert tell({"sizes": sizes_of({"FF": [2, 300], "BP": [1, 400]})}, "sparse_ff").verdict == (
        "does not hold"
    )
    row = tell({"sizes": sizes_of({"FF": [2], "BP": [400]})}, "sparse_ff")
    assert (row.value, row.verdict) == (pytest.approx(200), "undecided")
    assert np.isnan(row.low)
    row = tell({"sizes": sizes_of({"FF": [2, 3, 0], "BP": [300, 400]})}, "sparse_ff")
    assert "1 run without any active unit left out" in row.note
    assert row.n == 4
    # without any spread there is no interval
    assert tell({"sizes": sizes_of({"FF": [2, 2], "BP": [4, 4]})}, "sparse_ff").verdict == (
        "undecided"
    )


def test_mantel_against_scipy_and_its_least_p() -> None:
    rng = np.random.default_rng(3)
    other = rng.normal(size=(6, 6))
    i, j = np.triu_indices(6, 1)
    r, p = mantel(DISTANCES, other + other.T)
    assert r == pytest.approx(stats.spearmanr(DISTANCES[i, j], (other + other.T)[i, j]).statistic)
    assert 0.001 < p <= 1
    assert mantel(DISTANCES, other + other.T) == (r, p)
    # with ten classes next to no permutation of a perfect match is one again
    large = np.abs(np.subtract.outer(np.arange(10.0) ** 2, np.arange(10.0) ** 2))
    assert mantel(large, np.sqrt(large)) == pytest.approx((1, 1 / 10_001))
    assert mantel(large, -large) == pytest.approx((-1, 1))
    assert np.isnan(mantel(large, np.ones_like(large))).all()


def test_similar_classes_share() -> None:
    frames = {
        "sharing": pd.concat(
            [
                sharing_of(1 / (1 + DISTANCES)),
                sharing_of(DISTANCES, model="BP"),
            ]
        ),
        "untrained_sharing": sharing_of(DISTANCES, protocol=UNTRAINED),
        "shuffled_sharing": sharing_of(DISTANCES),
        "similarity": similarity_of(-DISTANCES),
    }
    row = tell(frames, "similar_share")
    assert row.value == pytest.approx(1)
    assert row.p < 0.01
    assert (row.n, row.verdict) == (15, "holds")
    assert row.n_of == "pairs of 6 classes, over 2 runs"
    assert row.null_untrained == pytest.approx(-1)
    assert row.null_shuffled == pytest.approx(-1)
    assert tell({**frames, "similarity": similarity_of(DISTANCES)}, "similar_share").verdict == (
        "does not hold"
    )
    assert tell({**frames, "similarity": None}, "similar_share").verdict == "not run"


def test_a_lost_class_leaves_the_mantel_test() -> None:
    jaccard = 1 / (1 + DISTANCES)
    jaccard[2, :] = jaccard[:, 2] = np.nan
    frames = {"sharing": sharing_of(jaccard), "similarity": similarity_of(-DISTANCES)}
    row = tell(frames, "similar_share")
    assert (row.n, row.value) == (10, pytest.approx(1))
    few = {"sharing": sharing_of(jaccard[:3, :3]), "similarity": similarity_of(-DISTANCES)}
    row = tell(few, "similar_share")
    assert (row.verdict, row.n_of) == ("undecided", "pairs of 2 classes, over 2 runs")
    assert "units are active in fewer than 4 classes" in row.note
    same = {**frames, "sharing": sharing_of(np.zeros((6, 6)))}
    row = tell(same, "similar_share")
    assert row.verdict == "undecided"
    assert "the index of every pair is 0.00" in row.note
    # a null that has no value says why
    row = tell({**frames, "shuffled_sharing": same["sharing"]}, "similar_share")
    assert row.value == pytest.approx(1)
    assert "shuffled labels: no value (the index of every pair is 0.00)" in row.note


def test_an_unseen_class_is_weaker_and_sparse() -> None:
    differences, sizes = [-0.1, -0.2, -0.12, np.nan], [1.0, 2.0, 1.0, 1.0]
    frames = {"unseen": unseen_of(differences, sizes)}
    row = tell(frames, "unseen_weaker_1", "fashionmnist")
    test = stats.ttest_1samp(differences[:3], 0)
    assert row.value == pytest.approx(np.mean(differences[:3]))
    assert (row.low, row.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert row.p == pytest.approx(test.pvalue)
    assert (row.n, row.verdict) == (3, "holds")
    assert "1 run is left out, no unit being active" in row.note
    assert "classes left out: 4" in row.note
    assert "no class unseen" in row.note
    assert np.isnan(row.null_shuffled)
    # without sizes there is no floor to set the ensemble against
    row = tell(frames, "unseen_sparse_1", "fashionmnist")
    assert (row.value, row.n, row.verdict) == (1.25, 4, "undecided")
    with_floor = {**frames, "sizes": sizes_of({"FF": [2.0]}).assign(dataset="fashionmnist")}
    row = tell(with_floor, "unseen_sparse_1", "fashionmnist")
    assert (row.low, row.high) == pytest.approx(
        tuple(stats.ttest_1samp(sizes, 39.2).confidence_interval(0.95))
    )
    assert row.verdict == "holds"
    # runs that are all alike say nothing of how others would be
    alike = {**with_floor, "unseen": unseen_of(differences, [1.0] * 4)}
    row = tell(alike, "unseen_sparse_1", "fashionmnist")
    assert (row.value, row.n, row.verdict) == (1.0, 4, "undecided")
    assert "all runs have the same value" in row.note
    assert np.isnan(row.p)
    strong = {"unseen": unseen_of([0.1, 0.2], [1.0, 1.0])}
    assert tell(strong, "unseen_weaker_1", "fashionmnist").verdict == "does not hold"
    single = {"unseen": unseen_of([-0.1], [1.0])}
    assert tell(single, "unseen_weaker_1", "fashionmnist").verdict == "undecided"


def test_an_unseen_class_is_tested_in_each_layer_and_on_untrained_nets() -> None:
    deep = unseen_of([-0.1, -0.2], [1.0, 2.0], layer=3)
    null = unseen_of([0.3, 0.3], [4.0, 6.0], layer=3).assign(protocol=UNTRAINED)
    frames = {"unseen": deep, "untrained_unseen": null}
    row = tell(frames, "unseen_weaker_3", "fashionmnist")
    assert (row.value, row.null_untrained) == pytest.approx((-0.15, 0.3))
    row = tell(frames, "unseen_sparse_3", "fashionmnist")
    assert (row.value, row.null_untrained) == (1.5, 5)
    assert "layer 3" in row.statement
    # the same may hold of untrained nets, beside the floor of theirs
    sizes = sizes_of({"FF": [2.0]}).assign(dataset="fashionmnist")
    null = unseen_of([0.3] * 4, [4.0, 4.5, 4.2, 4.4], layer=3).assign(protocol=UNTRAINED)
    deep = unseen_of([-0.1] * 4, [1.0, 2.0, 1.0, 1.0], layer=3)
    both = {"unseen": deep, "untrained_unseen": null, "sizes": sizes,
            "untrained_sizes": sizes.assign(protocol=UNTRAINED)}  # fmt: skip
    row = tell(both, "unseen_sparse_3", "fashionmnist")
    assert (row.verdict, row.as_untrained) == ("holds", True)
    assert tell(frames, "unseen_weaker_1", "fashionmnist").verdict == "not run"


def test_inhibition_is_of_ff_only() -> None:
    ff = [0.02, 0.04, 0.03]
    weights = weights_of({"FF": ff, "BPFF": [0.4, 0.5], "BP": [0.3, 0.3]})
    untrained = weights_of({"FF": [0.5, 0.5]}, UNTRAINED)
    frames = {"positive_weights": weights, "untrained_positive_weights": untrained}
    row = tell(frames, "inhibition_ff")
    test = stats.ttest_1samp(ff, 0.5)
    assert row.value == pytest.approx(0.03)
    assert (row.low, row.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert row.p == pytest.approx(test.pvalue)
    assert row.null_untrained == pytest.approx(0.5)
    assert "BP/FF 0.450 (2 runs), BP 0.300 (2 runs)" in row.note
    assert row.verdict == "holds"
    like_bp = weights_of({"FF": [0.3, 0.31], "BPFF": [0.4], "BP": [0.3]})
    assert tell({"positive_weights": like_bp}, "inhibition_ff").verdict == "does not hold"
    alone = tell({"positive_weights": weights_of({"FF": ff})}, "inhibition_ff")
    assert alone.verdict == "undecided"
    assert "BP not run" in alone.note


def test_methods_agree_by_fishers_interval() -> None:
    two, one = [1.0, 2.0, 3.0, 4.0, 6.0], [2.0, 2.5, 4.0, 3.9, 7.0]
    frames = {"sizes": paired(one, two), "shuffled_sizes": paired(one[::-1], two)}
    row = tell(frames, "methods_agree")
    test = stats.pearsonr(one, two)
    half = stats.norm.ppf(0.975) / np.sqrt(5 - 3)
    fisher = np.tanh(np.arctanh(test.statistic) + np.array([-half, half]))
    assert row.value == pytest.approx(test.statistic)
    assert (row.low, row.high) == pytest.approx(tuple(fisher))
    assert row.p == pytest.approx(test.pvalue)
    assert (row.n, row.verdict) == (5, "holds")
    assert f"slope {stats.linregress(two, one).slope:.2f}" in row.note
    assert row.null_shuffled == pytest.approx(stats.pearsonr(one[::-1], two).statistic)
    assert pd.isna(row.dataset)
    other_way = {"sizes": paired(one[::-1], two)}
    assert tell(other_way, "methods_agree").verdict == "does not hold"
    assert tell({"sizes": paired(one[:3], two[:3])}, "methods_agree").verdict == "undecided"
    # the cut in rank ended the last one, which alone goes with the rest
    apart = paired([4.0, 2.0, 3.0, 1.0, 90.0], [1.0, 2.0, 3.0, 4.0, 80.0])
    assert tell({"sizes": apart}, "methods_agree").verdict == "holds"
    row = tell({"sizes": mark_ended(apart, {"max_n_h": 0.1})}, "methods_agree")
    assert (row.n, row.verdict) == (4, "does not hold")
    assert "1 ensemble that Method 2's cut in rank ended left out" in row.note
    assert tell({"sizes": sizes_of({"FF": [2.0]})}, "methods_agree").verdict == "not run"


def test_nothing_run_says_so_for_every_claim() -> None:
    table = claims({})
    assert set(table.claim) == {claim.key for claim in CLAIMS["2023"]}
    assert set(table.verdict) == {"not run"}
    assert table.n.tolist() == [0] * len(table)
    assert (
        table[["value", "low", "high", "p", "null_untrained", "null_shuffled"]]
        .isna()
        .all(axis=None)
    )
    assert table.note.str.contains("untrained nets: not run").all()
    # a data set of one's own stands beside the study's
    own = claims({"sizes": sizes_of({"FF": [2, 3], "BP": [4, 5]}).assign(dataset="digits")})
    assert own[own.claim == "sparse_ff"].dataset.tolist() == ["mnist", "fashionmnist", "digits"]


def test_the_interval_decides_and_not_the_mean() -> None:
    row = tell({"sizes": sizes_of({"FF": [2, 300], "BP": [100, 300]})}, "sparse_ff")
    assert (row.low < 1 < row.value, row.verdict) == (True, "does not hold")
    floor = sizes_of({"FF": [2.0]}).assign(dataset="fashionmnist")
    unseen = {"unseen": unseen_of([-0.1, -0.2, 0.1], [30.0, 36.0, 42.0]), "sizes": floor}
    row = tell(unseen, "unseen_weaker_1", "fashionmnist")
    assert (row.value < 0 < row.high, row.verdict) == (True, "does not hold")
    row = tell(unseen, "unseen_sparse_1", "fashionmnist")
    assert (0 < row.low < row.value < 39.2 < row.high, row.verdict) == (True, "does not hold")
    weights = weights_of({"FF": [0.3, 0.45], "BPFF": [0.4, 0.5], "BP": [0.42]})
    assert tell({"positive_weights": weights}, "inhibition_ff").verdict == "does not hold"
    row = tell({"sizes": paired([1.0, 3.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0])}, "methods_agree")
    assert (row.value > 0.5, row.verdict) == (True, "does not hold")  # the slope may be 0
    two = [float(x) for x in range(40)]
    row = tell({"sizes": paired([x + 60 * (x % 2) for x in two], two)}, "methods_agree")
    assert (0.3 < row.value < 0.5, row.p < 0.05, row.verdict) == (True, True, "does not hold")


def test_mantel_permutes_classes_and_counts_the_order_itself() -> None:
    """Of 24 orders of four classes without a symmetry one gives a matrix itself."""
    matrix = np.zeros((4, 4))
    matrix[np.triu_indices(4, 1)] = [1, 2, 4, 7, 11, 16]
    r, p = mantel(matrix + matrix.T, matrix + matrix.T)
    assert r == pytest.approx(1)
    assert p == pytest.approx(1 / 24, abs=0.01)
