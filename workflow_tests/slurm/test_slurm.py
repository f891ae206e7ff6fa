"""The dgx profile on a real Slurm: dispatch, and every fault that a cluster has in store.

Each test ends with what an undisturbed local run gives, bit for bit.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from cluster import Cluster
from workplace import Workplace, environment

from ffensembles.analyses.tidy import read_frame
from ffensembles.runtime.files import checksum

ONE_EACH: dict[str, Any] = {"training": {"device": "auto", "runs_per_job": 1}}
"""A GPU is asked for, and there is a job for every run."""

SMALL: dict[str, Any] = {**ONE_EACH, "models": ["FF"]}
"""What each fault is brought about in: three trainings, one of them without a class."""

LEFT_OUT: dict[str, Any] = dict.fromkeys(
    ("figure1", "figure3", "figure4", "figure5", "figure6", "figure7", "figure8")
)
"""Figures that are nothing new to a cluster: they share a job with figure 2."""

QUICK = (
    # what a machine of two cores needs otherwise than a cluster: sums in one order, fast answers
    "--set-threads", "train_run=1",
    # what most jobs here take; each further check comes ten seconds later than the one before
    "--slurm-init-seconds-before-status-checks", "18",
    "--latency-wait", "10",
)  # fmt: skip


def submit(
    place: Workplace,
    *words: str,
    target: str = "training",
    study: dict[str, Any] = SMALL,
) -> subprocess.Popen[str]:
    """Start the coordinating process with the dgx profile."""
    log = (place.folder / "coordinator.log").open("a")
    return subprocess.Popen(
        place.command(target, *QUICK, *words, profile="dgx", **study),
        cwd=place.folder,
        env=environment(),
        text=True,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def said(place: Workplace) -> str:
    return (place.folder / "coordinator.log").read_text()


def finish(process: subprocess.Popen[str], place: Workplace, seconds: float = 900) -> None:
    code = process.wait(seconds)
    assert code == 0, said(place)[-5000:]


def wait_until(true: Callable[[], Any], seconds: float = 300) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)
    return found


def trainings(cluster: Cluster) -> list[str]:
    """Return the numbers of Slurm's jobs that train now."""
    return [number for number, comment in cluster.running().items() if "train" in comment]


def hold(cluster: Cluster, *numbers: str) -> list[int]:
    """Stop the processes of some jobs, so that they cannot end; return those that were stopped."""
    held = []
    for number in numbers:
        for pid in wait_until(lambda: cluster.processes(number)):  # noqa: B023
            with suppress(ProcessLookupError):  # some may have ended since they were listed
                os.kill(pid, signal.SIGSTOP)
                held.append(pid)
    return held


def go_on(held: list[int]) -> None:
    for pid in held:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def learnt(place: Workplace) -> dict[Path, str]:
    """Return the checksum of each run's weights."""
    files = place.results.glob("runs/**/weights.safetensors")
    return {path.relative_to(place.results): checksum(path) for path in files}


def assert_same_weights(place: Workplace, finished: Workplace) -> None:
    """Assert that Slurm's jobs have trained all, to the same weights."""
    assert place.jobs("training", **SMALL) == {}
    assert len(learnt(place)) == 3
    assert learnt(place).items() <= learnt(finished).items()


def words_for_scripts(place: Workplace) -> list[str]:
    """Return the words after `snakemake --profile dgx`, which the scripts say themselves."""
    words = place.command("training", *QUICK, profile="dgx", **SMALL)[3:]
    where = words.index("--profile")
    return words[:where] + words[where + 2 :]


def assert_trained_before_and_not_after(place: Workplace, log: str) -> None:
    """Assert that all was trained by jobs of the coordinating process that was lost."""
    before, after = log.rsplit("Unlocked working directory.", 1)
    assert before.count("rule_train_run") == 3
    assert "rule_train_run" not in after
    assert all("FF layer 3, seed" in log for log in logs_of_trainings(place).values())


def logs_of_trainings(place: Workplace) -> dict[Path, str]:
    return {path: path.read_text() for path in place.results.glob("logs/training/**/*.log")}


@pytest.fixture
def place(cluster: Cluster, fresh: Workplace) -> Iterator[Workplace]:
    """The workflow on an idle cluster; it is idle again afterwards, whatever a failed test left."""
    assert not cluster.running()
    yield fresh
    for process in psutil.process_iter(["cwd"]):  # coordinating ones, which would submit again
        if process.info["cwd"] == str(fresh.folder):
            process.kill()
    cluster.ask("scancel", "--user", "root")
    wait_until(lambda: not cluster.ask("squeue", "-h"))


