"""Methods 1 and 2 compared, in one class and over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ffensembles.analyses.regression import mark_ended, paired_sizes, regress, regression_band
from ffensembles.analyses.sizes import at_quantile
from ffensembles.ensembles import layer_names
from ffensembles.ensembles.method2 import Method2, largest_size
from ffensembles.models.recipe import Model
from ffensembles.plotting.captions import (
    EPSILON,
    as_published,
    differences,
    escape,
    n_of_runs,
    number,
    of_run,
    paragraph,
    run_title,
    spoken,
)
from ffensembles.plotting.models import colour_of, marker_of, model_handles, models_in, title_of
from ffensembles.plotting.pictures import unit_axis, upper_limit
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.runs import attributes, names_of, whole
from ffensembles.plotting.style import (
    ACCENT,
    FULL_WIDTH,
    GREY,
    INK,
    count_axis,
    new_figure,
    note,
    panel,
    side_by_side,
)
from ffensembles.runtime.keys import Field, Group, Quantile
from ffensembles.runtime.text import listed, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Methods(Group):
    """Methods 1 and 2 compared, in one class and over all of them."""

    kind: Literal["methods"] = Field("methods", description="kind of figure")
    dataset: str = Field("mnist", description="data set of panel A's example")
    model: Model = Field("FF", description="model of panel A's example")
    quantile: Quantile = Field(0.99, description="quantile of Method 1")


def needs(parameters: Methods) -> Needs:
    """Say what the figure reads."""
    return Needs(methods=("method1", "method2"), frames=("sizes",))


def draw(shown: Shown, parameters: Methods) -> Figure:
    """Draw one class by both methods (A), and the sizes of all ensembles by both (B)."""
    one, two = shown.ensembles["method1"], shown.ensembles["method2"]
    figure = new_figure(FULL_WIDTH, 3.7)
    left, right = side_by_side(figure, 1.15, 1)
    picked = most_different(one, two, parameters.quantile)
    if picked is None:
        panel(left, "A", "Ensembles of one class by both methods")
        note(left.subplots(), "no class has an ensemble")
    else:
        layer, category = picked
        attrs = attributes(one)
        of = f"{run_title(attrs, shown.labels[attrs['dataset']])}, layer {layer}"
        panel(left, "A", f"{of}: {spoken(names_of(one)[category])}")
        axes = left.subplots()
        _one_class(axes, *_both(one, two, layer, category, parameters.quantile))
        left.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    panel(right, "B", "Sizes of ensembles by both methods")
    axes = right.subplots()
    _all_sizes(axes, _pairs(shown, parameters), _walls(two))
    # the points leave no corner free
    lines, _ = axes.get_legend_handles_labels()
    right.legend(
        handles=[*model_handles(models_in(_pairs(shown, parameters))), *lines],
        loc="outside lower center", ncols=3, handletextpad=0.5, columnspacing=1,
    )  # fmt: skip
    return figure


def caption(shown: Shown, parameters: Methods) -> str:
    """Write the caption for these runs."""
    one, two = shown.ensembles["method1"], shown.ensembles["method2"]
    attrs = attributes(one)
    epsilon = two[layer_names(two)[0]].attrs["epsilon"]
    pairs = _pairs(shown, parameters)
    fit = regress(pairs).iloc[0]
    runs = pairs.groupby(["dataset", "model"])["seed"].nunique()
    models = models_in(pairs)
    titles = listed(escape(label.title) for name, label in shown.labels.items()
                    if name in set(pairs["dataset"]))  # fmt: skip
    line = (
        f"slope {number(fit.slope)} (95 % interval {number(fit.slope_low)} to "
        f"{number(fit.slope_high)})"
        f"{as_published(shown.published('regression_slope', None, None, None))}, "
        f"intercept {number(fit.intercept)} units ({number(fit.intercept_low)} to "
        f"{number(fit.intercept_high)})"
        f"{as_published(shown.published('regression_intercept', None, None, None))}"
        + (f", r = {number(fit.r)}" if np.isfinite(fit.r) else "")
    )
    missing = (
        f" ({int(fit.n_missing):,} more are missing, their class being lost)"
        if fit.n_missing
        else ""
    )
    return paragraph(
        shown.figure,
        "Methods 1 and 2 compared",
        f"Method 1 at quantile {parameters.quantile:g}, Method 2 with radius {EPSILON} = "
        f"{epsilon:g}.",
        _example(shown, parameters, attrs),
        f"*B*: sizes of ensembles by both methods, one point per run, layer and class: "
        f"{listed(title_of(m) for m in models)} on {titles}, {n_of_runs(runs, shown.study)} "
        f"per model and data set, {int(fit.n + fit.n_ended):,} ensembles{missing}. The axes are "
        "linear up to 1 and logarithmic beyond.",
        _at_wall(int(fit.n_ended), _walls(two), pairs["size2"]),
        f"Dashed: linear regression{' of the others' if fit.n_ended else ''} with the 95 % "
        f"confidence band of its mean, curved on these axes; {line}. Grey: bisector."
        if np.isfinite(fit.slope)
        else "The sizes leave no line to fit. Grey: bisector.",
        differences(shown, models),
    )


def most_different(
    method1: xr.DataTree, method2: xr.DataTree, quantile: float
) -> tuple[int, int] | None:
    """Return layer and class where most units are active by one method only.

    The first of several, by layer and then by class; None if every class is lost.
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
    """Return a class's mean activations and its active units by Method 1 and by Method 2."""
    name, where = f"layer{layer}", {"category": category}
    one = at_quantile(method1[name].to_dataset(), quantile).isel(where)
    two = method2[name].to_dataset().isel(where)
    return one["mean"].values, one["active"].values, two["active"].values


