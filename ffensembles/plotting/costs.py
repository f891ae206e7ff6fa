"""What runs have cost: time and memory by step, data set and model."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, StrMethodFormatter

from ffensembles.analyses.costs import RULES, cost_summary
from ffensembles.plotting.captions import escape, number
from ffensembles.plotting.models import model_handles, models_in, title_of
from ffensembles.plotting.points import mean_handle, points_by_model
from ffensembles.plotting.style import FULL_WIDTH, PALE, new_figure, note, styled
from ffensembles.runtime.text import listed, plural

_TIMES = {
    0.01: "10 ms", 0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h",
    36_000: "10 h", 360_000: "100 h",
}  # fmt: skip
_TIMES_BETWEEN = {
    0.03: "30 ms", 0.3: "0.3 s", 3: "3 s", 30: "30 s", 180: "3 min", 1800: "30 min",
    10_800: "3 h", 108_000: "30 h",
}  # fmt: skip


@styled
def draw_costs(frame: pd.DataFrame, titles: Mapping[str, str] | None = None) -> Figure:
    """Draw what runs have cost: a panel of time, on a logarithmic axis, and one of memory.

    A point is a run, a bar across them the mean; steps and data sets lie one below the other.

    Parameters
    ----------
    frame
        Rows of `analyses.costs.costs`.
    titles
        How data sets are called; their keys where it says nothing.
    """
    groups = _groups(frame)
    figure = new_figure(FULL_WIDTH, 0.9 + 0.46 * max(len(groups), 2))
    # apart: the last time and the first number are neighbours
    time, memory = figure.subplots(1, 2, sharey=True, gridspec_kw={"wspace": 0.07})
    time.set_title(r"$\mathbf{A}$   Time", loc="left")
    memory.set_title(r"$\mathbf{B}$   Memory", loc="left")
    _points(time, frame, groups, "seconds")
    _points(memory, frame, groups, "max_rss")
    _time_axis(time, frame["seconds"])
    time.set_xlabel("Wall-clock time of one run (logarithmic axis)")
    memory.set_xlabel("Largest main memory of its job (MB)")
    memory.set_xlim(0, 1.08 * frame["max_rss"].max() if frame["max_rss"].notna().any() else 1)
    memory.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    memory.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    several = frame["protocol"].nunique() > 1
    names = [_name(group, titles or {}, several) for group in groups]
    time.set_yticks(range(len(groups)), names)
    time.set_ylim(len(groups) - 0.5, -0.5)
    for axes in (time, memory):
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=PALE, linewidth=0.5)
        axes.set_axisbelow(True)
    handles = [*model_handles(models_in(frame)), mean_handle(horizontal=True)]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def caption_costs(frame: pd.DataFrame, titles: Mapping[str, str] | None = None) -> str:
    """Write the caption for these runs; arguments as for `draw_costs`."""
    titles = titles or {}
    summary = cost_summary(frame)
    several = summary["protocol"].nunique() > 1
    said = []
    for (rule, dataset), rows in summary.groupby(["rule", "dataset"], sort=False):
        here = frame[(frame.rule == rule) & (frame.dataset == dataset)]
        means = listed(_means(row, here, several) for row in rows.to_dict("records"))
        said.append(
            f"{RULES[str(rule)]}, {escape(titles.get(str(dataset), str(dataset)))}: {means}."
        )
    devices, hours = [], []
    for rule, rows in frame.groupby("rule", sort=False):
        name = RULES[str(rule)].lower()
        devices.append(f"{name} on {' or on '.join(map(escape, rows['device'].unique()))}")
        hours.append(f"{name} took {rows['seconds'].sum() / 3600:.2g} h")
    missing = {
        what: int(frame[column].isna().sum())
        for what, column in (("Time", "seconds"), ("Memory", "max_rss"))
    }
    together = int(frame["runs_together"].max())
    shared = (
        f"Up to {together} runs shared a job: a time is then a run's share, memory that of all."
    )
    sentences = [
        "**What runs have cost.** Points are runs, bars means: wall-clock time from a job's start "
        "to its end, on a logarithmic axis, and the largest main memory that Snakemake saw it use; "
        "a GPU's own memory is not in it.",
        shared if together > 1 else "",
        f"Computed: {'; '.join(devices)}.",
        "Means over the runs that were measured, those without a class among them:",
        *said,
        *(f"{what} is missing for {plural(n, 'run')}." for what, n in missing.items() if n),
        f"In all that was measured, {listed(hours)}.",
    ]
    return " ".join(filter(None, sentences))


_Group = tuple[str, str, str]


def _groups(frame: pd.DataFrame) -> list[_Group]:
    """Return each protocol, stage and data set there is, in the order of the table's rows."""
    rows = cost_summary(frame)[["protocol", "rule", "dataset"]].drop_duplicates()
    return [(str(row.protocol), str(row.rule), str(row.dataset)) for row in rows.itertuples()]


def _name(group: _Group, titles: Mapping[str, str], several: bool) -> str:
    protocol, rule, dataset = group
    title = titles.get(dataset, dataset)
    return f"{RULES[rule]}\n{f'{title}, {protocol}' if several else title}"


def _means(row: Mapping[Any, Any], here: pd.DataFrame, several: bool) -> str:
    """Say a model's means, each with the number of runs that it is of."""
    own = here[(here.model == row["model"]) & (here.protocol == row["protocol"])]
    protocol = f" ({escape(row['protocol'])})" if several else ""
    quantities = (("seconds", 1, "s"), ("max_rss", 0, "MB"))
    means = [
        f"{number(row[f'{name}_mean'], digits)} {unit} (n = {own[name].count()})"
        for name, digits, unit in quantities
        if own[name].notna().any()
    ]
    return f"{title_of(row['model'])}{protocol} {' and '.join(means) or 'not measured'}"


def _points(axes: Axes, frame: pd.DataFrame, groups: list[_Group], value: str) -> None:
    """Draw the runs of each group, model by model below each other, and their means."""
    if frame[value].isna().all():
        note(axes, "not measured")
        return
    keys = frame[["protocol", "rule", "dataset"]].astype(str)
    rows = frame.assign(group=[groups.index(tuple(key)) for key in keys.to_numpy()])
    order = range(len(groups))
    points_by_model(
        axes, rows, value, "group", order, models_in(frame), size=4, bar=7, horizontal=True
    )
    for i in range(1, len(groups)):
        axes.axhline(i - 0.5, color=PALE, linewidth=0.5)


def _time_axis(axes: Axes, seconds: pd.Series) -> None:
    """Name times as one says them, from one named time to another."""
    axes.set_xscale("log")
    known, names = seconds[seconds > 0], {**_TIMES, **_TIMES_BETWEEN}
    ticks = _enclosing(sorted(names), known)
    if len(ticks) > 6:
        ticks = _enclosing(list(_TIMES), known)
    axes.set_xticks(ticks, [names[tick] for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(min([*ticks, *known]) / 1.1, max([*ticks, *known]) * 1.1)


def _enclosing(ticks: list[float], values: pd.Series) -> list[float]:
    """Return the ticks from the last below all values to the first above; at least two."""
    if values.empty:
        return ticks
    low = max([tick for tick in ticks[:-1] if tick <= values.min()], default=ticks[0])
    high = min([tick for tick in ticks if tick >= max(values.max(), 1.01 * low)], default=ticks[-1])
    return [tick for tick in ticks if low <= tick <= high]
