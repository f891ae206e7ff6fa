"""The matrix of units that every two ensembles share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from ffensembles.plotting.style import (
    ACCENT,
    ACTIVITY,
    INK,
    PALE,
    SMALL,
    category_ticks,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

Measure = Literal["count", "jaccard"]
"""Shared units, or their Jaccard index: shared units as a share of the units in either."""

TITLES: dict[Measure, str] = {
    "count": "Units shared by two ensembles",
    "jaccard": "Jaccard index of two ensembles",
}
"""What stands above the matrix."""


def draw_matrix(
    part: Figure | SubFigure,
    shared: xr.Dataset,
    names: Sequence[str],
    measure: Measure,
    unseen: int | None = None,
) -> None:
    """Draw what every two ensembles share; the diagonal, in grey, holds the ensembles' sizes.

    Parameters
    ----------
    part
        Where to draw.
    shared
        `count` and `jaccard` (category, other), of `analyses.sharing.shared_units`.
    names
        Names of the classes.
    measure
        Which of the two.
    unseen
        Label of the class that the net was not trained on: it is framed.
    """
    from matplotlib.patches import Rectangle

    axes = part.subplots()
    own = np.eye(len(names), dtype=bool)
    count = shared["count"].values
    between = np.where(own, np.nan, shared[measure].values)
    least = 1.0 if measure == "count" else 0.1
    limit = max(least, float(np.nanmax(between))) if np.isfinite(between).any() else least
    # up to 80 % of the colours: numbers stay legible on all of them
    axes.imshow(between, cmap=ACTIVITY, vmin=0, vmax=limit / 0.8, aspect="auto")
    axes.imshow(np.where(own, 1.0, np.nan), cmap="Greys", vmin=0, vmax=6, aspect="auto")
    for i, j in np.ndindex(count.shape):
        value = count[i, j] if own[i, j] else between[i, j]
        text = f"{value:.0f}" if own[i, j] or measure == "count" else f"{value:.2f}"
        dark = not own[i, j] and between[i, j] > 0.7 * limit
        axes.text(
            j, i, "\N{EN DASH}" if np.isnan(value) else text.replace("0.", "."), ha="center",
            va="center", fontsize=SMALL, color="white" if dark else INK,
        )  # fmt: skip
    category_ticks(axes, names)
    category_ticks(axes, names, which="y")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set(visible=True, color=PALE)
    if unseen is not None:
        n = len(names)
        for corner, size in (((-0.5, unseen - 0.5), (n, 1)), ((unseen - 0.5, -0.5), (1, n))):
            axes.add_patch(
                Rectangle(
                    corner, *size, fill=False, edgecolor=ACCENT, linewidth=1.2, clip_on=False,
                    zorder=3,
                )
            )  # fmt: skip
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            labels[unseen].set(color=ACCENT, fontweight="bold")


def matrix_text(measure: Measure) -> str:
    """Say in a caption what the matrix shows."""
    said = {
        "count": "number of units in both ensembles",
        "jaccard": "Jaccard index of two ensembles, the units in both divided by the units in "
        "either (a dash where both are empty)",
    }
    return (
        f"{said[measure]}, for every two classes; the diagonal, in grey, holds the sizes of the "
        "ensembles in units."
    )
