"""How a study stands, told from files made by hand: every state, and the time left."""

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ffensembles.config import load_config
from ffensembles.errors import TrainingError
from ffensembles.runs import Run
from ffensembles.runtime.jobs import logged
from ffensembles.study import Study
from ffensembles.study.status import STATES, Training, look, main, report, seconds_each, time_left

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000.0
TRAINING = """\
07:13:35 10000 training images of digits
07:13:35 seed {seeds}
07:13:35 BPFF: EndToEndStage (gradients by hand, in blocks) on cpu
07:13:50 BPFF{runs}: epoch 11/100, 1.385 s each, 0:02:03 left, loss 0.7365, goodness 2.1 / 2.0
07:15:23 BPFF{runs}: epoch 78/100, 1.383 s each, 1:00:30 left, loss 0.6123, goodness 2.1 / 1.6
"""
SICK = "FF layer 1, seed 0: the loss is nan in epoch 3; try a learning rate below 0.01."


def new_study(folder: Path, seeds: int = 3, **changes) -> Study:
    """One model, one data set."""
    one = {"protocols": ["sigmoid-linf"], "own_seeds": []}
    plain = {
        **one,
        "results": str(folder),
        "datasets": ["digits"],
        "models": ["BPFF"],
        "held_out": [],
    }
    return Study.of(
        load_config(ROOT / "config.yaml", {**plain, "seeds": list(range(seeds))}, changes)
    )


def put(path: str, text: str = "", age: float = 0) -> None:
    """Write a file that is `age` seconds old."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    os.utime(path, (NOW - age, NOW - age))


def finish(study: Study, run: Run, **said) -> None:
    put(study.paths.one("weights", run))
    put(study.paths.one("metadata", run), json.dumps(said))


def write_log(study: Study, run: Run, text: str | None = None, age: float = 0) -> str:
    path = study.paths.one("run_log", run, stage="training")
    put(path, TRAINING.format(seeds=run.seed, runs="") if text is None else text, age)
    return path


def fail(path: str, error: Exception) -> None:
    """Let a log end as those of scripts do; pytest's own logging stays as it is."""
    level = logging.root.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.root, "handlers", [])
        with pytest.raises(SystemExit), logged(path, "results/weights"):
            raise error
        for handler in logging.root.handlers:
            handler.close()
    logging.root.setLevel(level)


def states(study: Study) -> list[str]:
    return [one.state for one in look(study, NOW)]


def test_every_state(tmp_path):
    study = new_study(tmp_path, seeds=6)
    done, running, failed, interrupted, half, _ = study.grid.runs
    finish(study, done, seconds=150)
    write_log(study, running, age=20)
    fail(write_log(study, failed), TrainingError(SICK))
    write_log(study, interrupted, age=601)
    put(study.paths.one("weights", half))  # the metadata are written last
    assert states(study) == ["done", "running", "failed", "interrupted", "waiting", "waiting"]
    found = look(study, NOW)
    assert found[0].seconds == 150
    # an hour and 30 seconds, said 20 seconds ago
    assert found[1].left == 3610
    assert found[2].said == SICK


def test_a_fresh_checkpoint_is_a_sign_of_life(tmp_path):
    study = new_study(tmp_path, seeds=1)
    write_log(study, study.grid.runs[0], age=7200)
    put(study.paths.one("checkpoint", study.grid.runs[0]), age=601)
    assert states(study) == ["interrupted"]
    put(study.paths.one("checkpoint", study.grid.runs[0]), age=599)
    assert states(study) == ["running"]
    # its last word is older than what it said was left
    assert look(study, NOW)[0].left == 0


def test_a_clock_that_is_ahead_takes_nothing_away(tmp_path):
    study = new_study(tmp_path, seeds=1)
    write_log(study, study.grid.runs[0], age=-100)
    assert look(study, NOW)[0].left == 3630


