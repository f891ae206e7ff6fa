"""What runs have cost, against benchmarks and metadata written by hand."""

import re
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from docutils.core import publish_doctree
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from run_files import metadata

from ffensembles.analyses.costs import cost_summary, costs, write_costs
from ffensembles.analyses.tidy import RUN_KEYS, read_frame, write_frame
from ffensembles.errors import StoreError
from ffensembles.plotting.costs import caption_costs, draw_costs
from ffensembles.plotting.saving import save_figure
from ffensembles.training.metadata import write_run

HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
PLAIN = {"protocol": "sigmoid-linf", "dataset": "mnist", "model": "FF", "held_out": None}
TITLES = {"mnist": "MNIST", "fashionmnist": "Fashion*MNIST"}


def write_benchmark(path: Path, seconds: object, memory: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rest = "\t".join(["NA"] * 7)
    path.write_text(f"{HEADER}{seconds}\t0:00:00\t{memory}\t{rest}\n")
    return path


def write_metadata(path: Path, seconds: object = 1.0, **more: object) -> Path:
    write_run(path, metadata(seconds=seconds, **more))
    return path


def frame_of(tmp_path: Path, train: list[Path], metadata: list[Path]) -> pd.DataFrame:
    runs = [{**PLAIN, "seed": seed} for seed in range(len(train))]
    return costs(runs, {"train": train}, metadata)


def test_one_row_for_each_stage_and_run(tmp_path):
    runs = [{**PLAIN, "seed": 0}, {**PLAIN, "model": "BP", "held_out": 3, "seed": 1}]
    train = [write_benchmark(tmp_path / f"{i}.tsv", 100.5 + i, 800.25) for i in (0, 1)]
    reading = [write_benchmark(tmp_path / f"read-{i}.tsv", 10 + i, 400) for i in (0, 1)]
    metadata = [write_metadata(tmp_path / f"{i}.json", 90) for i in (0, 1)]
    got = costs(runs, {"train": train, "activations": reading}, metadata)
    assert list(got.columns) == [
        *RUN_KEYS, "rule", "seconds", "max_rss", "device", "runs_together",
    ]  # fmt: skip
    assert got.rule.tolist() == ["train"] * 2 + ["activations"] * 2
    assert got.seconds.tolist() == [100.5, 101.5, 10, 11]
    assert got.max_rss.tolist() == [800.25, 800.25, 400, 400]
    assert got.device.tolist() == ["cpu, 1 threads"] * 2 + ["cpu"] * 2
    assert got.model.tolist() == ["FF", "BP"] * 2
    assert got.held_out.isna().tolist() == [True, False] * 2


@pytest.mark.parametrize("value", ["NA", "-", ""])
def test_a_job_too_short_to_be_measured(tmp_path, value):
    train = [write_benchmark(tmp_path / "0.tsv", 0.31, value)]
    got = frame_of(tmp_path, train, [write_metadata(tmp_path / "0.json", 0.2)])
    assert got.seconds.tolist() == [0.31]
    assert got.max_rss.isna().all()


def test_without_a_benchmark_the_metadata_say_the_time(tmp_path):
    empty = tmp_path / "empty.tsv"
    empty.write_text(HEADER)
    train = [tmp_path / "none.tsv", empty]
    metadata = [write_metadata(tmp_path / f"{i}.json", 70 + i) for i in (0, 1)]
    got = frame_of(tmp_path, train, metadata)
    assert got.seconds.tolist() == [70, 71]
    assert got.max_rss.isna().all()
    # reading activations leaves no other trace of its time
    runs = [{**PLAIN, "seed": 0}]
    assert costs(runs, {"activations": train[:1]}, metadata[:1]).seconds.isna().all()


def test_a_job_that_did_not_train_the_whole_run(tmp_path):
    # gone on from a checkpoint, or taken from the runs kept: 5 of 70 seconds
    train = [write_benchmark(tmp_path / "0.tsv", 5, 300)]
    got = frame_of(tmp_path, train, [write_metadata(tmp_path / "0.json", 70)])
    assert got.seconds.tolist() == [70]
    assert got.max_rss.isna().all()


def test_runs_that_share_a_job_share_its_time(tmp_path):
    # four at once for 100 seconds, in a job of 120; its memory is that of all
    shared = [write_benchmark(tmp_path / "block.tsv", 120, 2000)] * 4
    metadata = [write_metadata(tmp_path / f"{i}.json", 100, runs_together=4) for i in range(4)]
    got = frame_of(tmp_path, shared, metadata)
    assert got.seconds.tolist() == [30] * 4
    assert got.max_rss.tolist() == [2000] * 4
    assert got.runs_together.tolist() == [4] * 4
    # one after another, 55 seconds each
    metadata = [write_metadata(tmp_path / f"{i}.json", 55) for i in (0, 1)]
    got = frame_of(tmp_path, shared[:2], metadata)
    assert got[["seconds", "runs_together"]].values.tolist() == [[60, 2]] * 2
    # a job that took less for each than training did was not the one that trained
    got = frame_of(
        tmp_path, shared[:2], [write_metadata(tmp_path / f"{i}.json", 70) for i in (0, 1)]
    )
    assert got.seconds.tolist() == [70, 70]
    assert got.max_rss.isna().all()


def test_of_a_job_repeated_the_last_counts(tmp_path):
    path = write_benchmark(tmp_path / "0.tsv", 50, 300)
    path.write_text(path.read_text() + "40\t0:00:40\t310\n")
    got = frame_of(tmp_path, [path], [write_metadata(tmp_path / "0.json", 1)])
    assert got[["seconds", "max_rss"]].values.tolist() == [[40, 310]]


@pytest.mark.parametrize("content", ["what\n1\n", f"{HEADER}soon\t0:00:00\t1\n", f"{HEADER}1\n"])
def test_a_benchmark_that_is_none(tmp_path, content):
    path = tmp_path / "0.tsv"
    path.write_text(content)
    with pytest.raises(StoreError, match=r"0\.tsv: is no benchmark"):
        frame_of(tmp_path, [path], [write_metadata(tmp_path / "0.json")])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"seconds": None}, "seconds: Input should be a valid number"),
        ({"runs_together": 0}, "runs_together: "),
        ({"provenance": {}}, "does not say what the run took"),
    ],
)
def test_metadata_that_say_nothing(tmp_path, content, said):
    path = tmp_path / "run.json"
    write_run(path, metadata(**content))
    with pytest.raises(StoreError, match=rf"run\.json: {said}"):
        frame_of(tmp_path, [tmp_path / "none.tsv"], [path])


