"""Figure 8: Methods 1 and 2 side by side, in one class and over all of them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ffensembles.analyses.regression import paired_sizes, regress, regression_band
from ffensembles.analyses.sizes import at_quantile
from ffensembles.ensembles import layer_names
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.plotting.activity import activation_unit, unit_axis, upper_limit
from ffensembles.plotting.captions import (
    EPSILON,
    DatasetLabel,
    differences,
    escape,
    listed,
    number,
    of_run,
    paragraph,
    spoken,
)
from ffensembles.plotting.runs import attributes, models_in, names_of, whole
from ffensembles.plotting.style import (
    ACCENT,
    FULL_WIDTH,
    GREY,
    INK,
    MODEL_COLOURS,
    MODEL_MARKERS,
    new_figure,
    note,
    panel,
    side_by_side,
    styled,
)
from ffensembles.publication.numbers import PROTOCOL, published
from ffensembles.runtime.text import plural


@styled
def figure8(
    method1: xr.DataTree,
    method2: xr.DataTree,
    sizes: pd.DataFrame,
    labels: Mapping[str, DatasetLabel],
    *,
    quantile: float = 0.99,
) -> Figure:
    """Draw figure 8.

    Parameters
    ----------
    method1, method2
        Ensembles of one run by both methods; panel A shows the class of `most_different`.
    sizes
        Rows of `analyses.sizes.sizes_frame` of all runs and both methods, with their keys.
    labels
        The data sets of panel B.
    quantile
        Method 1's quantile in both panels.
    """
    figure = new_figure(FULL_WIDTH, 3.4)
    left, right = side_by_side(figure, 1.15, 1)
    picked = most_different(method1, method2, quantile)
    if picked is None:
        panel(left, "A", "Ensembles of one class by both methods")
        note(left.subplots(), "no class has an ensemble")
    else:
        layer, category = picked
        name = spoken(names_of(method1)[category])
        panel(left, "A", f"One class by both methods: {name}, layer {layer}")
        _one_class(left.subplots(), *_both(method1, method2, layer, category, quantile))
    panel(right, "B", "Sizes of ensembles by both methods")
    axes = right.subplots()
    _all_sizes(axes, _pairs(sizes, labels, quantile))
    # the points leave no corner free
    right.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, handletextpad=0.5
    )
    return figure


def caption8(
    method1: xr.DataTree,
    method2: xr.DataTree,
    sizes: pd.DataFrame,
    labels: Mapping[str, DatasetLabel],
    *,
    quantile: float = 0.99,
) -> str:
    """Write figure 8's caption for these runs."""
    attrs, names = attributes(method1), names_of(method1)
    cut = method2[layer_names(method2)[0]].attrs
    methods = (
        f"Method 1 at quantile {quantile:g}, Method 2 with radius {EPSILON} = {cut['epsilon']:g}"
    )
    picked = most_different(method1, method2, quantile)
    example = "*A*: no class has an ensemble."
    if picked is not None:
        layer, category = picked
        _, one, two = _both(method1, method2, layer, category, quantile)
        example = (
            f"*A*: mean activation of each unit of layer {layer} for "
            f"{escape(spoken(names[category]))}, {of_run(attrs, labels[attrs['dataset']])}; stars "
            f"mark the {plural(int(one.sum()), 'active unit')} by Method 1, circles the "
            f"{int(two.sum())} by Method 2; both find {int((one & two).sum())}. Of "
            "all classes and layers of this run, it is the one where most units are active by one "
            "method only."
        )
    pairs = _pairs(sizes, labels, quantile)
    fit = regress(pairs).iloc[0]
    runs = pairs.groupby(["dataset", "model"])["seed"].nunique()
    n_runs = (
        plural(runs.max(), "run") if runs.nunique() == 1 else f"{runs.min()} to {runs.max()} runs"
    )
    titles = listed(escape(labels[name].title) for name in labels if name in set(pairs["dataset"]))
    models = models_in(pairs)
    line = (
        f"slope {number(fit.slope)} ({number(fit.slope_low)} to {number(fit.slope_high)}), "
        f"intercept {number(fit.intercept)} units ({number(fit.intercept_low)} to "
        f"{number(fit.intercept_high)})" + (f", r = {number(fit.r)}" if np.isfinite(fit.r) else "")
    )
    return paragraph(
        8,
        "Methods 1 and 2 compared",
        f"{methods}.",
        example,
        f"*B*: sizes of ensembles by both methods, one point per run, layer and class: "
        f"{listed(MODEL_TITLES[m] for m in models)} on {titles}, {n_runs} each, "
        f"{int(fit.n):,} ensembles"
        + (
            f" ({int(fit.n_missing):,} more are missing, their class being lost)."
            if fit.n_missing
            else "."
        ),
        _at_cut(pairs, method2),
        f"Dashed: linear regression with the 95 % confidence band of its mean, {line}"
        f"{_study(quantile, cut['epsilon'], attrs['protocol'])}; grey: bisector."
        if np.isfinite(fit.slope)
        else "The sizes leave no line to fit. Grey: bisector.",
        differences(labels, models, attrs["protocol"], ["mnist", "fashionmnist"]),
    )


