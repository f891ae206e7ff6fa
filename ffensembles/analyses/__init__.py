"""The study's analyses: labelled arrays or tidy frames in, tidy frames out. One file an analysis.

No analysis knows how the nets were trained: none imports torch. Tidy frames carry the columns of
`tidy.RUN_KEYS` first, so that the frames of many runs can be put one below the other and averaged
over runs (`tidy.over_seeds`). A frame that is measured on one run is registered with `run_frame`;
it is then measured for every run and put together across runs without anything else to write.
"""

import importlib
import pkgutil

from ffensembles.analyses.registry import RUN_FRAMES, RunFrame, RunResults

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["RUN_FRAMES", "RunFrame", "RunResults"]
