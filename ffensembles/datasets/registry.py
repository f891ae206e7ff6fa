"""The data sets there are: every module of `datasets.entries`, and nothing slow to import."""

import importlib
import pkgutil

from ffensembles.datasets.entry import Entry


def _registered() -> dict[str, Entry]:
    """Import every module of `datasets.entries`; return their entries by name, in order."""
    package = importlib.import_module("ffensembles.datasets.entries")
    found: list[Entry] = []
    for module in pkgutil.iter_modules(package.__path__):
        entry = importlib.import_module(f"{package.__name__}.{module.name}").ENTRY
        if entry.name != module.name:
            raise ValueError(
                f"{package.__name__}.{module.name}: its entry is named {entry.name!r}; give the "
                "file and the entry one name."
            )
        found.append(entry)
    return {one.name: one for one in sorted(found, key=lambda one: (one.order, one.name))}


DATASETS: dict[str, Entry] = _registered()
"""Every data set by name, in the order of lists and tables.

To add one, write an entry and, for a new format, a loader.
"""
