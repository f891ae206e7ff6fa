"""The study as it is configured, and with its first edition alone."""

import pytest
from studies import FIRST, study

from ffensembles.study import Study


@pytest.fixture(scope="session")
def full() -> Study:
    return study()


@pytest.fixture(scope="session")
def first() -> Study:
    return study(**FIRST)
