"""Figure 4: what a class evokes that the network never saw in training."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ffensembles.plotting.activation_map import draw_map, drawn, sorted_map
from ffensembles.plotting.activity import (
    activation_unit,
    activity_bar,
    draw_means,
    upper_limit,
)
from ffensembles.plotting.captions import (
    EPSILON,
    N_H,
    RHO,
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
    BLUE,
    FULL_WIDTH,
    GREY,
    new_figure,
    panel,
    side_by_side,
    stacked,
    styled,
)
from ffensembles.publication.numbers import published
from ffensembles.runtime.text import plural


@styled
def figure4(activations: xr.DataTree, method2: xr.DataTree, *, layer: int = 1) -> Figure:
    """Draw figure 4.

    Parameters
    ----------
    activations, method2
        Activations of one run that left a class out (attribute `held_out`), and its ensembles by
        Method 2.
    layer
        The layer to show.
    """
    unseen, names = _unseen(activations), names_of(activations)
    found = layer_of(method2, layer)
    one = found.sel(category=unseen)
    figure = new_figure(FULL_WIDTH, 5.6)
    top, bottom = stacked(figure, 1.25, 1)
    left, right = side_by_side(bottom, 1.5, 1)
    panel(
        top, "A", f"Activation on images of the seen classes and of the unseen one, layer {layer}"
    )
    panel(left, "B", f"Mean activation, {spoken(names[unseen])} (unseen)")
    panel(right, "C", "Decision diagram of Method 2")
    axes = top.subplots()
    image = draw_map(axes, layer_of(activations, layer), names, unseen)
    activity_bar(top, image, axes, "Activation", pad=0.01, aspect=25)
    mean, active = one["mean"].values, one["active"].values
    axes = left.subplots()
    limit = upper_limit(mean)
    draw_means(axes, mean, active, limit, size=4.5)
    axes.set_xlabel("Neuroid (index)")
    axes.set_ylabel(f"Mean activation {activation_unit(limit)}")
    _diagram(right.subplots(), one, found.attrs)
    return figure


def caption4(
    activations: xr.DataTree,
    method2: xr.DataTree,
    unseen: pd.DataFrame,
    label: DatasetLabel,
    *,
    layer: int = 1,
) -> str:
    """Write figure 4's caption for this run; `unseen` holds `unseen_frame` of all runs."""
    held_out, names, attrs = _unseen(activations), names_of(activations), attributes(activations)
    name = escape(spoken(names[held_out]))
    found = layer_of(method2, layer)
    one = found.sel(category=held_out)
    shown = sorted_map(layer_of(activations, layer), len(names), held_out)
    size = int(one["active"].sum())
    rows = like(unseen, attrs)
    rows = rows[(rows.method == "method2") & (rows.layer == layer)]
    here = rows[rows.seed == attrs["seed"]]
    activity = {
        is_unseen: number(float(here[here.unseen == is_unseen]["activity"].mean()))
        for is_unseen in (True, False)
    }
    per_run = {
        (is_unseen, name): mean_and_error(
            rows[rows.unseen == is_unseen].groupby("seed")[name].mean()
        )
        for is_unseen in (True, False)
        for name in ("size", "activity")
    }
    cut = found.attrs
    return paragraph(
        4,
        "Response to a class left out of training",
        f"{of_run(attrs, label)}, layer {layer}.",
        f"*A*: activations on the correctly classified test images of the classes seen in training "
        f"and on all {shown.counts[held_out]:,} test images of {name} (framed)"
        f"{drawn(shown, names)}.",
        f"*B*: mean activation of the {found.sizes['neuroid']} units on {name}; dots mark the "
        f"{plural(size, 'unit')} that Method 2 calls active (radius {EPSILON} = "
        f"{cut['epsilon']:g}).",
        _no_unit(one, cut["epsilon"]),
        f"*C*: density {RHO} of units around each unit's mean activation, and number {N_H} of "
        "units with a higher one; dots mark the ensemble, the dashed lines the cut "
        f"({RHO} at most {number(cut['rho_cut'], 0)}, {N_H} at most {number(cut['n_h_cut'], 0)}), "
        "which is this project's choice, the study's being unpublished.",
        f"Mean activity of active units in this run: {activity[True]} for the unseen class, "
        f"{activity[False]} for the others{_study(attrs, held_out)}. Over runs: "
        f"{per_run[True, 'size']} units with activity {per_run[True, 'activity']} for the unseen "
        f"class, {per_run[False, 'size']} units with activity {per_run[False, 'activity']} for "
        "each other.",
        lost([name for name, count in zip(names, shown.counts, strict=True) if not count]),
        differences(
            {attrs["dataset"]: label}, [attrs["model"]], attrs["protocol"], ["fashionmnist"]
        ),
    )


def _no_unit(one: xr.Dataset, epsilon: float) -> str:
    """Say why no unit is active, where that is because the means lie too close together."""
    mean = one["mean"].values
    spread = float(np.ptp(mean))
    if one["active"].any() or not spread <= epsilon:
        return ""
    return (
        f"There is none since the highest mean, {number(float(mean.max()))}, is within the radius "
        "of the lowest, so that around each unit lie all the others."
    )


def _study(attrs: dict, held_out: int) -> str:
    numbers = [
        published(name, attrs["dataset"], attrs["model"], None, attrs["protocol"])
        for name in ("unseen_size", "unseen_activity", "seen_activity")
    ]
    size, unseen, seen = numbers
    if size is None or unseen is None or seen is None or held_out != 0:
        return ""
    return f" (the study: {unseen.value:g}, with {size.value:g} active unit, and {seen.value:g})"


def _unseen(tree: xr.DataTree) -> int:
    held_out = tree.attrs.get("held_out")
    if held_out is None:
        raise ValueError("held_out: found None; figure 4 shows a run that left a class out.")
    return int(held_out)


def _diagram(axes: Axes, one: xr.Dataset, cut: dict) -> None:
    """Panel C: every unit by its density and its rank; the ensemble in the low corner."""
    rho, n_h, active = (one[name].values for name in ("rho", "n_h", "active"))
    axes.plot(
        rho[~active], n_h[~active], "o", color=GREY, markersize=2, markeredgewidth=0,
        label=f"other units ({(~active).sum()})",
    )  # fmt: skip
    axes.plot(
        rho[active], n_h[active], "o", color=BLUE, markersize=4.5, markeredgewidth=0,
        label=f"ensemble ({active.sum()})",
    )  # fmt: skip
    axes.plot(
        [0, cut["rho_cut"], cut["rho_cut"]], [cut["n_h_cut"], cut["n_h_cut"], 0], color=GREY,
        linewidth=0.8, linestyle=(0, (4, 2)), zorder=0, label="cut",
    )  # fmt: skip
    widest = max(cut["rho_cut"], *rho[np.isfinite(rho)])
    axes.set_xlim(-0.04 * widest, 1.05 * widest)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0.97), handlelength=1.4)
    axes.set_ylim(-0.04 * rho.size, rho.size)
    axes.set_xlabel(r"Density $\rho$ (units per a.u. of activation)")
    axes.set_ylabel(r"Units with a higher mean, $n_h$")
