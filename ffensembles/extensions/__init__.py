"""What the study left for others: one extension a module of `kinds`, each measured on trained runs.

An extension is registered by `registry.extension`. The rules of `rules/extensions.smk` measure it
on every run trained on all classes, put the runs together, and make its table and figure for each
edition. `runs` opens what a run left behind; `results` turns a frame across runs into estimates
over runs beside their control, the table and the paragraph of `page`. Modules that need torch are
imported by the functions that measure, so that the configuration and the Snakefile do not load it.
"""

from ffensembles.extensions import kinds
from ffensembles.extensions.registry import EXTENSIONS, Extension, extension

__all__ = ["EXTENSIONS", "Extension", "extension", "kinds"]
