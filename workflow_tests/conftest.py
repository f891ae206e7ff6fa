"""One tiny study, run once, for all tests here."""

from pathlib import Path

import pytest
from workplace import Workplace, new_workplace


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The tiny study, done."""
    place = new_workplace(tmp_path_factory.mktemp("study") / "workflow")
    done = place.start("all")
    assert done.returncode == 0, done.stdout[-6000:]
    return place


@pytest.fixture
def fresh(tmp_path: Path) -> Workplace:
    """The workflow with nothing done yet."""
    return new_workplace(tmp_path / "workflow")
