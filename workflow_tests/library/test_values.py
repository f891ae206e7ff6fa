"""Our value of each published number, measured as the number was."""

import pandas as pd
import pytest
from published_runs import everything, number, sizes_of
from scipy import stats

from ffensembles.publication.comparison import compare


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


def test_an_unseen_class_that_another_layer_explains() -> None:
    frames = everything()
    rows = frames["unseen"]
    deeper = rows.layer.eq(2) & rows.unseen
    frames["unseen"] = rows.assign(activity=rows.activity.where(~deeper, 0.34) + 0.5 * ~deeper)
    row = number(compare(frames), "unseen_activity")
    assert (row.ours, row.cause) == (pytest.approx(0.85), "not swept; layer 2 gives 0.34")
    # the seen classes' are as far away in both
    assert number(compare(frames), "seen_activity").cause == "not swept"


def test_a_size_that_another_quantile_explains() -> None:
    at = {0.9: (40.0, 42.0), 0.95: (19.0, 21.0), 0.99: (5.0, 7.0)}
    sizes = pd.concat([sizes_of(2, *two, quantile=q) for q, two in at.items()])
    row = number(compare({"sizes": sizes}), "ensemble_size", 2, model="FF", dataset="mnist")
    assert row.cause == "not swept; Method 1 at 0.99 gives 6.0"
    sizes = sizes[sizes["quantile"] != 0.99]
    row = number(compare({"sizes": sizes}), "ensemble_size", 2, model="FF", dataset="mnist")
    assert row.cause == "not swept"
