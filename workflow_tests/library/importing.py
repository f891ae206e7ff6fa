"""What a piece of code brings along, in a process of its own."""

import subprocess
import sys
from collections.abc import Sequence

from workplace import ROOT


def brought_along(code: str, modules: Sequence[str]) -> list[str]:
    """Run statements; return which of some modules are loaded after them."""
    asked = f"import sys; {code}; print(*(m for m in {[*modules]} if m in sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return found.stdout.split()
