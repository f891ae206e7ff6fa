"""The scripts of the dgx profile where Slurm does not answer, with stand-ins for its commands."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from workplace import ROOT


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the scripts alone, and `bin` for stand-ins."""
    shutil.copytree(ROOT / "profiles/dgx", tmp_path / "profiles/dgx")
    (tmp_path / "bin").mkdir()
    return tmp_path


def stand_in(path: Path, text: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


def start(place: Path, script: str, *words: str, **variables: str) -> subprocess.Popen[str]:
    own = {"RESUME_POLL_SECONDS": "0", "FFENSEMBLES_GPU_CHECK": "0"}
    own |= {"SLURM_SUBMIT_DIR": str(place), "SLURM_JOB_ID": "7", **variables}
    return subprocess.Popen(
        ["bash", place / "profiles/dgx" / script, *words],
        env={**os.environ, **own, "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_squeue_that_fails_does_not_mean_that_no_job_is_left(place: Path):
    """It fails twice, then names a job of this folder, then none that Snakemake submitted here."""
    stand_in(
        place / "bin/squeue",
        f"""echo asked >> {place}/asked
        case $(wc -l < {place}/asked) in
          1 | 2) exit 1;;
          3) echo "8|{place}|rule_train_run"; echo "9|/elsewhere|rule_train_run";;
          *) echo "7|{place}|(null)"; echo "9|/elsewhere|rule_train_run";;
        esac""",
    )
    stand_in(place / "bin/snakemake", 'echo "snakemake $*"')
    resumed = start(place, "resume.sh")
    said, _ = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, said
    lines = said.splitlines()
    assert [line.split()[0] for line in lines] == [
        "squeue", "squeue", "waiting", "snakemake", "snakemake",
    ]  # fmt: skip
    assert lines[2] == "waiting for 1 jobs that were submitted before"
    assert lines[-1] == "snakemake --profile profiles/dgx all"


def test_two_coordinators_do_not_work_in_one_folder(place: Path):
    stand_in(place / "bin/squeue", "true")
    stand_in(place / "bin/snakemake", "echo begun; sleep 60")
    first = start(place, "resume.sh")
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "begun\n"
        second = start(place, "resume.sh")
        said, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert (
            said
            == f"another process coordinates a study in {place}: let it finish, or end it first\n"
        )
    finally:
        os.killpg(first.pid, signal.SIGKILL)


def test_a_copied_profile_starts_itself(place: Path):
    shutil.copytree(place / "profiles/dgx", place / "profiles/mine")
    stand_in(place / "bin/squeue", "true")
    stand_in(place / "bin/snakemake", 'echo "snakemake $*"')
    said, _ = start(place, "../mine/resume.sh", "training").communicate(timeout=60)
    assert said.splitlines()[-1] == "snakemake --profile profiles/mine training"


def test_time_that_is_up_while_the_gpu_check_waits(place: Path):
    """The job queues itself again, and takes the check out of the queue."""
    stand_in(
        place / "bin/sbatch",
        'case "$*" in *--wait*) echo checking; sleep 60;; *) echo "Submitted $*";; esac',
    )
    stand_in(place / "bin/scancel", f'echo "$*" > {place}/cancelled')
    stand_in(place / "bin/snakemake", "exit 1")
    job = start(place, "study.sbatch", FFENSEMBLES_GPU_CHECK="1", SLURM_JOB_PARTITION="p")
    try:
        assert job.stdout is not None
        assert job.stdout.readline() == "checking\n"
        job.send_signal(signal.SIGUSR1)
        assert job.stdout.readline().startswith("time is nearly up: Submitted --dependency")
        assert job.wait(timeout=60) == 0
    finally:
        os.killpg(job.pid, signal.SIGKILL)
    assert (place / "cancelled").read_text().endswith("--name gpu-check-7\n")


@pytest.mark.parametrize("code", [0, 3])
def test_a_study_ends_as_its_coordinator_does(place: Path, code: int):
    stand_in(place / "profiles/dgx/resume.sh", f"exit {code}")
    job = start(place, "study.sbatch")
    assert job.wait(timeout=60) == code


@pytest.mark.parametrize("taken", [True, False])
def test_a_coordinator_that_cannot_queue_itself_again_says_so(place: Path, taken: bool):
    stand_in(place / "bin/sbatch", "echo Submitted batch job 8" if taken else "exit 1")
    stand_in(place / "profiles/dgx/resume.sh", "echo begun; sleep 60")
    job = start(place, "study.sbatch", "all", "--quiet")
    try:
        assert job.stdout is not None
        assert job.stdout.readline() == "begun\n"
        job.send_signal(signal.SIGUSR1)
        said = job.stdout.readline()
        job.wait(timeout=60)
    finally:
        os.killpg(job.pid, signal.SIGKILL)  # as Slurm ends what a job leaves
    assert job.returncode == (0 if taken else 1)
    assert said.startswith("time is nearly up: Submitted" if taken else "time is nearly up, and")
    assert taken or said.endswith("go on with: sbatch profiles/dgx/study.sbatch all --quiet\n")