def made_up(**changes) -> pd.DataFrame:
    """Costs of a study with two data sets, `changes` laid over every row."""
    rows = [
        {**PLAIN, "dataset": dataset, "model": model, "seed": seed, "rule": rule,
         "seconds": seconds * (seed + 1), "max_rss": memory + 100 * seed, "device": device,
         "runs_together": 1}
        for rule, device, seconds in (("train", "GPU_1", 600.0), ("activations", "cpu", 9.0))
        for dataset in TITLES
        for model, memory in (("BP", 500.0), ("FF", 900.0))
        for seed in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"held_out": "Int64"}).assign(**changes)


def test_summary_by_hand():
    frame = made_up()
    frame.loc[0, "max_rss"] = np.nan
    frame.loc[1, "device"] = "GPU_2"
    got = cost_summary(frame)
    # a block for each step and data set, as they come; models in the study's order
    assert got.model.tolist() == ["FF", "BP"] * 4
    assert got.rule.tolist() == ["train"] * 4 + ["activations"] * 4
    assert got.dataset.tolist() == (["mnist"] * 2 + ["fashionmnist"] * 2) * 2
    first = got.iloc[1]
    assert first.n_runs == 2
    assert first.device == "GPU_1; GPU_2"
    assert first[["seconds_mean", "seconds_min", "seconds_max", "seconds_sum"]].tolist() == [
        900, 600, 1200, 1800,
    ]  # fmt: skip
    assert first[["max_rss_mean", "max_rss_min", "max_rss_max"]].tolist() == [600] * 3


def test_protocols_are_kept_apart():
    frame = pd.concat([made_up(), made_up(protocol="relu-l2")], ignore_index=True)
    got = cost_summary(frame)
    assert got.protocol.tolist() == ["sigmoid-linf"] * 8 + ["relu-l2"] * 8
    assert got.n_runs.eq(2).all()


def test_table(tmp_path):
    frame = made_up()
    frame["max_rss"] = frame["max_rss"].where(frame.rule == "train")
    paths = write_costs(frame, tmp_path / "costs", TITLES)
    assert [path.name for path in paths] == ["costs.csv", "costs.md", "costs.html"]
    pd.testing.assert_frame_equal(pd.read_csv(paths[0]), cost_summary(frame))
    lines = [line.strip("| ").split(" | ") for line in paths[1].read_text().split("\n")]
    assert lines[4] == [
        "Training", "MNIST", "FF", "2", "900.0", "600.0", "1,200.0", "950", "900", "1,000", "GPU_1",
    ]  # fmt: skip
    assert lines[8] == [
        "Reading activations", "MNIST", "FF", "2", "13.5", "9.0", "18.0", "—", "—", "—", "cpu",
    ]  # fmt: skip
    # 8 runs of 15 minutes on average, and of 13.5 seconds
    assert "training 2.00 h, reading activations 0.03 h" in paths[1].read_text()