def test_every_training_is_a_job_with_its_own_gpu(
    cluster: Cluster, place: Workplace, finished: Workplace
):
    study = {**ONE_EACH, "seeds": [0], "editions": {"2023": {"figures": LEFT_OUT}}}
    longer = ("--slurm-init-seconds-before-status-checks", "26")  # jobs of many small parts
    process, at_once = submit(place, *longer, target="all", study=study), 0
    while process.poll() is None:
        at_once = max(at_once, len(trainings(cluster)))
        time.sleep(0.3)
    finish(process, place)
    assert at_once == 4
    told = [
        re.search(r"Slurm job (\d+), GPU (\d+)", log) for log in logs_of_trainings(place).values()
    ]
    assert len(told) == 4
    assert len({match[1] for match in told if match}) == 4  # jobs
    assert len({match[2] for match in told if match}) == 4  # GPUs
    made, local = (
        {path.relative_to(of.results) for path in of.results.glob("runs/**/seed-0/frames/*")}
        for of in (place, finished)
    )
    assert made == local
    for path in made:
        frames = [read_frame(of.results / path) for of in (place, finished)]
        pd.testing.assert_frame_equal(*frames)
    tables = place.results / "tables/2023"
    assert len(list(tables.glob("*.csv"))) == 3
    assert pd.read_csv(tables / "table1.csv").n_runs.eq(1).all()


def test_a_cancelled_job_a_restarted_daemon_and_a_lost_node(
    cluster: Cluster, place: Workplace, finished: Workplace
):
    process = submit(place)
    wait_until(lambda: len(trainings(cluster)) == 3)
    cluster.kill("slurmd", signal.SIGKILL)
    cluster.start_node()  # jobs ran on meanwhile
    cancelled, *others = trainings(cluster)
    cluster.ask("scancel", cancelled)
    wait_until(lambda: cancelled not in trainings(cluster))
    cluster.lose_node()
    wait_until(lambda: not cluster.running())
    cluster.start_node()
    finish(process, place)
    states = {job["JobId"]: job["JobState"] for job in cluster.ended()}
    assert states[cancelled] == "CANCELLED"
    assert "NODE_FAIL" in {states[number] for number in others}
    assert_same_weights(place, finished)


def test_too_little_memory_and_too_little_time_grow_with_the_attempt(
    cluster: Cluster, place: Workplace, finished: Workplace
):
    """First attempts have too little memory; but for one, which hangs until its time is up."""
    before = len(cluster.ended())
    process = submit(
        place, "--set-resources",
        "train_run:mem_mb=60 if attempt == 1 and wildcards.seed == '0' else 4000",
        "train_run:runtime=attempt",
    )  # fmt: skip
    killed = wait_until(lambda: len(jobs := cluster.ended()[before:]) == 2 and jobs)
    (number,) = trainings(cluster)
    assert hold(cluster, number)
    finish(process, place)
    states = {job["JobId"]: job["JobState"] for job in cluster.ended()}
    assert states[number] == "TIMEOUT"
    assert {job["JobState"] for job in killed} <= {"OUT_OF_MEMORY", "FAILED"}
    assert_same_weights(place, finished)


def test_a_killed_coordinator_is_resumed_and_nothing_is_trained_twice(
    cluster: Cluster, place: Workplace, finished: Workplace
):
    process = submit(place)
    wait_until(lambda: len(trainings(cluster)) == 3)
    # however slow the machine is, they have not ended when the coordinating process is killed
    held = hold(cluster, *trainings(cluster))
    second = place.start("training", *QUICK, profile="dgx", **SMALL)
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    go_on(held)
    assert trainings(cluster)  # they run on
    resumed = subprocess.Popen(
        ["profiles/dgx/resume.sh", *words_for_scripts(place)],
        cwd=place.folder,
        env={**environment(), "RESUME_POLL_SECONDS": "1"},
        text=True,
        stdout=(place.folder / "coordinator.log").open("a"),
        stderr=subprocess.STDOUT,
    )
    finish(resumed, place)
    assert_trained_before_and_not_after(place, said(place))
    assert_same_weights(place, finished)


def test_a_submitted_coordinator_queues_itself_again_when_its_time_is_up(
    cluster: Cluster, place: Workplace, finished: Workplace
):
    def sbatch(script: str, *words: str) -> str:
        done = subprocess.run(
            ["sbatch", "--parsable", script, *words],
            cwd=place.folder,
            # its GPUs are stand-ins, which the check would refuse
            env={**environment(), "RESUME_POLL_SECONDS": "1", "FFENSEMBLES_GPU_CHECK": "0"},
            text=True,
            capture_output=True,
            check=True,
        )
        return done.stdout.strip()

    first = sbatch("profiles/dgx/study.sbatch", *words_for_scripts(place))
    wait_until(lambda: len(trainings(cluster)) == 3)
    held = hold(cluster, *trainings(cluster))
    cluster.ask("scancel", "--batch", "--signal=USR1", first)  # as Slurm does, two minutes early
    wait_until(lambda: first not in cluster.running())
    go_on(held)
    assert trainings(cluster)  # they run on
    wait_until(lambda: not cluster.ask("squeue", "-h"), 900)
    log = (place.folder / "study.log").read_text()
    assert "time is nearly up" in log
    assert_trained_before_and_not_after(place, log)
    assert_same_weights(place, finished)
