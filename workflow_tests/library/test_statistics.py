"""Tests and effect sizes over runs: worked by hand, against scipy, and their symmetries."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from importing import brought_along
from scipy import stats

from ffensembles.analyses.statistics import (
    contrasts,
    hedges_g,
    holm,
    mann_whitney,
    ratio_of_means,
    student,
    welch,
)

samples = st.lists(st.integers(1, 1000).map(float), min_size=2, max_size=8)


def test_welch_by_hand() -> None:
    # means 2 and 4; variances 1 and 4, over 3 runs each: 1/3 + 4/3; freedom (5/3)^2 / (17/18)
    low, high, p = welch([1, 2, 3], [2, 4, 6])
    freedom, se = (5 / 3) ** 2 / ((1 / 9 + 16 / 9) / 2), np.sqrt(5 / 3)
    half = stats.t.ppf(0.975, freedom) * se
    assert (low, high) == pytest.approx((-2 - half, -2 + half))
    assert p == pytest.approx(2 * stats.t.sf(2 / se, freedom))
    assert np.isnan(welch([1, 1], [2, 2])).all()
    assert np.isnan(welch([1], [2, 3])).all()


def test_student_is_the_t_test() -> None:
    values = [0.2, 0.5, 0.9, 0.4]
    mean, low, high, p = student(values, 0.1)
    test = stats.ttest_1samp(values, 0.1)
    assert (mean, p) == pytest.approx((0.5, test.pvalue))
    assert (low, high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert np.isnan(student([])).all()
    assert student([2.0])[0] == 2
    assert np.isnan(student([2.0])[1:]).all()


@pytest.mark.parametrize(
    "value", [0.1, 0.2, 0.7, 1.9, 0.0]
)  # of three times .1 the variance is 1e-34
def test_equal_runs_have_no_spread(value: float) -> None:
    alike, other = [value] * 3, [value + 0.1] * 3
    assert np.isnan(student(alike)[1:]).all()
    assert np.isnan(welch(alike, other)).all()
    assert np.isnan(hedges_g(alike, other).value)
    assert np.isnan(ratio_of_means(alike, other).low)


def test_differences_of_rounding_have_no_spread() -> None:
    apart = np.array([0.3, 0.1, 0.2]) - np.array([0.1 + 0.2, 0.1, 0.2])
    assert np.ptp(apart) > 0
    assert np.isnan(student(apart, size=0.3)[1:]).all()
    assert not np.isnan(student(apart)).any()  # where nothing is known of what they come from


def test_mann_whitney_by_hand() -> None:
    # of 20 orders of three and three, one alone is as extreme on each side
    assert mann_whitney([4, 5, 6], [1, 2, 3]) == pytest.approx((1, 2 / 20))
    # pairs above: 2 of (1, 3), (1, 2), (4, 3), (4, 2)
    assert mann_whitney([1, 4], [3, 2])[0] == 0.5
    assert mann_whitney([2, 2], [2, 2]) == (0.5, 1)
    assert np.isnan(mann_whitney([], [1.0])).all()


def test_hedges_g_by_hand() -> None:
    # difference 2, pooled variance (4 + 1) / 2, correction 1 - 3 / 15
    g = hedges_g([2, 4, 6], [1, 2, 3])
    assert g.value == pytest.approx(2 / np.sqrt(2.5) * 0.8)
    half = 1.959964 * np.sqrt(6 / 9 + g.value**2 / 12)
    assert (g.low, g.high) == pytest.approx((g.value - half, g.value + half))
    assert np.isnan(hedges_g([1, 1], [2, 2]).value)
    assert np.isnan(hedges_g([1], [2, 3]).value)


def test_ratio_of_means_by_hand() -> None:
    # log variance 4 / (3 * 16) + 1 / (3 * 4) = 1 / 6, two equal parts: 4 degrees of freedom
    ratio = ratio_of_means([2, 4, 6], [1, 2, 3])
    half = stats.t.ppf(0.975, 4) * np.sqrt(1 / 6)
    assert ratio.value == pytest.approx(2)
    assert (ratio.low, ratio.high) == pytest.approx((2 * np.exp(-half), 2 * np.exp(half)))
    assert np.isnan(ratio_of_means([-1, 1], [2, 2]).value)
    assert (ratio_of_means([4], [2]).value, ratio_of_means([3, 3], [1, 1]).value) == (2, 3)


def test_holm_by_hand() -> None:
    # times 4, 3, 2, 1 in order, never falling
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([np.nan, 0.5, 0.9]), [np.nan, 1, 1])
    assert holm([]).size == 0
    assert np.isnan(holm([np.nan])).all()


@settings(max_examples=20)  # statsmodels collects garbage in every call, which takes long
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_order_and_lies_between_p_and_bonferroni(p: list[float]) -> None:
    corrected, n = holm(p), len(p)
    assert (corrected >= np.array(p) - 1e-12).all()
    assert (corrected <= np.minimum(1, np.array(p) * n) + 1e-12).all()
    assert (np.diff(corrected[np.argsort(p, kind="stable")]) >= -1e-12).all()


@given(samples, samples, st.floats(0.1, 10))
def test_symmetries(one: list[float], other: list[float], scale: float) -> None:
    x, y = np.array(one), np.array(other)
    assume(x.std() > 0 and y.std() > 0)
    low, high, p = welch(x, y)
    assert welch(y, x) == pytest.approx((-high, -low, p))
    test = stats.ttest_ind(x, y, equal_var=False)
    assert p == pytest.approx(test.pvalue)
    assert (low, high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    g, ratio = hedges_g(x, y), ratio_of_means(x, y)
    assert hedges_g(y * scale, x * scale).value == pytest.approx(-g.value)
    assert g.low <= g.value <= g.high
    back = ratio_of_means(y, x)
    assert (back.low, back.value, back.high) == pytest.approx(
        (1 / ratio.high, 1 / ratio.value, 1 / ratio.low)
    )
    share, p = mann_whitney(x, y)
    assert mann_whitney(y, x) == pytest.approx((1 - share, p))
    above = np.mean(np.sign(np.subtract.outer(x, y)) / 2 + 0.5)
    assert share == pytest.approx(above)


def test_contrasts_take_runs_as_the_sample() -> None:
    rows = [
        {
            "protocol": "p", "dataset": dataset, "model": model, "held_out": None, "seed": seed,
            "layer": layer, "category": category, "x": x + category,
        }
        for dataset in ("a", "b")
        for layer in (1, 2)
        for model, values in (("FF", [5.0, 6, 7]), ("BP", [1.0, 2, 3]), ("BPFF", [4.0]))
        for seed, x in enumerate(values)
        for category in (0, 1)
        if (dataset, model) != ("b", "BPFF")
    ]  # fmt: skip
    table = contrasts(pd.DataFrame(rows), "x", [("FF", "BP"), ("BPFF", "BP")])
    assert table[["dataset", "layer", "one"]].to_numpy().tolist() == [
        ["a", 1, "FF"], ["a", 1, "BPFF"], ["a", 2, "FF"], ["a", 2, "BPFF"],
        ["b", 1, "FF"], ["b", 2, "FF"],
    ]  # fmt: skip
    row = table.iloc[0]
    assert (row.n_one, row.n_other, row.difference) == (3, 3, 4)  # runs, not classes
    assert row.p == pytest.approx(stats.ttest_ind([5, 6, 7], [1, 2, 3]).pvalue)
    assert row.p_holm == pytest.approx(4 * row.p)  # four comparisons have a p
    assert table[table.one == "BPFF"][["p", "p_holm", "g"]].isna().all(axis=None)
    assert contrasts(pd.DataFrame(rows), "x", [("x", "BP")]).empty


def test_nothing_slow_is_imported_before_it_is_used() -> None:
    slow = ("torch", "scipy", "statsmodels", "sklearn")
    assert brought_along("import ffensembles.analyses", slow) == []
