"""A real Slurm for these tests; where there is none they are skipped, with the reason."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, NoSlurm


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let one process run all of these tests: a machine holds one Slurm."""
    if Path(__file__).parent in item.path.parents:
        item.add_marker(pytest.mark.xdist_group("slurm"))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running Slurm of one node with eight stand-in GPUs."""
    folder: Path = tmp_path_factory.mktemp("slurm")
    cluster = Cluster(folder)
    try:
        cluster.up()
    except NoSlurm as reason:
        cluster.down()
        pytest.skip(f"no Slurm here: {reason}")
    yield cluster
    cluster.down()
