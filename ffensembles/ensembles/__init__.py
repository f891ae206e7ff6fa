"""Ensembles: the few units of a layer that respond to one class. One file a method.

A method is a function with its parameters beside it, registered under the name that
configuration, paths and tables use. It takes a layer, an xarray Dataset with `activation`
(presentation, neuroid) and the coordinates `label` and, where it is known, `correct` on
presentation, and returns a Dataset over (category, neuroid), Method 1's `active` over (quantile,
category, neuroid), with at least

* `active` (bool): whether the unit belongs to the class's ensemble;
* `mean`: the unit's mean activation over the class's presentations, ``<x>``;
* `n_presentations` (category): how many presentations that rests on.

Only correctly classified presentations count (Tosato et al. 2023, sec. 3.4). A class without
one is *lost*: it has 0 presentations, NaN in place of every number, no active unit, and a missing
size (`ensemble_sizes`). That is not the same as an empty ensemble.

To add a method, write its module in this folder, with one `@register` line, and give its
parameters in `config.yaml`. `check_method` tests what every method must fulfil.
"""

import importlib
import pkgutil

from ffensembles.ensembles.checks import check_method
from ffensembles.ensembles.common import ensemble_sizes
from ffensembles.ensembles.registry import METHODS, find_ensembles
from ffensembles.representations.layers import layer_names, matrices

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "METHODS",
    "check_method",
    "ensemble_sizes",
    "find_ensembles",
    "layer_names",
    "matrices",
]
