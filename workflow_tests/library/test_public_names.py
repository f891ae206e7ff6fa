"""The names that `ffensembles` hands on, and what importing a package of it brings along."""

import pytest
from importing import brought_along

import ffensembles


def test_every_public_name_is_there() -> None:
    assert dir(ffensembles) == ffensembles.__all__
    for name in ffensembles.__all__:
        value = getattr(ffensembles, name)
        assert callable(value) or name in {"METHODS", "__version__"}, name
    with pytest.raises(AttributeError, match="no attribute 'method3'"):
        ffensembles.method3  # noqa: B018


def test_training_waits_for_no_analysis() -> None:
    analysing = ("pandas", "xarray", "zarr", "scipy")
    assert brought_along("import ffensembles.training.run", analysing) == []
    # the other way round, so that nothing being found says something
    assert brought_along("import ffensembles.analyses.load", analysing) != []