def most_different(
    method1: xr.DataTree, method2: xr.DataTree, quantile: float
) -> tuple[int, int] | None:
    """Return layer and category where most units are active by one method only.

    The first of several, by layer and then by category; None if every category is lost.
    """
    best, picked = -1, None
    for layer in range(1, len(layer_names(method1)) + 1):
        for category in range(len(names_of(method1))):
            mean, one, two = _both(method1, method2, layer, category, quantile)
            different = int((one ^ two).sum())
            if different > best and np.isfinite(mean).all():
                best, picked = different, (layer, category)
    return picked


def _both(
    method1: xr.DataTree, method2: xr.DataTree, layer: int, category: int, quantile: float
) -> tuple[NDArray[np.floating], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return a category's mean activations and its active units by Method 1 and by Method 2."""
    name, where = f"layer{layer}", {"category": category}
    one = at_quantile(method1[name].to_dataset(), quantile).isel(where)
    two = method2[name].to_dataset().isel(where)
    return one["mean"].values, one["active"].values, two["active"].values


def _pairs(
    sizes: pd.DataFrame, labels: Mapping[str, DatasetLabel], quantile: float
) -> pd.DataFrame:
    rows = whole(sizes)
    return paired_sizes(rows[rows.dataset.isin(list(labels))], quantile)


def _at_cut(pairs: pd.DataFrame, method2: xr.DataTree) -> str:
    """Say how many ensembles Method 2's cut in rank ends, which makes a wall in panel B."""
    largest = {
        layer: int(method2[name].attrs["n_h_cut"]) + 1
        for layer, name in enumerate(layer_names(method2), 1)
    }
    cut = int((pairs["size2"] == pairs["layer"].map(largest)).sum())
    if not cut:
        return ""
    units = listed(str(size) for size in sorted(set(largest.values())))
    return (
        f"{plural(cut, 'ensemble')} of {units} units by Method 2 may be larger, its cut in rank "
        "letting no more in."
    )


def _study(quantile: float, epsilon: float, protocol: str) -> str:
    slope, intercept = published("regression_slope"), published("regression_intercept")
    if protocol != PROTOCOL or slope is None or intercept is None:
        return ""
    same = np.isclose(quantile, 0.99) and np.isclose(epsilon, 0.2)
    at = "" if same else ", at quantile 0.99 and " + EPSILON + " = 0.2"
    return f" (the study: slope {slope.value:g}, intercept {intercept.value:g}{at})"


def _one_class(
    axes: Axes, mean: NDArray[np.floating], one: NDArray[np.bool_], two: NDArray[np.bool_]
) -> None:
    """Panel A: the mean activation of each unit, marked by the method that calls it active."""
    units, limit = np.arange(mean.size), upper_limit(mean)
    many = max(one.sum(), two.sum()) > 30
    axes.vlines(units, 0, mean, color="#8C9BA8", linewidth=0.6)
    axes.plot(
        units[one], mean[one], "*", markersize=4.5 if many else 6, color=ACCENT, markeredgewidth=0,
        label=f"Method 1 ({one.sum()})", zorder=4,
    )  # fmt: skip
    axes.plot(
        units[two], mean[two], "o", markersize=5 if many else 8, markerfacecolor="none",
        markeredgecolor=INK, markeredgewidth=0.6 if many else 0.9, label=f"Method 2 ({two.sum()})",
        zorder=3,
    )  # fmt: skip
    unit_axis(axes, mean.size)
    axes.set_ylim(0, limit * 1.25)
    axes.set_xlabel("Neuroid (index)")
    axes.set_ylabel(f"Mean activation {activation_unit(limit)}")
    axes.legend(loc="upper right", ncols=2, columnspacing=1, handletextpad=0.3)


def _all_sizes(axes: Axes, pairs: pd.DataFrame) -> None:
    """Panel B: every ensemble's sizes, the regression with its band, and the bisector."""
    known = pairs.dropna(subset=["size1", "size2"])
    for model in models_in(known):
        here = known[known.model == model]
        axes.plot(
            here["size2"], here["size1"], MODEL_MARKERS[model], color=MODEL_COLOURS[model],
            markersize=2.8, markeredgewidth=0, alpha=0.6, label=MODEL_TITLES[model],
            rasterized=len(here) > 1000,
        )  # fmt: skip
    end = 1.05 * max(1.0, float(known[["size1", "size2"]].max().max())) if len(known) else 1.0
    axes.plot([0, end], [0, end], color=GREY, linewidth=2, alpha=0.5, zorder=1, label="Bisector")
    band = regression_band(pairs, np.linspace(0, end, 100)).dropna()
    if len(band):
        axes.fill_between(band["size2"], band["low"], band["high"], color=INK, alpha=0.15, lw=0)
        axes.plot(
            band["size2"], band["line"], color=INK, linewidth=1, linestyle=(0, (4, 2)),
            label="Regression",
        )  # fmt: skip
    axes.set_xlim(-0.02 * end, end)
    axes.set_ylim(-0.02 * end, end)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlabel("Active units by Method 2")
    axes.set_ylabel("Active units by Method 1")