CASES = {
    "plain": made_up(),
    "one run": made_up().iloc[:1],
    "no memory": made_up(max_rss=np.nan),
    "some memory": made_up().assign(max_rss=lambda rows: rows["max_rss"].where(rows.seed == 0)),
    "nothing of one step": made_up().assign(
        seconds=lambda rows: rows["seconds"].where(rows.rule == "train")
    ),
    "two protocols": pd.concat([made_up(), made_up(protocol="relu-l2")], ignore_index=True),
    "at once": made_up(runs_together=4),
    "very short": made_up(seconds=0.004),
    "very long": made_up(seconds=9e5),
    "exactly a tick": made_up(seconds=60.0),
}


@pytest.mark.parametrize("frame", CASES.values(), ids=CASES)
def test_figure_and_caption(frame):
    figure, caption = draw_costs(frame, TITLES), caption_costs(frame, TITLES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FigureCanvasAgg(figure).draw()
    time, memory = figure.axes
    assert "MB" in memory.get_xlabel()
    assert time.get_xscale() == "log"
    low, high = time.get_xlim()
    assert (frame["seconds"].between(low, high) | frame["seconds"].isna()).all()
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            assert text.get_fontsize() >= 7
    for axes in figure.axes:
        drawn = [label for label in axes.get_xticklabels() if label.get_text()]
        boxes = [label.get_window_extent() for label in drawn]
        assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
        assert len(boxes) >= 2
    assert not re.search(r"\bnan\b|None|  |missing MB", caption)
    assert not list(publish_doctree(caption).findall(lambda n: n.tagname == "system_message"))


def test_points_are_the_runs():
    time, memory = draw_costs(made_up(), TITLES).axes
    places = [tuple(at) for dots in time.collections for at in dots.get_offsets()]
    of_ff = sorted((round(y), x) for x, y in places if y < round(y))  # above BP's in each row
    assert of_ff == [(i, x) for i in range(4) for x in ([600, 1200] if i < 2 else [9, 18])]
    means = [line.get_xdata().tolist() for line in memory.lines if line.get_marker() == "|"]
    assert means == [[950] * 4, [550] * 4]
    names = [label.get_text() for label in time.get_yticklabels()]
    assert names[:2] == ["Training\nMNIST", "Training\nFashion*MNIST"]


def test_caption_by_hand():
    caption = caption_costs(made_up(runs_together=4), TITLES)
    n = "(n = 2)"
    assert f"MNIST: FF 900 s {n} and 950 MB {n} and BP 900 s {n} and 550 MB {n}." in caption
    assert r"Computed: training on GPU\_1; reading activations on cpu." in caption
    assert "Up to 4 runs shared a job" in caption
    assert "training took 2 h and reading activations took 0.03 h." in caption
    assert "missing" not in caption


def test_a_caption_counts_the_runs_of_each_number():
    frame = made_up()
    ff = frame.model.eq("FF") & frame.dataset.eq("mnist") & frame.rule.eq("train")
    frame.loc[ff & frame.seed.eq(1), "max_rss"] = np.nan
    frame.loc[ff, "device"] = ["GPU_1", "GPU_2"]
    caption = caption_costs(frame, TITLES)
    assert "MNIST: FF 900 s (n = 2) and 900 MB (n = 1) and BP" in caption
    assert r"training on GPU\_1 or on GPU\_2;" in caption
    assert "Memory is missing for 1 run." in caption
    frame.loc[ff, "seconds"] = np.nan
    assert "FF 900 MB (n = 1)" in caption_costs(frame, TITLES)
    assert "Time is missing for 2 runs." in caption_costs(frame, TITLES)


def test_files_go_round(tmp_path):
    frame = made_up()
    write_frame(frame, tmp_path / "costs.csv")
    again = read_frame(tmp_path / "costs.csv")
    for folder, rows in (("one", frame), ("two", again)):
        caption = caption_costs(rows, TITLES)
        save_figure(draw_costs(rows, TITLES), tmp_path / folder / "costs", caption, {"n": "1"})
    for ending in ("pdf", "png", "rst"):
        one, two = (tmp_path / folder / f"costs.{ending}" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
