"""The whole study as it stands in config.yaml, planned by the profile that a cluster uses."""

import subprocess
import sys

from workplace import Workplace, environment, planned


def test_the_whole_study_can_be_planned_on_a_cluster(fresh: Workplace):
    words = ["-m", "snakemake", "all", "control", "--profile", "dgx", "--dry-run"]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=fresh.folder,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    jobs = planned(done.stdout)
    assert jobs["train_run"] >= 460
    assert jobs["train_block"] < jobs["train_run"] / 3  # most share a job with other seeds
