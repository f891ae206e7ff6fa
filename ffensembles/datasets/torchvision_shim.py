"""torchvision's data sets, also beside a CPU-only torch.

PyPI's torchvision is linked against CUDA's torch; beside another build its import fails for want
of two operators that no data set needs. On that error alone they are declared, without any
implementation, and the import is tried again. Where the plain import works nothing is done.
"""

import importlib
import sys
from types import ModuleType

_declared: list[object] = []  # the declaration lasts as long as this reference


def torchvision_datasets() -> ModuleType:
    """Import `torchvision.datasets`."""
    try:
        return importlib.import_module("torchvision.datasets")
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
    import torch

    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declared.append(library)
    return importlib.import_module("torchvision.datasets")
