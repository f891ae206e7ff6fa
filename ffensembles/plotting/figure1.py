"""Figure 1: activation patterns of examples, mean activations of classes, map of all images."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from ffensembles.analyses.sizes import at_quantile
from ffensembles.ensembles import ensemble_sizes, layer_names, matrices
from ffensembles.plotting.activation_map import draw_map, drawn, sorted_map
from ffensembles.plotting.activity import (
    activation_unit,
    activity_bar,
    draw_means,
    draw_square,
    frame,
    upper_limit,
)
from ffensembles.plotting.captions import (
    DatasetLabel,
    differences,
    escape,
    listed,
    lost,
    mean_and_error,
    number,
    of_run,
    paragraph,
    spoken,
)
from ffensembles.plotting.runs import attributes, layer_of, names_of
from ffensembles.plotting.style import (
    FULL_WIDTH,
    SMALL,
    new_figure,
    note,
    panel,
    side_by_side,
    stacked,
    styled,
)

EXAMPLES = 4

Images = Mapping[int, NDArray[np.generic]]


def example_ids(activations: xr.DataTree, examples: Sequence[int] | None = None) -> dict[int, int]:
    """Pick the example of each category that panel A shows, as category: stimulus_id.

    The example is the correctly classified image whose activations in all layers lie nearest to
    the category's mean, so that it stands for its category. Without `examples` they are the
    first four categories that have one.
    """
    categories = range(len(names_of(activations)))
    layers = [layer_of(activations, i + 1) for i in range(len(layer_names(activations)))]
    wanted = categories if examples is None else examples
    picked: dict[int, int] = {}
    for category in wanted:
        if examples is None and len(picked) == EXAMPLES:
            break
        rows = _rows(layers[0], category)
        if not rows.size:
            continue
        distance = np.zeros(rows.size)
        for layer in layers:
            _, x = next(matrices(layer, [category]))
            distance += ((x - x.mean(axis=0)) ** 2).sum(axis=1)
        picked[category] = int(layers[0]["stimulus_id"].values[rows[distance.argmin()]])
    return picked


@styled
def figure1(
    activations: xr.DataTree,
    method1: xr.DataTree,
    *,
    quantile: float = 0.9,
    layer: int = 1,
    examples: Sequence[int] | None = None,
    images: Images | None = None,
) -> Figure:
    """Draw figure 1.

    Parameters
    ----------
    activations, method1
        Activations of one run, and its ensembles by Method 1.
    quantile
        Method 1's quantile in panel B.
    layer
        Layer of panels B and C.
    examples
        Categories of panel A; None for the first four that have a correctly classified image.
    images
        The example images by stimulus_id, (height, width) or (channels, height, width), to show
        beside their activations (see `example_ids`).
    """
    figure = new_figure(FULL_WIDTH, 7.2)
    top, bottom = stacked(figure, 1.22, 1)
    left, right = side_by_side(top, 1, 1.05)
    panel(left, "A", "Activation of each unit, for one image")
    panel(right, "B", f"Mean activation by class, layer {layer}")
    panel(bottom, "C", f"Activation on all correctly classified images, layer {layer}")
    _patterns(left, activations, example_ids(activations, examples), images)
    _means(right, at_quantile(layer_of(method1, layer), quantile), names_of(activations))
    axes = bottom.subplots()
    image = draw_map(axes, layer_of(activations, layer), names_of(activations))
    activity_bar(bottom, image, axes, "Activation", pad=0.01, aspect=25)
    return figure


def caption1(
    activations: xr.DataTree,
    method1: xr.DataTree,
    label: DatasetLabel,
    *,
    quantile: float = 0.9,
    layer: int = 1,
    examples: Sequence[int] | None = None,
) -> str:
    """Write figure 1's caption for this run."""
    names, attrs = names_of(activations), attributes(activations)
    found = at_quantile(layer_of(method1, layer), quantile)
    shown = sorted_map(layer_of(activations, layer), len(names))
    picked = example_ids(activations, examples)
    sizes = ensemble_sizes(found).values
    known = sizes[np.isfinite(sizes)]
    units = found.sizes["neuroid"]
    ends = (
        sorted({number(size) for size in (known.min(), known.max())}, key=float)
        if known.size
        else ["no"]
    )
    return paragraph(
        1,
        "Activation patterns of a trained network",
        f"{of_run(attrs, label)}.",
        f"*A*: response of every hidden layer to one image each of "
        f"{listed(escape(spoken(names[c])) for c in picked)}, units arranged in a square; darker "
        "is more active. Each image is the one nearest to its class's mean activation.",
        f"*B*: mean activation of the {units} units of layer {layer}, by class; dots mark the "
        f"ensemble that Method 1 finds at quantile {quantile:g}: {' to '.join(ends)} units, "
        f"{mean_and_error(known, 1).split(' ')[0]} on average over classes (the method's floor, "
        f"where activations do not depend on the image, is {number((1 - quantile) * units, 1)}).",
        f"*C*: layer {layer}'s activations on the {sum(shown.counts):,} correctly classified test "
        f"images, sorted by class{drawn(shown, names)}.",
        lost([name for name, count in zip(names, shown.counts, strict=True) if not count]),
        differences({attrs["dataset"]: label}, [attrs["model"]], attrs["protocol"], ["mnist"]),
    )


