"""ffensembles: emergent ensembles in networks trained with the Forward-Forward algorithm.

The public names, for notebooks: each is defined in the package of its stage, and imported when it
is first asked for. So a job that needs a single package does not wait for the others.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ffensembles.runtime.version import __version__

if TYPE_CHECKING:
    from ffensembles.analyses.load import TrainedRun, load_run
    from ffensembles.ensembles import METHODS, check_method, ensemble_sizes, find_ensembles
    from ffensembles.ensembles.loo import loo
    from ffensembles.ensembles.method1 import method1
    from ffensembles.ensembles.method2 import method2
    from ffensembles.representations.store import open_activations, open_tree

__all__ = [
    "METHODS",
    "TrainedRun",
    "__version__",
    "check_method",
    "ensemble_sizes",
    "find_ensembles",
    "load_run",
    "loo",
    "method1",
    "method2",
    "open_activations",
    "open_tree",
]

_DEFINED_IN = {
    "METHODS": "ensembles",
    "TrainedRun": "analyses.load",
    "check_method": "ensembles",
    "ensemble_sizes": "ensembles",
    "find_ensembles": "ensembles",
    "load_run": "analyses.load",
    "loo": "ensembles.loo",
    "method1": "ensembles.method1",
    "method2": "ensembles.method2",
    "open_activations": "representations.store",
    "open_tree": "representations.store",
}


def __getattr__(name: str) -> Any:
    if name not in _DEFINED_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_DEFINED_IN[name]}"), name)


def __dir__() -> list[str]:
    return __all__
