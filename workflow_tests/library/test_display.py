"""What is printed while a study runs and at its end: one line a job, one screen."""

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from workplace import ROOT, environment, planned

from ffensembles.analyses.tidy import write_frame
from ffensembles.config import load_config
from ffensembles.runtime.jobs import logged
from ffensembles.study import Study
from ffensembles.study import summary as summaries
from ffensembles.study.progress import (
    OTHERWISE,
    DryRunFormatter,
    Progress,
    ShortFormatter,
    reason_word,
)

T = 1_800_000_000.0


def test_time_left_is_that_of_finished_jobs_of_a_rule():
    progress = Progress()
    progress.plan({"train": 4, "table": 2, "total": 6})
    progress.start(1, "train", T)
    assert progress.seconds_left(T) is None
    progress.finish(1, T + 10)
    # three trainings of 10 s, two tables of a rule that has not finished; one job at a time
    assert progress.seconds_left(T + 10) == pytest.approx(30 + 2 * OTHERWISE)
    progress.start(2, "train", T + 10)
    assert progress.seconds_left(T + 14) == pytest.approx(26 + 2 * OTHERWISE)


def test_jobs_that_run_at_once_share_the_time_left():
    progress = Progress()
    progress.plan({"train": 4})
    for job in (1, 2):
        progress.start(job, "train", T)
    for job in (1, 2):
        progress.finish(job, T + 10)
    assert progress.seconds_left(T + 10) == pytest.approx(10)
    for job in (3, 4):
        progress.start(job, "train", T + 10)
        progress.finish(job, T + 20)
    assert progress.seconds_left(T + 20) == 0


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("Missing output files: a, b", "missing"),
        ("Updated input files: c; Code has changed since last execution", "changed input"),
        ("Params have changed since last execution: Params x", "changed parameters"),
        ("A reason that is not known: d", "a reason that is not known"),
        ("", "asked for"),
    ],
)
def test_a_reason_is_a_word(reason: str, word: str):
    assert reason_word(reason) == word


def record(event: str | None, message: str = "", **known: Any) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"msg": message, "event": event and SimpleNamespace(name=event), "created": T, **known}
    )


def test_a_job_is_one_line_and_an_error_is_told_in_full():
    short = ShortFormatter(logging.Formatter("usual: %(message)s"))
    assert short.format(record("RUN_INFO", "Job stats", stats={"train": 2, "total": 2}))
    job = {"rule_msg": "Training\n  FF", "rule_name": "train", "reason": "Forced execution"}
    line = short.format(record("JOB_INFO", jobid=7, **job))
    assert line.endswith("0 of 2 done: Training FF (forced)")
    quiet = [record("JOB_FINISHED", "Finished", job_id=7), record("PROGRESS", "1 of 2")]
    quiet += [record("JOB_STARTED", "Execute 1 jobs"), record(None, "Select jobs to execute...")]
    assert [short.format(one) for one in quiet] == [""] * 4
    assert "1 of 2 done, about 0:00:00 left" in short.format(record("JOB_INFO", jobid=8, **job))
    assert short.format(record("JOB_ERROR", "no disk")) == "usual: no disk"


def test_a_dry_run_prints_what_a_job_asks_for():
    dry = DryRunFormatter(logging.Formatter("usual: %(message)s"), {"local"})
    asked = {"mem_mb": 3700, "runtime": 21, "gpu": 1, "tmpdir": "/tmp", "_cores": 8}
    job = {"rule_msg": "Training FF", "resources": asked, "threads": 8}
    said = dry.format(record("JOB_INFO", "Job 1", rule_name="train_block", **job))
    assert said == "usual: Job 1\nResources: mem_mb=3700, runtime=21, gpu=1, threads=8"
    # the coordinating process runs it; Snakemake prints the resources of a rule without a message
    assert dry.format(record("JOB_INFO", "Job 1", rule_name="local", **job)) == "usual: Job 1"
    job["rule_msg"] = None
    assert dry.format(record("JOB_INFO", "Job 1", rule_name="other", **job)) == "usual: Job 1"
    assert dry.format(record("PROGRESS", "1 of 2")) == "usual: 1 of 2"


