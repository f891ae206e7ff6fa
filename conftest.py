"""How tests run: doctests in the root, those that share a costly fixture in one process."""

import gc
import os
from typing import Any

import hypothesis
import pytest
from _pytest.doctest import DoctestItem

# no verdict hangs on how fast or busy a machine is
hypothesis.settings.register_profile(
    "any-machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any-machine")

_TOGETHER = (
    "workflow_tests/slurm/",  # a machine has one Slurm
    "workflow_tests/workflow/test_beside_publication.py",
    "workflow_tests/workflow/test_beyond.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process is left with it alone at the end."""
    first = ("workflow_tests/slurm/", "workflow_tests/workflow/")
    items.sort(key=lambda item: not item.nodeid.startswith(first[0]))
    items.sort(key=lambda item: not item.nodeid.startswith(first))


def pytest_collection_finish() -> None:
    """Leave what is imported by now out of garbage collection, which libraries call often."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _examples_run_in_the_root(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(request.node, DoctestItem):
        monkeypatch.chdir(request.config.rootpath)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return a process for each core, and another where Slurm's tests run, which mostly wait."""
    waits = not config.option.markexpr and config.args == config.getini("testpaths")
    return len(os.sched_getaffinity(0)) + waits


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a process one test at a time, but those together that share a costly fixture."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((place for place in _TOGETHER if nodeid.startswith(place)), nodeid)

    return Scheduler(config, log)