def _rows(layer: xr.Dataset, category: int) -> NDArray[np.intp]:
    return np.flatnonzero((layer["label"].values == category) & layer["correct"].values)


def _patterns(
    part: SubFigure, activations: xr.DataTree, picked: Mapping[int, int], images: Images | None
) -> None:
    """Panel A: one row per example, one column per layer, the image itself before them."""
    names = names_of(activations)
    titles = [name.replace("layer", "Layer ") for name in layer_names(activations)]
    if not picked:
        axes = part.subplots()
        axes.set_axis_off()
        note(axes, "no image is classified correctly")
        return
    first = 0 if images is None else 1
    grid = part.subplots(len(picked), len(titles) + first, squeeze=False)
    patterns = [
        [_pattern(activations, k + 1, stimulus) for k in range(len(titles))]
        for stimulus in picked.values()
    ]
    limit = upper_limit(*(x for row in patterns for x in row))
    for row, (category, stimulus) in enumerate(picked.items()):
        grid[row, 0].set_ylabel(spoken(names[category]))
        if images is not None:
            _picture(grid[row, 0], images[stimulus])
        for axes, values in zip(grid[row, first:], patterns[row], strict=True):
            image = draw_square(axes, values, limit)
    for axes, title in zip(grid[0], ["Input"] * first + titles, strict=True):
        axes.set_title(title)
    activity_bar(
        part, image, grid, "Activation", location="bottom", shrink=0.6, aspect=30, pad=0.02
    )


def _pattern(activations: xr.DataTree, layer: int, stimulus: int) -> NDArray[np.float32]:
    dataset = layer_of(activations, layer)
    row = int(np.flatnonzero(dataset["stimulus_id"].values == stimulus)[0])
    return dataset["activation"].isel(presentation=row).values


def _picture(axes: Axes, image: NDArray[np.generic]) -> None:
    """Show an image, grey or in colour, whose channels come first."""
    if image.ndim == 3:
        image = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    axes.imshow(image, cmap="gray", interpolation="nearest")
    frame(axes)


def _means(part: SubFigure, found: xr.Dataset, names: Sequence[str]) -> None:
    """Panel B: one small panel per class."""
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
        if found["n_presentations"].values[i]:
            draw_means(axes, mean[i], active[i], limit)
        else:
            note(axes, "no correct image")
        axes.set_title(spoken(names[i]), fontsize=SMALL, pad=2)
    part.supxlabel("Neuroid (index)")
    part.supylabel(f"Mean activation {activation_unit(limit)}")
