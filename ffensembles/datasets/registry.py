"""The data sets there are: every module of `datasets.entries`, and nothing slow to import."""

import importlib
import pkgutil

from ffensembles.datasets.entry import Entry
from ffensembles.runtime.declared import declared


def _registered() -> dict[str, Entry]:
    """Import every module of `datasets.entries`; return their entries by name, in order."""
    package = importlib.import_module("ffensembles.datasets.entries")
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    modules = (importlib.import_module(f"{package.__name__}.{name}") for name in names)
    return declared(modules, "ENTRY")


DATASETS: dict[str, Entry] = _registered()
"""Every data set by name, in the order of lists and tables.

To add one, write an entry and, for a new format, a loader.
"""
