"""Figure 3: units that the ensembles of two classes, and of every two classes, share."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from ffensembles.analyses.sharing import pair, shared_units
from ffensembles.analyses.sizes import at_quantile
from ffensembles.ensembles import ensemble_sizes
from ffensembles.plotting.activity import activity_bar, as_square, draw_square, upper_limit
from ffensembles.plotting.captions import (
    DatasetLabel,
    differences,
    escape,
    lost,
    mean_and_error,
    number,
    of_run,
    paragraph,
    spoken,
)
from ffensembles.plotting.runs import attributes, layer_of, like, names_of
from ffensembles.plotting.style import (
    ACCENT,
    ACTIVITY,
    FULL_WIDTH,
    INK,
    PALE,
    SMALL,
    category_ticks,
    new_figure,
    note,
    panel,
    side_by_side,
    styled,
)
from ffensembles.publication.numbers import published
from ffensembles.runtime.text import plural


@styled
def figure3(
    method1: xr.DataTree,
    *,
    quantile: float = 0.9,
    categories: tuple[int, int] = (2, 4),
    layer: int = 1,
) -> Figure:
    """Draw figure 3.

    Parameters
    ----------
    method1
        Ensembles of one run by Method 1.
    quantile
        Method 1's quantile.
    categories
        The two classes of panel A.
    layer
        The layer of both panels.
    """
    names, found = names_of(method1), at_quantile(layer_of(method1, layer), quantile)
    figure = new_figure(FULL_WIDTH, 3.1)
    left, right = side_by_side(figure, 1.3, 1)
    panel(left, "A", f"Ensembles of two classes, layer {layer}")
    panel(right, "B", f"Units shared by two ensembles, layer {layer}")
    _squares(left, found, names, categories)
    _matrix(right.subplots(), shared_units(found)["count"].values, names)
    return figure


def caption3(
    method1: xr.DataTree,
    sharing: pd.DataFrame,
    label: DatasetLabel,
    *,
    quantile: float = 0.9,
    categories: tuple[int, int] = (2, 4),
    layer: int = 1,
) -> str:
    """Write figure 3's caption for this run; `sharing` holds the shared units of all runs."""
    names, attrs = names_of(method1), attributes(method1)
    found = at_quantile(layer_of(method1, layer), quantile)
    sizes = ensemble_sizes(found).values
    here = shared_units(found)["count"].values[categories]
    one, two = (escape(spoken(names[category])) for category in categories)
    rows = like(sharing, attrs)
    rows = rows[(rows.method == "method1") & np.isclose(rows["quantile"].astype(float), quantile)]
    over_runs = mean_and_error(pair(rows, categories, layer)["count"])
    over_runs = "an unknown number" if over_runs == "missing" else f"{over_runs} units on average"
    study = published("shared_units", attrs["dataset"], attrs["model"], layer, attrs["protocol"])
    same = study is not None and np.isclose(quantile, 0.9) and set(categories) == {2, 4}
    printed = f" (the study: {study.value:g} over 15 runs)" if study and same else ""
    shares = "" if np.isnan(here) else f" Here they share {plural(int(here), 'unit')}."
    shown = {attrs["dataset"]: label}
    return paragraph(
        3,
        "Units that ensembles share",
        f"{of_run(attrs, label)}; ensembles by Method 1 at quantile {quantile:g} in layer {layer}.",
        f"*A*: mean activation of the layer's {found.sizes['neuroid']} units, arranged in a "
        f"square, for {one} and {two}; active units ({_size(sizes[categories[0]])} and "
        f"{_size(sizes[categories[1]])}) are framed, those active for both ringed.{shares} "
        f"Over runs, the two classes share {over_runs}{printed}.",
        f"*B*: number of units in both ensembles, for every two classes; the diagonal, in grey, "
        f"holds the sizes of the ensembles. The method's floor is "
        f"{number((1 - quantile) * found.sizes['neuroid'], 1)} units.",
        lost([name for name, size in zip(names, sizes, strict=True) if np.isnan(size)]),
        differences(shown, [attrs["model"]], attrs["protocol"], ["fashionmnist"]),
    )


def _size(size: float) -> str:
    return "none known" if np.isnan(size) else f"{size:.0f}"


def _squares(
    part: SubFigure, found: xr.Dataset, names: Sequence[str], categories: tuple[int, int]
) -> None:
    """Panel A: the two classes' mean activations; ensembles framed, shared units ringed."""
    grid = part.subplots(1, 2)
    mean, active = (found[name].values[list(categories)] for name in ("mean", "active"))
    limit = upper_limit(mean)
    shared: NDArray[np.bool_] = active[0] & active[1]
    image = None
    for axes, category, values, units in zip(grid, categories, mean, active, strict=True):
        axes.set_title(spoken(names[category]))
        if np.isnan(values).all():
            draw_square(axes, values, limit)
            note(axes, "no correctly\nclassified image")
            continue
        image = draw_square(axes, values, limit)
        _mark(axes, units & ~shared, "s", 3.6, INK, 0.5)
        _mark(axes, shared, "o", 6.5, ACCENT, 1.1)
    if image is not None:
        activity_bar(
            part, image, grid, "Mean activation", location="bottom", shrink=0.7, aspect=30, pad=0.03
        )


def _mark(
    axes: Axes, units: NDArray[np.bool_], marker: str, size: float, colour: str, width: float
) -> None:
    rows, columns = np.nonzero(as_square(units.astype(float)) == 1)
    axes.plot(
        columns, rows, marker, markersize=size, markerfacecolor="none", markeredgecolor=colour,
        markeredgewidth=width,
    )  # fmt: skip


def _matrix(axes: Axes, count: NDArray[np.floating], names: Sequence[str]) -> None:
    """Panel B: counts for every two classes; their own sizes on the diagonal, off the scale."""
    own = np.eye(len(names), dtype=bool)
    between = np.where(own, np.nan, count)
    limit = max(1.0, float(np.nanmax(between))) if np.isfinite(between).any() else 1.0
    # up to 80 % of the colours: numbers stay legible on all of them
    axes.imshow(between, cmap=ACTIVITY, vmin=0, vmax=limit / 0.8)
    axes.imshow(np.where(own, 1.0, np.nan), cmap="Greys", vmin=0, vmax=6)
    for i, j in np.ndindex(count.shape):
        missing = np.isnan(count[i, j])
        dark = not own[i, j] and between[i, j] > 0.7 * limit
        axes.text(
            j, i, "\N{EN DASH}" if missing else f"{count[i, j]:.0f}", ha="center", va="center",
            fontsize=SMALL, color="white" if dark else INK,
        )  # fmt: skip
    category_ticks(axes, names)
    category_ticks(axes, names, which="y")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set(visible=True, color=PALE)
