"""How figures show a model: its title, colour, marker and place among the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.plotting.style import CYCLE, MARKERS

if TYPE_CHECKING:
    from matplotlib.lines import Line2D


def title_of(model: str) -> str:
    """Return a model's name in print.

    Examples
    --------
    >>> title_of("BPFF"), title_of("another")
    ('BP/FF', 'another')
    """
    return MODEL_TITLES.get(model, model)


def in_order(models: Iterable[str]) -> list[str]:
    """Put models in the study's order, unknown ones last by name.

    Examples
    --------
    >>> in_order(["BP", "another", "FF"])
    ['FF', 'BP', 'another']
    """
    known = list(MODEL_TITLES)
    return sorted(set(models), key=lambda m: (known.index(m) if m in known else len(known), m))


def models_in(frame: pd.DataFrame) -> list[str]:
    """Return the models of a frame in the study's order."""
    return in_order(map(str, frame["model"].unique()))


def colour_of(model: str) -> str:
    """Return a model's colour, the same in every figure."""
    return CYCLE[_place(model) % len(CYCLE)]


def marker_of(model: str) -> str:
    """Return a model's marker, the same in every figure."""
    return MARKERS[_place(model) % len(MARKERS)]


def model_handles(models: Iterable[str]) -> list[Line2D]:
    """Return a legend's entries for models, as points."""
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], linestyle="", marker=marker_of(model), markersize=4, color=colour_of(model),
               label=title_of(model))
        for model in in_order(models)
    ]  # fmt: skip


def _place(model: str) -> int:
    known = list(MODEL_TITLES)
    return known.index(model) if model in known else len(known) + sum(map(ord, model))