def test_a_run_that_has_only_begun(tmp_path):
    study = new_study(tmp_path, seeds=1)
    write_log(study, study.grid.runs[0], "07:13:35 10000 training images of digits\n")
    assert look(study, NOW) == [
        Training(
            study.grid.runs[0],
            "running",
            study.paths.one("run_log", study.grid.runs[0], stage="training"),
        )
    ]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TrainingError("one\ntwo."), "one two."),
        (ValueError("no such thing"), "ValueError: no such thing"),
        # what matters is not always the last line
        (RuntimeError("CUDA error: lost\nCompile with DSA"), "RuntimeError: CUDA error: lost"),
    ],
)
def test_what_an_error_was(tmp_path, error, said):
    study = new_study(tmp_path, seeds=1)
    fail(write_log(study, study.grid.runs[0], age=0), error)
    (one,) = look(study)
    assert (one.state, one.said) == ("failed", said)


def test_a_training_asked_to_stop_has_not_failed(tmp_path):
    said = "training was asked to stop"
    assert said in (ROOT / "ffensembles" / "training" / "run.py").read_text()
    study = new_study(tmp_path, seeds=1)
    fail(
        write_log(study, study.grid.runs[0]),
        TrainingError(f"checkpoint: {said} and its state is ..."),
    )
    assert states(study) == ["interrupted"]


def test_a_warning_is_no_error(tmp_path):
    study = new_study(tmp_path, seeds=1)
    text = TRAINING.format(seeds=0, runs="") + "07:15:57 WARNING: seed 0: ERROR: is a class\n"
    write_log(study, study.grid.runs[0], text)
    assert states(study) == ["running"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"seconds": null}'])
def test_metadata_that_say_nothing(tmp_path, content):
    study = new_study(tmp_path, seeds=1)
    finish(study, study.grid.runs[0])
    put(study.paths.one("metadata", study.grid.runs[0]), content)
    assert look(study, NOW) == [Training(study.grid.runs[0], "done")]


@pytest.mark.parametrize("seconds", ["1e400", "NaN", "1e300", '"1e400"', "[1]", "9" * 400])
def test_times_that_cannot_be(tmp_path, seconds):
    study = new_study(tmp_path, seeds=2)
    for run in study.grid.runs:
        put(study.paths.one("weights", run))
        put(study.paths.one("metadata", run), f'{{"seconds": {seconds}}}')
    found = look(study, NOW)
    assert {one.seconds for one in found} <= {None, 1e300}
    assert report(study, found, "snakemake").startswith("full: 2 of 2 trainings done")


def test_logs_that_cannot_be_read_are_named(tmp_path):
    study = new_study(tmp_path, seeds=3)
    folder, unreadable, _ = (
        study.paths.one("run_log", run, stage="training") for run in study.grid.runs
    )
    Path(folder).mkdir(parents=True)
    os.utime(folder, (NOW, NOW))
    Path(unreadable).symlink_to("/proc/self/mem")  # reading it fails for root too
    found = look(study, NOW)
    assert [one.state for one in found] == ["running", "interrupted", "waiting"]
    lines = report(study, found, "snakemake").split("\n")
    assert f"{folder}: the log cannot be read (Is a directory)" in lines
    assert f"{unreadable}: the log cannot be read (Input/output error)" in lines


def test_control_characters_are_shown_and_not_obeyed(tmp_path):
    study = new_study(tmp_path, seeds=1)
    text = "07:00:00 ERROR: red \x1b[31m\x07, title \x1b]0;owned\x07, \x9b2J, \u202egnp.exe\n"
    write_log(study, study.grid.runs[0], text)
    said = report(study, look(study, NOW), "snakemake")
    assert all(one.isprintable() or one == "\n" for one in said)
    assert "failed: red \\x1b[31m\\x07, title \\x1b]0;owned\\x07, \\x9b2J, \\u202egnp.exe" in said


def test_a_log_with_absurd_numbers(tmp_path):
    study = new_study(tmp_path, seeds=1)
    nines = "9" * 5000
    for text in (
        f"seed {nines}\n",
        f" epoch {nines}/1, x, {nines}:00:00 left\n",
        f" epoch 1/2, x, {nines[:9]}:00:00 left\n",
    ):
        write_log(study, study.grid.runs[0], text)
        assert report(study, look(study, NOW), "snakemake").startswith(
            "full: 0 of 1 trainings done"
        )


