"""Activation patterns of images, mean activations of classes, activation map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ffensembles.ensembles import ensemble_sizes, layer_names
from ffensembles.plotting.captions import (
    differences,
    escape,
    mean_and_error,
    number,
    of_run,
    paragraph,
    run_title,
    spoken,
)
from ffensembles.plotting.maps import draw_map, map_text
from ffensembles.plotting.parameters import Example, Found
from ffensembles.plotting.pictures import (
    activity_bar,
    draw_means,
    draw_square,
    scale_of,
    upper_limit,
)
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import attributes, found_in, layer_of, names_of, sample_of
from ffensembles.plotting.style import (
    FULL_WIDTH,
    SMALL,
    new_figure,
    note,
    panel,
    plain,
    side_by_side,
    stacked,
)
from ffensembles.runtime.keys import Field
from ffensembles.runtime.text import listed, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

EXAMPLES = 4
"""Classes of panel A."""


class Activity(Found, Example):
    """Activation patterns of images, mean activations of classes, activation map."""

    kind: Literal["activity"] = Field("activity", description="kind of figure")


def needs(parameters: Activity) -> Needs:
    """Say what the figure reads."""
    return Needs(sample=True, methods=(parameters.method,))


def draw(shown: Shown, parameters: Activity) -> Figure:
    """Draw patterns (A), mean activations (B) and an activation map (C) of one run."""
    sample, layer = sample_of(shown), parameters.layer
    (label,) = shown.labels.values()
    figure = new_figure(FULL_WIDTH, 7.4, run_title(attributes(sample), label))
    top, bottom = stacked(figure, 1.22, 1)
    left, right = side_by_side(top, 1, 1.15)
    panel(left, "A", "Activation of each unit, for one image")
    panel(right, "B", f"Mean activation by class, layer {layer}")
    panel(bottom, "C", f"Activation on single images, layer {layer}")
    _patterns(left, sample, examples(sample))
    _means(right, found_in(shown, parameters, parameters.layer), names_of(sample))
    draw_map(bottom, sample, layer)
    return figure


def caption(shown: Shown, parameters: Activity) -> str:
    """Write the caption for this run."""
    sample, layer = sample_of(shown), parameters.layer
    (label,) = shown.labels.values()
    names, attrs, found = (
        names_of(sample),
        attributes(sample),
        found_in(shown, parameters, parameters.layer),
    )
    picked = examples(sample)
    which, notes = map_text(sample, layer)
    return paragraph(
        shown.figure,
        "Activation patterns of a trained network",
        f"{of_run(attrs, label)}.",
        f"*A*: response of every hidden layer to one image each of "
        f"{listed(escape(spoken(names[c])) for c in picked)}, units arranged in a square; darker "
        "is more active. Each image is the one nearest to its class's mean activation."
        if picked
        else "*A*: no image is classified correctly.",
        f"*B*: mean activation of the {found.sizes['neuroid']} units of layer {layer}, by class; "
        f"the ensemble that {parameters.method_title} finds is blue, with a dot above each unit: "
        f"{_sizes(found)}{_floor(found)}.",
        f"*C*: layer {layer}'s activations on {which}.",
        notes,
        differences(shown, [attrs["model"]]),
    )


def examples(sample: xr.DataTree) -> dict[int, int]:
    """Return the place of the example image of each class of panel A among the presentations."""
    layer = layer_of(sample, 1)
    places = np.flatnonzero(layer["example"].values)
    labels = layer["label"].values[places].tolist()
    return dict(list(zip(labels, places.tolist(), strict=True))[:EXAMPLES])


def _sizes(found: xr.Dataset) -> str:
    sizes = ensemble_sizes(found).values
    known = sizes[np.isfinite(sizes)]
    if not known.size:
        return "no class has one"
    ends = sorted({int(known.min()), int(known.max())})
    if len(ends) == 1:
        return f"{plural(ends[0], 'unit')} for every class"
    mean = mean_and_error(known, 1).split(" ")[0]
    return f"{ends[0]} to {ends[1]} units, {mean} on average over classes"


def _floor(found: xr.Dataset) -> str:
    if "floor" not in found:
        return ""
    floor = number(float(found["floor"]), 1)
    return f" (the method's floor, where activations do not depend on the image, is {floor})"


def _patterns(part: SubFigure, sample: xr.DataTree, picked: Mapping[int, int]) -> None:
    """Panel A: one row for each example, one column for each layer."""
    names, layers = names_of(sample), layer_names(sample)
    if not picked:
        axes = part.subplots()
        axes.set_axis_off()
        note(axes, "no image is classified correctly")
        return
    grid = part.subplots(len(picked), len(layers), squeeze=False)
    patterns = [[_pattern(sample, name, place) for name in layers] for place in picked.values()]
    scale = scale_of(*(x for row in patterns for x in row))
    for row, category, values in zip(grid, picked, patterns, strict=True):
        row[0].set_ylabel(plain(spoken(names[category])))
        for axes, x in zip(row, values, strict=True):
            image = draw_square(axes, x, scale.limit)
    for axes, name in zip(grid[0], layers, strict=True):
        axes.set_title(name.replace("layer", "Layer "))
    activity_bar(
        part, image, grid, "Activation", scale, location="bottom", shrink=0.6, aspect=30, pad=0.02
    )


def _pattern(sample: xr.DataTree, layer: str, place: int) -> NDArray[np.float32]:
    return sample[layer].to_dataset()["activation"].isel(presentation=place).values


def _means(part: SubFigure, found: xr.Dataset, names: Sequence[str]) -> None:
    """Panel B: one small panel for each class."""
    columns = 2 if len(names) > 3 else 1
    rows = -(-len(names) // columns)
    grid = part.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    mean, active = found["mean"].values, found["active"].values
    limit = upper_limit(mean)
    # down the columns, as one reads a list
    for i, axes in enumerate(grid.T.flat):
        if i >= len(names):
            axes.set_axis_off()
            continue
        name = plain(spoken(names[i]))
        if found["n_presentations"].values[i]:
            draw_means(axes, mean[i], active[i], limit)
            name = f"{name}: {plural(int(active[i].sum()), 'unit')}"
        else:
            note(axes, "no correct image")
        axes.set_title(name, fontsize=SMALL, pad=3)
    part.supxlabel("Unit")
    part.supylabel("Mean activation (a.u.)")


register("Activation patterns", Activity, by_dataset=True, needs=needs, draw=draw, caption=caption)
