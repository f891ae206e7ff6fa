"""Variations of the open settings: what they are called, what they change, how they are scored."""

import numpy as np
import pandas as pd
import pytest

from ffensembles.analyses.similarity import similarity_frame
from ffensembles.analyses.sweep import distances, sweep_frame
from ffensembles.config import load_config
from ffensembles.errors import ConfigError
from ffensembles.plotting.sweep import caption_sweep, draw_sweep
from ffensembles.study import UNTRAINED, Run, Study

THETA = {"key": "FF.theta", "values": [0.4, 0.6], "models": ["FF"]}
BATCH = {"key": "BP.batch_size", "values": [None], "models": ["BP"]}


def swept(*settings, **changes):
    sweep = {"seeds": [0, 7], "settings": list(settings)}
    return Study(load_config("config.yaml", {"sweep": sweep, **changes}))


def test_a_variation_changes_one_key_and_nothing_else():
    study = swept(THETA, BATCH)
    base = study.recipe(Run("sigmoid-linf", "mnist", "FF", None, 0))
    varied = study.recipe(Run("sigmoid-linf--FF.theta-0.4", "mnist", "FF", None, 0))
    assert varied == base.but(theta=0.4)
    full = study.recipe(Run("sigmoid-linf--BP.batch_size-null", "mnist", "BP", None, 0))
    assert full.batch_size is None


def test_the_sweep_is_its_base_and_each_variation_of_the_models_it_concerns():
    study = swept(THETA, BATCH, datasets=["mnist"], held_out=[])
    runs = study.scope("sweep/")
    assert len(runs) == len(set(runs)) == 2 * (3 + 2 + 1)
    names = {(run.protocol, run.model) for run in runs if run.protocol != "sigmoid-linf"}
    assert names == {
        ("sigmoid-linf--FF.theta-0.4", "FF"),
        ("sigmoid-linf--FF.theta-0.6", "FF"),
        ("sigmoid-linf--BP.batch_size-null", "BP"),
    }
    assert {run.seed for run in runs} == {0, 7}
    assert study.settings_as_they_are == {"FF.theta": "0.5", "BP.batch_size": "128"}


def test_nothing_of_the_sweep_or_of_the_nulls_is_part_of_the_study():
    study = swept(THETA)
    assert set(study.scope("")) == set(study.scope("shuffled/")) == set(study.runs)
    assert not set(study.scope("untrained/")) & set(study.runs)


def test_an_untrained_net_is_one_of_no_epochs():
    study = swept(THETA)
    for run in study.scope("untrained/"):
        assert run.protocol == UNTRAINED
        trained = study.recipe(Run("sigmoid-linf", run.dataset, run.model, None, run.seed))
        assert study.recipe(run) == trained.but(epochs=0)


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
            "sweep.settings[0].values[0]: found 'onec'; allowed: once, each-epoch",
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


@pytest.fixture
def frame():
    """Return the scores of one base run and one at another theta."""
    parts = []
    for protocol, accuracy, size, positive in (
        ("sigmoid-linf", 0.90, 2.7, 0.63),
        ("sigmoid-linf--FF.theta-0.4", 0.93, 5.4, np.nan),
    ):
        layer1 = {"layer": 1, "method": "method1", "quantile": 0.95}
        parts.append(
            (
                keyed(protocol, layer=0, accuracy=accuracy),
                pd.concat(
                    [
                        keyed(protocol, **layer1, category=0, size=size - 1),
                        keyed(protocol, **layer1, category=1, size=size + 1),
                        keyed(protocol, **layer1, category=2, size=np.nan),
                        keyed(protocol, **{**layer1, "quantile": 0.9}, category=1, size=99),
                    ]
                ),
                keyed(protocol, layer=1, positive=positive),
            )
        )
    frames = [pd.concat(of, ignore_index=True) for of in zip(*parts, strict=True)]
    return sweep_frame(*frames, {"sigmoid-linf--FF.theta-0.4": ("FF.theta", 0.4)})


def test_scores_by_hand(frame):
    rows = frame.set_index(["setting", "quantity"])
    assert rows.loc[("", "accuracy"), "distance"] == pytest.approx(1)
    assert rows.loc[("", "ensemble_size"), "ours"] == pytest.approx(2.7)
    assert rows.loc[("FF.theta", "ensemble_size"), "distance"] == pytest.approx(2.7 / 0.54)
    assert rows.loc["FF.theta", "value"].tolist() == ["0.4"] * 3
    assert rows.loc["FF.theta", "published"].tolist() == [0.93, 2.7, 0.63]


def test_distances_are_capped_means_and_a_missing_number_is_far_off(frame):
    scores = distances(frame).set_index("setting")
    assert scores.loc["", "distance"] == pytest.approx(1 / 3)
    assert scores.loc["", "within"] == pytest.approx(1)
    assert scores.loc["FF.theta", "distance"] == pytest.approx((0 + 5 + 10) / 3)
    assert scores.loc["FF.theta", "within"] == pytest.approx(1 / 3)


def test_the_figure_has_a_row_for_every_value_and_the_caption_the_nearest(frame):
    said = {"FF.theta": "0.5"}, {"mnist": "MNIST"}
    (axes,) = draw_sweep(frame, *said).axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        "FF.theta = 0.5 *",
        "FF.theta = 0.4",
    ]
    points = sorted(line.get_xdata()[0] for line in axes.lines)
    assert points == pytest.approx([1 / 3, 5])
    assert "FF 0.33 as it is by default" in caption_sweep(frame, *said)


def test_similarity_is_the_correlation_of_mean_images():
    x = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    frame = similarity_frame(x, np.array([0, 0, 1, 2]))
    found = frame.set_index(["category", "other"]).similarity
    assert found[(0, 0)] == pytest.approx(1)
    assert found[(0, 2)] == pytest.approx(1)  # mean of class 0 is (.5, .5, 0)
    assert found[(0, 1)] == pytest.approx(-1)
    assert len(found) == 6
