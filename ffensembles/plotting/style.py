"""One look for all figures: sizes, type, colours, and what several figures draw alike."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

P = ParamSpec("P")
T = TypeVar("T")

COLUMN_WIDTH = 3.4
"""Inches; the width of one column in print."""
FULL_WIDTH = 7.0
"""Inches; the width of two columns and the space between them."""

# Okabe and Ito's palette: distinct under every common colour blindness, and in grey
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
INK, GREY, PALE = "#262626", "#7F7F7F", "#D9D9D9"

MODEL_COLOURS = {"FF": BLUE, "BPFF": ORANGE, "BP": GREEN}
MODEL_MARKERS = {"FF": "o", "BPFF": "^", "BP": "s"}

ACCENT = VERMILION
"""What a panel points at: an unseen class, shared units, an ensemble among its layer."""
ACTIVITY = "Blues"
"""Activations run from white (none) to dark blue, so that sparse patterns stand out on paper."""

SMALL = 7.0
"""Points; no letter of a figure is smaller."""

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 9,
    "figure.labelsize": 8,
    "legend.fontsize": SMALL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlepad": 3,
    "axes.labelpad": 2,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "image.interpolation": "auto",
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "pdf.fonttype": 42,  # letters stay letters: to search, copy and edit
}


def styled(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function under `STYLE` alone, whatever the user's own settings, and restore these."""

    @wraps(function)
    def under_style(*args: P.args, **kwargs: P.kwargs) -> T:
        with matplotlib.style.context(["default", STYLE]):
            return function(*args, **kwargs)

    return under_style


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches that lays itself out."""
    return Figure(figsize=(width, height), layout="constrained")


def side_by_side(part: Figure | SubFigure, *widths: float) -> list[SubFigure]:
    """Divide a figure into parts of these relative widths, from left to right."""
    return list(part.subfigures(1, len(widths), width_ratios=widths, squeeze=False)[0])


def stacked(part: Figure | SubFigure, *heights: float) -> list[SubFigure]:
    """Divide a figure into parts of these relative heights, from top to bottom."""
    return list(part.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])


def panel(part: Figure | SubFigure, letter: str, title: str = "") -> None:
    """Head a part of a figure with its letter and what it shows."""
    text = title.replace("$", r"\$")
    part.suptitle(rf"$\mathbf{{{letter}}}$   {text}".rstrip(), x=0.005, ha="left")


def note(axes: Axes, text: str) -> None:
    """Say in an otherwise empty panel why it is empty."""
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY,
        fontsize=SMALL, style="italic",
    )  # fmt: skip


def category_ticks(
    axes: Axes, names: Sequence[str], rotate: bool | None = None, which: str = "x"
) -> None:
    """Name the categories at 0, 1, ... of an axis; long names are slanted on the x axis."""
    if which == "y":
        axes.set_yticks(range(len(names)), names)
        return
    slanted = max(map(len, names), default=0) > 2 if rotate is None else rotate
    if slanted:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks(range(len(names)), names)
