"""One look for all figures: sizes, type, colours, and what several figures draw alike.

matplotlib and seaborn are imported inside the functions: the configuration and the Snakefile read
the registry of figures, and must not wait for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
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
PURPLE, SKY = "#CC79A7", "#56B4E9"
INK, GREY, PALE = "#262626", "#7F7F7F", "#D9D9D9"

CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY)
"""Colours of models, in the models' order."""
MARKERS = ("o", "^", "s", "D", "v")
"""Markers of models, in the models' order."""

ACCENT = VERMILION
"""What a panel points at: an unseen class, shared units, the units of one of two methods."""
ACTIVITY = "Blues"
"""Activations run from white (none) to dark blue, so that sparse patterns stand out on paper."""

FIGURE_ENDINGS = ("pdf", "png", "rst")
"""Endings of the files of a figure: for print, for the screen, its caption."""

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
"""The theme: seaborn draws under it as matplotlib does."""


def styled(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function under `STYLE` alone, whatever the user's own settings, and restore these."""

    @wraps(function)
    def under_style(*args: P.args, **kwargs: P.kwargs) -> T:
        import matplotlib.style

        with matplotlib.style.context(["default", STYLE]):
            return function(*args, **kwargs)

    return under_style


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Return an empty figure of a size in inches that lays itself out; `title` is at its top."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(plain(title), x=0.995, ha="right", fontsize=8, color=INK, weight="bold")
    return figure


def plain(text: str) -> str:
    """Return text in which matplotlib reads no mathematics."""
    return text.replace("$", r"\$")


def side_by_side(part: Figure | SubFigure, *widths: float) -> list[SubFigure]:
    """Divide a figure into parts of these relative widths, from left to right."""
    return list(part.subfigures(1, len(widths), width_ratios=widths, squeeze=False)[0])


def stacked(part: Figure | SubFigure, *heights: float) -> list[SubFigure]:
    """Divide a figure into parts of these relative heights, from top to bottom."""
    return list(part.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])


def panel(part: Figure | SubFigure, letter: str, title: str = "") -> None:
    """Head a part of a figure with its letter and what it shows."""
    part.suptitle(rf"$\mathbf{{{letter}}}$   {plain(title)}".rstrip(), x=0.005, ha="left")


def note(axes: Axes, text: str) -> None:
    """Say in an otherwise empty panel why it is empty."""
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY,
        fontsize=SMALL, style="italic",
    )  # fmt: skip


def category_ticks(
    axes: Axes, names: Sequence[str], rotate: bool | None = None, which: str = "x"
) -> None:
    """Name the classes at 0, 1, ... of an axis; long names are slanted on the x axis."""
    names = [plain(name) for name in names]
    if which == "y":
        axes.set_yticks(range(len(names)), names)
        return
    slanted = max(map(len, names), default=0) > 2 if rotate is None else rotate
    if slanted:
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks(range(len(names)), names)


def log_axis(axes: Axes, which: str = "x") -> None:
    """Make an axis logarithmic, with ticks in plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis: Any = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log"})
    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def count_axis(axes: Axes, top: float, which: str = "y") -> None:
    """Make an axis that of counts from 0: linear up to 1, logarithmic beyond, ticks in numbers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    end = 1.6 * max(top, 1)
    scale: dict[str, Any] = {"value": "symlog", "linthresh": 1, "linscale": 0.5}
    if which == "y":
        axis: Any = axes.yaxis
        axes.set_yscale(**scale)
        axes.set_ylim(-0.25, end)
    else:
        axis = axes.xaxis
        axes.set_xscale(**scale)
        axes.set_xlim(-0.25, end)
    ticks = [0, *(10**power for power in range(10) if 10**power <= end)]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
