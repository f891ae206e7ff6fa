"""The names that `ffensembles` hands on, and what importing a room of it brings along."""

import subprocess
import sys

import pytest

import ffensembles


def test_every_public_name_is_there() -> None:
    assert dir(ffensembles) == ffensembles.__all__
    for name in ffensembles.__all__:
        value = getattr(ffensembles, name)
        assert callable(value) or name in {"METHODS", "__version__"}, name
    with pytest.raises(AttributeError, match="no attribute 'method3'"):
        ffensembles.method3  # noqa: B018


def test_training_waits_for_no_analysis() -> None:
    code = (
        "import sys, ffensembles.training.run; "
        "print([m for m in ('pandas', 'xarray', 'zarr', 'scipy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