def _pairs(shown: Shown, parameters: Methods) -> pd.DataFrame:
    found = _parameters(shown.ensembles["method2"]["layer1"].attrs)
    rows = mark_ended(whole(shown.frames["sizes"]), found.model_dump())
    return paired_sizes(rows[rows.dataset.isin(list(shown.labels))], parameters.quantile)


def _example(shown: Shown, parameters: Methods, attrs: dict[str, Any]) -> str:
    """Describe panel A."""
    methods = shown.ensembles["method1"], shown.ensembles["method2"]
    picked = most_different(*methods, parameters.quantile)
    if picked is None:
        return "*A*: no class has an ensemble."
    layer, category = picked
    _, one, two = _both(*methods, layer, category, parameters.quantile)
    name = escape(spoken(names_of(methods[0])[category]))
    return (
        f"*A*: mean activation of each unit of layer {layer} for {name}, "
        f"{of_run(attrs, shown.labels[attrs['dataset']])}; stars mark the "
        f"{plural(int(one.sum()), 'active unit')} by Method 1, circles the {int(two.sum())} by "
        f"Method 2; both find {int((one & two).sum())}. Of all classes and layers of this run, it "
        "is the one where most units are active by one method only."
    )


def _walls(method2: xr.DataTree) -> list[int]:
    """Return the sizes at which Method 2's cut in rank ends ensembles; none of a gap."""
    layers = [method2[name] for name in layer_names(method2)]
    found = [(layer.sizes["neuroid"], _parameters(layer.attrs)) for layer in layers]
    ends = {largest_size(n, of.cut, of.max_n_h) for n, of in found}
    return sorted(int(end) for end in ends if np.isfinite(end))


def _parameters(attrs: Mapping[Any, Any]) -> Method2:
    """Return what a layer's ensembles were found with; a store may be older than a parameter."""
    known = Method2.model_fields.keys() & attrs.keys()
    return Method2(**{key: attrs[key] for key in known})


