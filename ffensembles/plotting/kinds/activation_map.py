"""Activations of a layer on single images, sorted by class."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import xarray as xr

from ffensembles.ensembles import matrices
from ffensembles.plotting.captions import differences, of_run, paragraph, run_title
from ffensembles.plotting.maps import draw_map, map_text
from ffensembles.plotting.parameters import Example
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import attributes, layer_of, names_of, sample_of, unseen_of
from ffensembles.plotting.style import FULL_WIDTH, new_figure
from ffensembles.runtime.keys import Count, Field
from ffensembles.runtime.text import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ActivationMap(Example):
    """Activations of a layer on single images, sorted by class."""

    kind: Literal["activation_map"] = Field("activation_map", description="kind of figure")
    layer: Count = Field(2, description="layer")


def needs(parameters: ActivationMap) -> Needs:
    """Say what the figure reads."""
    return Needs(sample=True)


def draw(shown: Shown, parameters: ActivationMap) -> Figure:
    """Draw the activation map of one layer of one run."""
    sample = sample_of(shown)
    (label,) = shown.labels.values()
    title = f"{run_title(attributes(sample), label)}, layer {parameters.layer}"
    figure = new_figure(FULL_WIDTH, 3.5, title)
    draw_map(figure, sample, parameters.layer)
    return figure


def caption(shown: Shown, parameters: ActivationMap) -> str:
    """Write the caption for this run."""
    sample = sample_of(shown)
    (label,) = shown.labels.values()
    attrs, layer = attributes(sample), layer_of(sample, parameters.layer)
    which, notes = map_text(sample, parameters.layer)
    return paragraph(
        shown.figure,
        f"Activation map of layer {parameters.layer}",
        f"{of_run(attrs, label)}.",
        f"Activations of the layer's {layer.sizes['neuroid']} units (columns; images are rows) on "
        f"{which}; darker is more active. A dark vertical stripe inside a class's band is a unit "
        "of its ensemble.",
        _strongest(layer, len(names_of(sample)), unseen_of(sample)),
        notes,
        differences(shown, [attrs["model"]]),
    )


def _strongest(layer: xr.Dataset, n_classes: int, unseen: int | None) -> str:
    """Say how many classes have the same unit as their most active one, on the images shown."""
    units = [
        int(x.mean(axis=0).argmax()) for _, x in matrices(layer, range(n_classes), unseen) if len(x)
    ]
    if len(units) < 2:
        return ""
    unit, count = Counter(units).most_common(1)[0]
    if count == 1:
        return "No two classes have the same most active unit."
    if count == len(units):
        return f"Unit {unit} is the most active on average for every class."
    different = plural(len(set(units)), "unit")
    return (
        f"Unit {unit} is the most active on average for {count} of {len(units)} classes; "
        f"all classes' most active ones are {different}."
    )


register("Activation map", ActivationMap, by_dataset=True, needs=needs, draw=draw, caption=caption)
