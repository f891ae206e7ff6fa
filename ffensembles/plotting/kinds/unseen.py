"""Response to a class that was left out of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from pydantic import model_validator
from pydantic_core import PydanticCustomError

from ffensembles.analyses.sharing import shared_units
from ffensembles.plotting.captions import (
    EPSILON,
    N_H,
    RHO,
    as_published,
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
from ffensembles.plotting.matrix import TITLES, draw_matrix, matrix_text
from ffensembles.plotting.parameters import Example, Found, MethodName
from ffensembles.plotting.pictures import draw_means, upper_limit
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import (
    attributes,
    by_method,
    found_in,
    names_of,
    sample_of,
    unseen_of,
)
from ffensembles.plotting.style import (
    BLUE,
    FULL_WIDTH,
    GREY,
    PALE,
    count_axis,
    log_axis,
    new_figure,
    panel,
    side_by_side,
    stacked,
)
from ffensembles.runtime.keys import Field, Label
from ffensembles.runtime.text import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Unseen(Found, Example):
    """Response to a class that was left out of training."""

    kind: Literal["unseen"] = Field("unseen", description="kind of figure")
    dataset: str = Field("fashionmnist", description="data set of the study's figure")
    method: MethodName = Field("method2", description="method that finds ensembles")
    held_out: Label = Field(0, description="the class left out")
    panel: Literal["diagram", "sharing"] = Field("diagram", description="what panel C shows")

    @model_validator(mode="after")
    def _has_a_diagram(self) -> Unseen:
        if self.panel == "diagram" and self.method != "method2":
            text = (
                f"panel: found 'diagram', which is of method2, beside method {self.method!r}; "
                "allowed: panel 'sharing', or method 'method2'"
            )
            raise PydanticCustomError("problem", "{text}", {"text": text})
        return self


def needs(parameters: Unseen) -> Needs:
    """Say what the figure reads."""
    return Needs(sample=True, methods=(parameters.method,), run_frames=("unseen",))


def draw(shown: Shown, parameters: Unseen) -> Figure:
    """Draw a map (A), the unseen class's mean activations (B), and its ensemble's place (C)."""
    sample, layer = sample_of(shown), parameters.layer
    unseen, names = _unseen(sample), names_of(sample)
    (label,) = shown.labels.values()
    found = found_in(shown, parameters, parameters.layer)
    one = found.sel(category=unseen)
    figure = new_figure(FULL_WIDTH, 6.4, run_title(attributes(sample), label))
    top, bottom = stacked(figure, 1, 1)
    left, right = side_by_side(bottom, 1, 1)
    panel(top, "A", f"Activation on single images, layer {layer}")
    panel(left, "B", f"Mean activation, {spoken(names[unseen])} (unseen)")
    draw_map(top, sample, layer)
    mean, active = one["mean"].values, one["active"].values
    axes = left.subplots()
    limit = upper_limit(mean)
    draw_means(axes, mean, active, limit, size=3)
    axes.set_xlabel("Unit")
    axes.set_ylabel("Mean activation (a.u.)")
    if parameters.panel == "diagram":
        panel(right, "C", "Decision diagram of Method 2")
        _diagram(right.subplots(), one, found.attrs)
    else:
        panel(right, "C", TITLES["count"])
        draw_matrix(right, shared_units(found), names, "count", unseen)
    return figure


def caption(shown: Shown, parameters: Unseen) -> str:
    """Write the caption for this run."""
    sample = sample_of(shown)
    held_out, names, attrs = _unseen(sample), names_of(sample), attributes(sample)
    name, found = escape(spoken(names[held_out])), found_in(shown, parameters, parameters.layer)
    one = found.sel(category=held_out)
    which, notes = map_text(sample, parameters.layer)
    rows = by_method(shown.frames["unseen"], parameters.method, parameters.at)
    rows = rows[rows.layer == parameters.layer]
    here = rows[rows.seed == attrs["seed"]]
    activity = {
        unseen: number(float(here[here.unseen == unseen]["activity"].mean()))
        for unseen in (True, False)
    }
    diagram = parameters.panel == "diagram"
    (label,) = shown.labels.values()
    return paragraph(
        shown.figure,
        "Response to a class left out of training",
        f"{of_run(attrs, label)}, layer {parameters.layer}.",
        f"*A*: activations on {which}.",
        notes,
        f"*B*: mean activation of the {found.sizes['neuroid']} units on {name}; the "
        f"ensemble that {parameters.method_title} finds "
        f"({plural(int(one['active'].sum()), 'unit')}) is blue, with a dot above each unit.",
        _diagram_text(one, found.attrs) if diagram else f"*C*: {matrix_text('count')}",
        "" if diagram else f"{name[0].upper()}{name[1:]} is framed.",
        f"Mean activity of active units in this run: {activity[True]} for the unseen class"
        f"{_published(shown, attrs, 'unseen_activity')}, {activity[False]} for the others"
        f"{_published(shown, attrs, 'seen_activity')}.",
        f"Over runs: {_over_runs(rows, True)} for the unseen class"
        f"{_published(shown, attrs, 'unseen_size')}, {_over_runs(rows, False)} for each other.",
        differences(shown, [attrs["model"]]),
    )


def _unseen(tree: xr.DataTree) -> int:
    held_out = unseen_of(tree)
    if held_out is None:
        raise ValueError("held_out: found None; the figure shows a run that left a class out.")
    return held_out


def _published(shown: Shown, attrs: dict[str, Any], quantity: str) -> str:
    return as_published(shown.published(quantity, attrs["dataset"], attrs["model"], None))


def _over_runs(rows: pd.DataFrame, unseen: bool) -> str:
    per_run = rows[rows.unseen == unseen].groupby("seed")
    size, activity = (mean_and_error(per_run[name].mean()) for name in ("size", "activity"))
    return f"{size} units with activity {activity}"


def _diagram_text(one: xr.Dataset, cut: dict[Any, Any]) -> str:
    """Describe the decision diagram, and say why no unit is active where that is the reason."""
    mean = one["mean"].values
    why = ""
    if not one["active"].any() and float(np.ptp(mean)) <= cut["epsilon"]:
        why = (
            f" There is none since the highest mean, {number(float(mean.max()))}, is within "
            f"{EPSILON} of the lowest, so that around each unit lie all the others."
        )
    return (
        f"*C*: density {RHO} of units around each unit's mean activation (radius {EPSILON} = "
        f"{cut['epsilon']:g}), on a logarithmic axis, and number {N_H} of units with a higher one, "
        "on an axis that is linear up to 1 and logarithmic beyond. The ensemble is blue; the "
        f"shaded area is the cut ({_cut_text(one, cut)}), which is this project's choice: the "
        f"study's is not published.{why}"
    )


def _cut_text(one: xr.Dataset, cut: dict[Any, Any]) -> str:
    if cut["cut"] == "box":
        sides = number(cut["rho_cut"], 0), number(cut["n_h_cut"], 0)
        return f"{RHO} at most {sides[0]}, {N_H} at most {sides[1]}"
    if np.isnan(one["gap"]):
        return "the widest gap between units; here there is none"
    return (
        f"the widest gap between units, {number(float(one['gap']))} of the layer's from the corner"
    )


def _area(one: xr.Dataset, cut: dict[Any, Any]) -> tuple[NDArray[np.floating], ...]:
    """Return the border of the cut, densities and ranks from the left end to the lower one."""
    n = one.sizes["neuroid"]
    if cut["cut"] == "box":
        rho, n_h = cut["rho_cut"], cut["n_h_cut"]
        return np.array([0, rho, rho]), np.array([n_h, n_h, 0])
    angle = np.linspace(np.pi / 2, 0, 200)
    gap = float(np.nan_to_num(one["gap"]))
    rho, n_h = gap * np.cos(angle) * n / (2 * cut["epsilon"]), gap * np.sin(angle) * n
    return rho, np.minimum(n_h, n / 2)


def _diagram(axes: Axes, one: xr.Dataset, cut: dict[Any, Any]) -> None:
    """Panel C: every unit by its density and its rank; the ensemble in the low corner."""
    from matplotlib.patches import Polygon

    rho, n_h, active = (one[name].values for name in ("rho", "n_h", "active"))
    border = _area(one, cut)
    lowest = 1 / (2 * cut["epsilon"])  # no other unit within the radius
    log_axis(axes)
    axes.set_xlim(0.7 * lowest, 1.4 * max(*border[0], *rho[np.isfinite(rho)]))
    count_axis(axes, rho.size)
    left, bottom = axes.get_xlim()[0], axes.get_ylim()[0]
    axes.add_patch(
        Polygon(
            [
                (left, bottom),
                *np.maximum(np.stack(border, 1), (left, bottom)),
                (border[0][-1], bottom),
            ],
            facecolor=PALE,
            edgecolor=GREY, linewidth=0.8, linestyle=(0, (4, 2)), alpha=0.45, zorder=0,
            label="cut",
        )
    )  # fmt: skip
    axes.plot(
        rho[~active], n_h[~active], "o", color=GREY, markersize=2, markeredgewidth=0,
        label=f"other units ({(~active).sum()})", alpha=0.6,
    )  # fmt: skip
    axes.plot(
        rho[active], n_h[active], "o", color=BLUE, markersize=4, markeredgewidth=0,
        label=f"ensemble ({active.sum()})", alpha=0.8,
    )  # fmt: skip
    figure: Any = axes.figure
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3,
                  columnspacing=1, handlelength=1.2)  # fmt: skip
    axes.set_xlabel(r"Density $\rho$ (units per a.u. of activation)")
    axes.set_ylabel(r"Units with a higher mean, $n_h$")


register(
    "Response to an unseen class", Unseen, by_dataset=True, needs=needs, draw=draw, caption=caption
)