def _at_wall(cut: int, walls: list[int], sizes: pd.Series) -> str:
    """Say how many ensembles Method 2's cut in rank ends, and how many are larger by ties."""
    if not walls:
        return "Method 2 cuts at the widest gap of its diagram, which limits no size."
    units = listed(map(str, walls))
    end = (
        f"{plural(cut, 'ensemble')} that {'ends' if cut == 1 else 'end'} there may be larger"
        if cut
        else "no ensemble ends there"
    )
    return (
        f"Method 2's cut in rank ends ensembles at {units} units (dotted line): a property of the "
        f"cut, not of the nets; {end}.{_by_ties(int((sizes > max(walls)).sum()))}"
    )


def _by_ties(larger: int) -> str:
    return (
        f" {plural(larger, 'ensemble')} with units of equal rank there lie beyond."
        if larger
        else ""
    )


def _one_class(
    axes: Axes, mean: NDArray[np.floating], one: NDArray[np.bool_], two: NDArray[np.bool_]
) -> None:
    """Panel A: the mean activation of each unit, marked by the method that calls it active."""
    units, limit = np.arange(mean.size), upper_limit(mean)
    many = max(one.sum(), two.sum()) > 30
    # where no unit is active the layout would make room for a marker in the figure's corner
    marks: dict[str, Any] = {"clip_on": False, "in_layout": False}
    axes.vlines(units, 0, mean, color="#8C9BA8", linewidth=0.6)
    axes.plot(
        units[one], mean[one], "*", markersize=4.5 if many else 6, color=ACCENT, markeredgewidth=0,
        label=f"Method 1 ({one.sum()})", zorder=4, **marks,
    )  # fmt: skip
    axes.plot(
        units[two], mean[two], "o", markersize=5 if many else 8, markerfacecolor="none",
        markeredgecolor=INK, markeredgewidth=0.6 if many else 0.9, label=f"Method 2 ({two.sum()})",
        zorder=3, **marks,
    )  # fmt: skip
    unit_axis(axes, mean.size)
    axes.set_ylim(0, 1.03 * limit)
    axes.set_xlabel("Unit")
    axes.set_ylabel("Mean activation (a.u.)")


def _all_sizes(axes: Axes, pairs: pd.DataFrame, walls: list[int]) -> None:
    """Panel B: every ensemble's sizes, the regression with its band, bisector and wall."""
    import seaborn as sns

    known = pairs.dropna(subset=["size1", "size2"])
    models = models_in(known)
    if models:
        sns.scatterplot(
            known.assign(name=known.model.map(title_of)), x="size2", y="size1", hue="name",
            style="name", palette={title_of(m): colour_of(m) for m in models},
            markers={title_of(m): marker_of(m) for m in models}, s=9, alpha=0.5, linewidth=0,
            hue_order=[title_of(m) for m in models], style_order=[title_of(m) for m in models],
            ax=axes, rasterized=len(known) > 1000, legend=False,
        )  # fmt: skip
    largest = float(known[["size1", "size2"]].max().max()) if len(known) else 1.0
    end = max([largest, *walls])
    at = np.concatenate([np.linspace(0, 1, 20), np.geomspace(1.01, 1.5 * end, 200)])
    axes.plot(at, at, color=GREY, linewidth=2, alpha=0.5, zorder=1, label="bisector")
    band = regression_band(pairs, at).dropna()
    if len(band):
        band = band.clip(lower=0)
        axes.fill_between(band["size2"], band["low"], band["high"], color=INK, alpha=0.15, lw=0)
        axes.plot(
            band["size2"], band["line"], color=INK, linewidth=1, linestyle=(0, (4, 2)),
            label="regression",
        )  # fmt: skip
    _draw_walls(axes, walls)
    count_axis(axes, end)
    count_axis(axes, end, which="x")
    axes.set_aspect("equal")
    axes.set_xlabel("Active units by Method 2")
    axes.set_ylabel("Active units by Method 1")


def _draw_walls(axes: Axes, walls: list[int]) -> None:
    for i, wall in enumerate(walls):
        axes.axvline(
            wall, color=INK, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=1,
            label="Method 2's cut" if i == 0 else None,
        )  # fmt: skip


register(
    "Methods 1 and 2 compared", Methods, by_dataset=False, needs=needs, draw=draw, caption=caption
)