def test_only_warnings_of_a_job_are_printed_and_its_log_holds_no_notes_on_fonts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("FFENSEMBLES_OUTPUT", raising=False)
    with logged(tmp_path / "log", "result"):
        logging.info("epoch 1")
        logging.warning("class 3 is lost")
        logging.getLogger("fontTools.subset").info("glyf pruned")
    said = capsys.readouterr().err
    assert "class 3 is lost" in said
    assert "epoch 1" not in said
    log = (tmp_path / "log").read_text()
    assert "epoch 1" in log
    assert "glyf" not in log


def test_the_demo_prints_less_than_300_lines(tmp_path: Path):
    words = ["all", "--profile", "profiles/demo", "--dry-run", "--directory", str(tmp_path)]
    dry = subprocess.run(
        [sys.executable, "-m", "snakemake", *words],
        cwd=ROOT, env=environment(), text=True, capture_output=True, check=True,
    )  # fmt: skip
    jobs = planned(dry.stdout + dry.stderr)
    # a line each; the table of jobs; Snakemake's own beginning and end; the summary
    assert sum(jobs.values()) + len(jobs) + 40 + 60 < 300


@pytest.fixture
def study(tmp_path: Path) -> Study:
    overlay = {
        "name": "tiny", "results": str(tmp_path), "datasets": ["digits"], "seeds": [0, 1],
        "own_seeds": [], "protocols": ["sigmoid-linf"], "models": ["FF"],
        "held_out": [{"protocols": "all", "model": "FF", "dataset": "digits", "classes": [4],
                      "seeds": [0]}],
    }  # fmt: skip
    return Study.of(load_config(ROOT / "config.yaml", overlay))


def with_metadata(study: Study, monkeypatch: pytest.MonkeyPatch, *contents: dict[str, Any]) -> None:
    """Give the runs of a study metadata, without training them."""
    known = {}
    for run, content in zip(study.grid.runs, contents, strict=True):
        path = Path(study.paths.one("metadata", run))
        path.parent.mkdir(parents=True)
        path.touch()
        known[path] = {"run": run.keys, "lost_classes": [], "dead_layers": [], **content}
    monkeypatch.setattr(summaries, "read_run", lambda path, **_: known[path])


def test_the_last_screen_tells_accuracies_cautions_and_places(
    study: Study, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    rows = [
        {**run.keys, "layer": 0, "accuracy": 0.5 + run.seed / 10, "n_train": 300, "dead": False}
        for run in study.grid.runs
    ]
    write_frame(pd.DataFrame(rows), study.paths.one("tidy", file="accuracy.csv"))
    # the run without class 4 loses it by design; class 2 is a warning
    lost = {"lost_classes": [2, 4]}
    with_metadata(study, monkeypatch, {}, {"dead_layers": [3]}, lost)
    summaries.print_summary(study, ["config.yaml", "tiny.yaml"])
    said = capsys.readouterr().err
    # mean of .5 and .6, standard error .1 / sqrt(2) / sqrt(2)
    assert "0.550 ± 0.0500 (2)" in said
    assert "FF on Digits (sigmoid-linf): lost classes in 1 of 3 runs (2)" in said
    assert "dead layers in 1 of 3 runs (3)" in said
    assert "one seed alone" not in said
    assert f"Frames:  {study.config.results}/tidy" in said
    assert "ffensembles status config.yaml tiny.yaml" in said
    assert "Report:" not in said  # it was not made
    assert len(said.splitlines()) < 40


def test_a_sound_study_says_so_and_a_small_one_how_small(
    study: Study, monkeypatch: pytest.MonkeyPatch
):
    assert summaries.cautions(study) == [f"no run is finished in {study.config.results}"]
    with_metadata(study, monkeypatch, {}, {}, {"lost_classes": [4]})  # which it never saw
    assert [line.partition(":")[0] for line in summaries.cautions(study)] == ["nothing"]
    images = study.config.images.model_copy(update={"train_images": 300})
    small = replace(study, config=study.config.model_copy(update={"images": images}))
    assert summaries.cautions(small)[1].startswith("only 300 training images")


def test_a_study_without_accuracies_has_no_last_screen(
    study: Study, capsys: pytest.CaptureFixture[str]
):
    summaries.print_summary(study)
    assert capsys.readouterr().err == ""
