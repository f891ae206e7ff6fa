"""Units that the ensembles of two classes, and of every two classes, share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ffensembles.analyses.sharing import pair, shared_units
from ffensembles.ensembles import ensemble_sizes
from ffensembles.plotting.captions import (
    as_published,
    differences,
    escape,
    lost,
    mean_and_error,
    number,
    of_run,
    paragraph,
    run_title,
    spoken,
)
from ffensembles.plotting.matrix import TITLES, Measure, draw_matrix, matrix_text
from ffensembles.plotting.parameters import Example, Found
from ffensembles.plotting.pictures import activity_bar, as_square, draw_square, scale_of
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import attributes, by_method, found_in, names_of
from ffensembles.plotting.style import (
    ACCENT,
    FULL_WIDTH,
    INK,
    new_figure,
    note,
    panel,
    plain,
    side_by_side,
)
from ffensembles.runtime.keys import Field, Label, Len, Unique
from ffensembles.runtime.text import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


class Sharing(Found, Example):
    """Units that the ensembles of two classes, and of every two classes, share."""

    kind: Literal["sharing"] = Field("sharing", description="kind of figure")
    dataset: str = Field("fashionmnist", description="data set of the study's figure")
    categories: Annotated[list[Label], Len(2, 2), Unique] = Field(
        [2, 4], description="the two classes of panel A"
    )
    measure: Measure = Field("count", description="what panel B shows of two ensembles")


def needs(parameters: Sharing) -> Needs:
    """Say what the figure reads."""
    return Needs(methods=(parameters.method,), run_frames=("sharing",))


def draw(shown: Shown, parameters: Sharing) -> Figure:
    """Draw two classes' ensembles (A) and what every two ensembles share (B)."""
    tree = shown.ensembles[parameters.method]
    found, layer = found_in(shown, parameters, parameters.layer), parameters.layer
    (label,) = shown.labels.values()
    figure = new_figure(FULL_WIDTH, 4.3, run_title(attributes(tree), label))
    left, right = side_by_side(figure, 1, 1.75)
    panel(left, "A", f"Two ensembles, layer {layer}")
    panel(right, "B", f"{TITLES[parameters.measure]}, layer {layer}")
    _squares(left, found, names_of(tree), parameters.categories)
    draw_matrix(right, shared_units(found), names_of(tree), parameters.measure)
    return figure


def caption(shown: Shown, parameters: Sharing) -> str:
    """Write the caption for this run."""
    tree = shown.ensembles[parameters.method]
    names, attrs, found = (
        names_of(tree),
        attributes(tree),
        found_in(shown, parameters, parameters.layer),
    )
    (label,) = shown.labels.values()
    sizes = ensemble_sizes(found).values
    low, high = parameters.categories
    here = float(shared_units(found)["count"].values[low, high])
    one, two = (escape(spoken(names[category])) for category in (low, high))
    rows = by_method(shown.frames["sharing"], parameters.method, parameters.at)
    over_runs = mean_and_error(pair(rows, (low, high), parameters.layer)["count"])
    known = over_runs != "missing"
    published = shown.published("shared_units", attrs["dataset"], attrs["model"], parameters.layer)
    return paragraph(
        shown.figure,
        "Units that ensembles share",
        f"{of_run(attrs, label)}; ensembles by {parameters.method_title} in layer "
        f"{parameters.layer}.",
        f"*A*: mean activation of the layer's {found.sizes['neuroid']} units, arranged in a "
        f"square, for {one} and {two}; active units ({_size(sizes[low])} and "
        f"{_size(sizes[high])}) are framed, those active for both ringed.",
        "" if np.isnan(here) else f"Here they share {plural(int(here), 'unit')}.",
        f"Over runs, the two classes share {over_runs} units on average{as_published(published)}."
        if known
        else "Over runs, the number of units that the two classes share is not known.",
        f"*B*: {matrix_text(parameters.measure)}",
        f"The method's floor is {number(float(found['floor']), 1)} units."
        if "floor" in found
        else "",
        scale_of(found["mean"].values[[low, high]]).said,
        lost([name for name, size in zip(names, sizes, strict=True) if np.isnan(size)]),
        differences(shown, [attrs["model"]]),
    )


def _size(size: float) -> str:
    return "none known" if np.isnan(size) else f"{size:.0f}"


def _squares(
    part: SubFigure, found: xr.Dataset, names: Sequence[str], categories: Sequence[int]
) -> None:
    """Panel A: the two classes' mean activations; ensembles framed, shared units ringed."""
    grid = part.subplots(2, 1)
    mean, active = (found[name].values[list(categories)] for name in ("mean", "active"))
    scale = scale_of(mean)
    shared: NDArray[np.bool_] = active[0] & active[1]
    image = None
    for axes, category, values, units in zip(grid, categories, mean, active, strict=True):
        axes.set_title(plain(spoken(names[category])))
        if np.isnan(values).all():
            draw_square(axes, values, scale.limit)
            note(axes, "no correctly\nclassified image")
            continue
        image = draw_square(axes, values, scale.limit)
        _mark(axes, units & ~shared, "s", 3.6, INK, 0.5)
        _mark(axes, shared, "o", 6.5, ACCENT, 1.1)
    if image is not None:
        activity_bar(
            part, image, grid, "Mean activation", scale, location="bottom", shrink=0.9, aspect=30,
            pad=0.02,
        )  # fmt: skip


def _mark(
    axes: Axes, units: NDArray[np.bool_], marker: str, size: float, colour: str, width: float
) -> None:
    rows, columns = np.nonzero(as_square(units.astype(float)) == 1)
    axes.plot(
        columns, rows, marker, markersize=size, markerfacecolor="none", markeredgecolor=colour,
        markeredgewidth=width,
    )  # fmt: skip


register(
    "Units that ensembles share", Sharing, by_dataset=True, needs=needs, draw=draw, caption=caption
)
