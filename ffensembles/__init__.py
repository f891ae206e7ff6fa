"""ffensembles: emergent ensembles in networks trained with the Forward-Forward algorithm.

The science of the pipeline as an importable library. It knows nothing of workflows:
notebooks import the same functions that the workflow's scripts call.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ffensembles.store import open_activations

__version__ = "0.1.0"
__all__ = ["__version__", "open_activations"]


def __getattr__(name: str) -> Any:
    """Import what notebooks ask for only when they do: the Snakefile wants a fast import."""
    if name == "open_activations":
        from ffensembles.store import open_activations

        return open_activations
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
