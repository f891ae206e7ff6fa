"""The methods that find ensembles, by name, each with its parameters."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import xarray as xr

from ffensembles.errors import ConfigError
from ffensembles.representations.layers import layer_names
from ffensembles.runtime.keys import Group
from ffensembles.runtime.text import listed


@dataclass(frozen=True)
class Method:
    """A way to find ensembles.

    Attributes
    ----------
    name
        Its name in configuration, paths and tables.
    title
        Its name in print.
    find
        The function, see `ffensembles.ensembles`.
    parameters
        Its parameters with their defaults, as the configuration knows them.
    """

    name: str
    title: str
    find: Callable[..., xr.Dataset]
    parameters: type[Group]

    @property
    def has_quantiles(self) -> bool:
        """Whether it gives ensembles for several quantiles."""
        return "quantiles" in self.parameters.model_fields

    def at(self, quantile: float | None) -> float | None:
        """Return a quantile, or None where the method has none, whatever is configured."""
        return quantile if self.has_quantiles else None

    def titled(self, quantile: float | None) -> str:
        """Name the method with a quantile, in print.

        Examples
        --------
        >>> METHODS["method1"].titled(0.95), METHODS["loo"].titled(None)
        ('Method 1 at quantile 0.95', 'LOO')
        """
        at = self.at(quantile)
        return self.title if at is None else f"{self.title} at quantile {at:g}"


METHODS: dict[str, Method] = {}
"""Every registered method by name; filled when `ffensembles.ensembles` is imported."""


def register(
    title: str, parameters: type[Group]
) -> Callable[[Callable[..., xr.Dataset]], Callable[..., xr.Dataset]]:
    """Register a function under its own name as a method, with its parameters."""

    def registered(find: Callable[..., xr.Dataset]) -> Callable[..., xr.Dataset]:
        METHODS[find.__name__] = Method(find.__name__, title, find, parameters)
        return find

    return registered


def find_ensembles(tree: xr.DataTree, method: str, **parameters: Any) -> xr.DataTree:
    """Find the ensembles of every layer of a run by one of the `METHODS`.

    Parameters
    ----------
    tree
        A run's activations: one group per layer. Its attributes `categories` (names of the
        classes) and `held_out` (label of the class it was trained without, or None) say which
        categories are looked for and which of them was unseen.
    method
        Name of a method.
    parameters
        That method's own.

    Returns
    -------
    xarray.DataTree
        The method's Dataset for each layer; the run's attributes, the method and its parameters.

    Raises
    ------
    ConfigError
        If there is no such method, or it cannot take these parameters.
    """
    if method not in METHODS:
        near = difflib.get_close_matches(method, METHODS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ConfigError(f"method: found {method!r}, allowed are {', '.join(METHODS)}.{hint}")
    known = {*METHODS[method].parameters.model_fields, "categories", "unseen"}
    if wrong := {*parameters} - known:
        raise ConfigError(
            f"{method}: has no {listed(sorted(wrong))}; it takes {listed(sorted(known))}."
        )
    layers = {
        name: METHODS[method].find(tree[name].to_dataset().assign_attrs(tree.attrs), **parameters)
        for name in layer_names(tree)
    }
    attrs = {**tree.attrs, "method": method, "parameters": dict(parameters)}
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=attrs), **layers})