# ---------------------------------------------------------------------------- runs that share a job


def test_runs_trained_at_once(tmp_path):
    study = new_study(tmp_path, seeds=7, training={"runs_per_job": 5})
    block = study.paths.one("block_log", study.grid.runs[0], seeds="0-1-2-3-4")
    # 0 was trained alone, 1 and 2 are at it, 3 and 4 have their turn later; 5 and 6: another job
    put(
        block, TRAINING.format(seeds="0", runs="") + TRAINING.format(seeds="1, 2", runs=" (2 runs)")
    )
    found = look(study, NOW)
    assert [one.state for one in found] == ["running"] * 3 + ["waiting"] * 4
    assert [one.left for one in found] == [0, 3630, 3630, None, None, None, None]
    # one job: its time counts once, and nothing is known of four runs
    assert time_left(found) == (3630, 1, 4)
    put(block, TRAINING.format(seeds="0", runs="") + "07:16:00 seed 1, 2\n")
    assert [one.left for one in look(study, NOW)][:3] == [0, None, None]


def test_a_failed_job_is_told_once(tmp_path):
    study = new_study(tmp_path, seeds=3, training={"runs_per_job": 3})
    block = study.paths.one("block_log", study.grid.runs[0], seeds="0-1-2")
    finish(study, study.grid.runs[1], seconds=60, runs_together=3)
    put(block)
    fail(block, TrainingError(SICK))
    found = look(study)
    assert [one.state for one in found] == ["failed", "done", "failed"]
    assert found[1].seconds == 20
    text = report(study, found, "snakemake")
    assert text.count("failed: ") == text.count("retry: ") == 1
    first, _, last = study.paths.each("weights", study.grid.runs)
    assert text.endswith(f"  retry: snakemake {first} {last}")


# ---------------------------------------------------------------------------------------- time left


def one(state: str, seed: int = 0, model: str = "BPFF", **known) -> Training:
    return Training(
        Run("p", "digits", model, None, seed), state, log=f"{model}-{seed}.log", **known
    )


def test_time_left_by_hand():
    done = [one("done", 0, seconds=100.0), one("done", 1, seconds=300.0)]
    assert seconds_each(done) == {("p", "digits", "BPFF"): 200}
    assert time_left(done) == (0, 0, 0)
    # 50 + 150 + 2 x 200 among two jobs; the failed one is left out
    jobs = [one("running", 2, left=50.0), one("running", 3, left=150.0)]
    to_come = [one("waiting", 4), one("interrupted", 5), one("failed", 6)]
    assert time_left(done + jobs + to_come) == (300, 2, 0)
    # no run ends before its own time
    assert time_left([*done, jobs[0], one("running", 3, left=1000.0)]) == (1000, 2, 0)
    # one after another where none runs
    assert time_left(done + to_come) == (400, 0, 0)
    # as long as others took, until the log speaks
    assert time_left([*done, one("running", 2), jobs[1]]) == (200, 2, 0)


def test_time_left_where_little_is_known():
    assert time_left([one("waiting")]) == (None, 0, 1)
    assert time_left([one("running")]) == (None, 1, 1)
    assert time_left([one("done", seconds=10.0), one("waiting", 1, model="FF")]) == (None, 0, 1)
    mixed = [one("running", left=60.0), one("waiting", 1), one("waiting", 2, model="FF")]
    assert time_left(mixed) == (60, 1, 2)
    assert time_left([one("failed")]) == (0, 0, 0)


# ------------------------------------------------------------------------------------------- report


