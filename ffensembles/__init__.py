"""ffensembles: emergent ensembles in networks trained with the Forward-Forward algorithm.

The public names, for notebooks: each is defined in the room of its stage.
"""

from ffensembles.analyses.load import TrainedRun, load_run
from ffensembles.ensembles import METHODS, check_method, ensemble_sizes, find_ensembles
from ffensembles.ensembles.loo import loo
from ffensembles.ensembles.method1 import method1
from ffensembles.ensembles.method2 import method2
from ffensembles.representations.store import open_activations, open_tree
from ffensembles.runtime.version import __version__

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
