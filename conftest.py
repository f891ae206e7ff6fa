"""How tests run: doctests in the repository's root, those that need Slurm in one process."""

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


@pytest.fixture(autouse=True)
def _examples_run_in_the_root(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(request.node, DoctestItem):
        monkeypatch.chdir(request.config.rootpath)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a process one test at a time, but all that need Slurm, of which there is one."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "slurm" if nodeid.startswith("workflow_tests/slurm/") else nodeid

    return Scheduler(config, log)
