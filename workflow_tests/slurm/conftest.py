"""A real Slurm for these tests; where there is none they are skipped, with the reason."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, NoSlurm
from filelock import FileLock


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running Slurm of one node with eight stand-in GPUs; a machine holds one at a time."""
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    with FileLock(Path(tempfile.gettempdir()) / "ffensembles-slurm.lock"):
        try:
            cluster.up()
            yield cluster
        except NoSlurm as reason:
            pytest.skip(f"no Slurm here: {reason}")
        finally:
            cluster.down()
