"""Data sets: a registry, and one way to load any of them.

To add one, write an `Entry` in `registry`; for a format not yet read, add a module with
`load(entry, split, folder, seed)` that returns images (n, C, H, W) of uint8 and labels (n,).
"""

from ffensembles.datasets.registry import DATASETS, Entry

__all__ = ["DATASETS", "Entry", "Split", "fetch", "load"]


def __getattr__(name: str) -> object:
    """Import what needs NumPy and more only when it is asked for."""
    if name in ("Split", "fetch", "load"):
        from ffensembles.datasets import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