def test_report(tmp_path):
    study = new_study(tmp_path, seeds=4, models=["FF", "BPFF"], name="trial")
    runs = study.grid.runs
    for run in runs[:2]:
        finish(study, run, seconds=3600)
    log = write_log(study, runs[2], f"07:00:00 ERROR: {SICK}\n(log: x)\n")
    write_log(study, runs[4])
    write_log(study, runs[5], age=3601)
    lines = report(study, look(study, NOW), "snakemake --profile dgx").split("\n")
    assert lines[0] == (
        "trial: 2 of 8 trainings done, 1 running, 1 failed, 1 interrupted, 3 waiting"
    )
    # 1:00:30 of the one running, an hour of FF's last run; three of BP/FF are unknown
    assert lines[1] == (
        "time left: about 2:00:30, 1 at once; 3 more are unknown, none of their kind is finished"
    )
    table = [re.split(r"  +", line) for line in lines[3:6]]
    assert table[0] == ["protocol", "data set", "model", *STATES, "of", "time each"]
    kind = ["sigmoid-linf", "digits"]
    assert table[1] == [*kind, "FF", "2", "0", "1", "0", "1", "4", "1:00:00"]
    assert table[2] == [*kind, "BP/FF", "0", "1", "0", "1", "2", "4", "-"]
    assert "interrupted ones go on when the study's command is started again" in lines
    assert lines[-3:] == [
        f"failed: {SICK}",
        f"  log: {log}",
        f"  retry: snakemake --profile dgx {study.paths.one('weights', runs[2])}",
    ]


def test_runs_beside_the_study_count_where_all_trains_them_or_they_have_begun(tmp_path):
    """The control is part of `all` through a figure, and the sweep is a target of its own."""
    protocols = ["sigmoid-linf", "relu-l2"]
    study = new_study(tmp_path, protocols=protocols, models=["FF", "BP"])
    own, control = set(study.grid.runs), set(study.grid.of_section("control"))
    assert {one.run for one in look(study, NOW)} == own | control
    assert control - own
    sweep = set(study.grid.of_section("sweep")) - own - control
    finish(study, min(sweep, key=lambda run: run.name), seconds=10)
    trainings = look(study, NOW)
    assert {one.run for one in trainings} == own | control | sweep
    assert sum(one.state == "done" for one in trainings) == 1


def test_kept_results_are_done_without_weights(tmp_path):
    for keep in (False, True):
        study = new_study(tmp_path, keep=keep)
        put(study.paths.one("metadata", study.grid.runs[0]), json.dumps({"seconds": 10}))
        states = [one.state for one in look(study, NOW)]
        assert states.count("done") == keep


def test_report_of_a_study_not_begun(tmp_path):
    study = new_study(tmp_path)
    lines = report(study, look(study, NOW), "snakemake").split("\n")
    assert lines[0].endswith("0 of 3 trainings done, 3 waiting")
    assert lines[1].startswith("time left: unknown")


def start(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ffensembles.study.status", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_as_a_command(tmp_path):
    overlay = tmp_path / "study.yaml"
    overlay.write_text(
        f"{{results: {tmp_path}, seeds: [0], datasets: [digits], "
        "protocols: [sigmoid-linf], own_seeds: [], held_out: []}\n"
    )
    study = Study.of(load_config(ROOT / "config.yaml", overlay))
    write_log(study, study.grid.runs[0], f"07:00:00 ERROR: {SICK}\n")
    weights = study.paths.one("weights", study.grid.runs[0])
    done = start("config.yaml", overlay)
    assert done.returncode == 0
    assert done.stdout.startswith("full: 0 of 3 trainings done, 1 failed, 2 waiting\n")
    assert f"  retry: snakemake --configfile {overlay} --cores 1 {weights}\n" in done.stdout
    (tmp_path / "profile.yaml").write_text("configfile: study.yaml\n")
    done = start("config.yaml", overlay)
    assert f"  retry: snakemake --profile {tmp_path} {weights}\n" in done.stdout
    done = start("config.yaml", overlay, "--command", "snakemake --profile dgx")
    assert f"  retry: snakemake --profile dgx {weights}\n" in done.stdout


def test_a_bad_configuration_is_told_in_a_line(tmp_path, capsys):
    overlay = tmp_path / "study.yaml"
    overlay.write_text("sseds: [0]\n")
    assert main([str(ROOT / "config.yaml"), str(overlay)]) == 1
    assert "sseds" in capsys.readouterr().err
    done = start(tmp_path / "none.yaml")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_neither_torch_nor_snakemake_is_imported():
    code = (
        "import sys, ffensembles.study.status as p; p.main([]); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'snakemake', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
