"""Data sets: a registry, and one way to load any of them.

To add one, write an `Entry` in `entries`. For a format not yet read, add a module with
`load(entry, split, folder, seed)` that returns images (n, C, H, W) of uint8 and labels (n,).
"""

from ffensembles.datasets.entry import Entry
from ffensembles.datasets.registry import DATASETS

__all__ = ["DATASETS", "Entry"]
