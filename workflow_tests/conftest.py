"""One tiny study, run once however many processes test, and fewer threads where several do."""

import os
from pathlib import Path

import pytest
from filelock import FileLock
from workplace import Workplace, new_workplace

_SIDE_BY_SIDE = "PYTEST_XDIST_WORKER" in os.environ
if _SIDE_BY_SIDE:
    # before anything imports torch: the processes share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The tiny study, done. Every process has a copy, since a dry run writes files too."""
    own = tmp_path_factory.mktemp("study")
    # the processes of pytest-xdist have temporary folders side by side
    together = tmp_path_factory.getbasetemp().parent if _SIDE_BY_SIDE else own
    place = Workplace(together / "finished")
    with FileLock(together / "finished.lock"):
        failed = together / "finished.failed"
        assert not failed.exists(), failed.read_text()
        if not place.folder.exists():
            done = new_workplace(place.folder).start("all")
            if done.returncode:
                failed.write_text(done.stdout[-6000:])
            assert done.returncode == 0, done.stdout[-6000:]
    return place.copy(own / "finished") if _SIDE_BY_SIDE else place


@pytest.fixture
def fresh(tmp_path: Path) -> Workplace:
    """The workflow with nothing done yet."""
    return new_workplace(tmp_path / "workflow")
