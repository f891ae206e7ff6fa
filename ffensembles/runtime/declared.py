"""What the modules of a package declare, one each: entries of data sets, models."""

from collections.abc import Iterable
from types import ModuleType
from typing import Any


def declared(modules: Iterable[ModuleType], name: str) -> dict[str, Any]:
    """Return what modules declare under a name, by its own `name` and in its `order`.

    Raises
    ------
    ValueError
        If a module is not named as what it declares, in small letters.
    """
    found = []
    for module in modules:
        one = getattr(module, name)
        if module.__name__.rpartition(".")[2] != one.name.lower():
            raise ValueError(
                f"{module.__name__}: declares {one.name!r}; give the file and what it declares one "
                f"name, {one.name.lower()}.py."
            )
        found.append(one)
    return {one.name: one for one in sorted(found, key=lambda one: (one.order, one.name))}
