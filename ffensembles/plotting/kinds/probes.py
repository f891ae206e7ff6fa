"""How well linear probes find a class that the net was never trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pandas as pd

from ffensembles.plotting.captions import escape, mean_and_error, paragraph, spoken
from ffensembles.plotting.models import colour_of, marker_of, models_in, title_of
from ffensembles.plotting.points import mean_handle, points_by_model
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.style import (
    FULL_WIDTH,
    GREY,
    INK,
    SMALL,
    new_figure,
    plain,
)
from ffensembles.runtime.keys import Field, Group
from ffensembles.runtime.text import listed, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Score = Literal["balanced_accuracy", "auc"]

_TITLES: dict[str, str] = {"balanced_accuracy": "balanced accuracy", "auc": "area under the curve"}
_PIXELS, _UNTRAINED = "pixels", "untrained"
_GUESS = 0.5


class Probes(Group):
    """Linear probes of the class left out, and of the classes that the net has seen."""

    kind: Literal["probes"] = Field("probes", description="kind of figure")
    score: Score = Field(
        "balanced_accuracy", description="what is shown of a probe; a guess gives one half"
    )


def needs(parameters: Probes) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("probes",))


def draw(shown: Shown, parameters: Probes) -> Figure:
    """Draw the scores of the unseen class (A) and of the seen ones (B) by layer, for each run."""
    rows = _rows(shown, parameters)
    models = models_in(rows[rows.net == "trained"])
    looks = {name: (colour_of(name), marker_of(name)) for name in models}
    looks |= {_UNTRAINED: (GREY, "D"), _PIXELS: (INK, "s")}
    order = [_PIXELS, *models, _UNTRAINED]
    figure = new_figure(FULL_WIDTH, 0.5 + 2.1 * len(shown.labels))
    grid = figure.subplots(len(shown.labels), 2, sharey=True, squeeze=False)
    for line, (dataset, label) in zip(grid, shown.labels.items(), strict=True):
        here = rows[rows.dataset == dataset]
        layers = sorted(map(int, here["layer"].unique()))
        for axes, unseen, letter in zip(line, (True, False), "AB", strict=True):
            of = "unseen class" if unseen else "seen classes"
            part = here[here.unseen == unseen]
            points_by_model(axes, part, "score", "layer", layers, order, looks=looks, bar=7)
            _axes(axes, layers)
            axes.set_title(rf"$\mathbf{{{letter}}}$   {plain(label.title)}, {of}", loc="left")
            runs = part[part.net == "trained"].groupby(["model", "held_out", "seed"]).ngroups
            axes.set_xlabel(f"({plural(runs, 'run')})", fontsize=SMALL)
        line[0].set_ylabel(_TITLES[parameters.score].capitalize())
    _legend(figure, order, looks)
    return figure


def caption(shown: Shown, parameters: Probes) -> str:
    """Write the caption for these runs."""
    rows = _rows(shown, parameters)
    said = []
    for dataset, label in shown.labels.items():
        here = rows[rows.dataset == dataset]
        left_out = sorted(here["held_out"].dropna().unique())
        names = listed(escape(spoken(label.categories[int(one)])) for one in left_out)
        for model in models_in(here[here.net == "trained"]):
            parts = [
                _part(here[(here.net == net) & (here.owner.eq(model) | (net == _PIXELS))], net)
                for net in (_PIXELS, "trained", _UNTRAINED)
            ]
            said.append(
                f"{title_of(model)} on {escape(label.title)} without {names}, the unseen class: "
                f"{'; '.join(filter(None, parts))}."
            )
    images = rows["n_presentations"].max() if len(rows) else 0
    return paragraph(
        shown.figure,
        "Linear probes of an unseen class",
        f"The {_TITLES[parameters.score]} of linear probes (ridge regression, cross-validated in "
        f"{rows['folds'].max() if len(rows) else 0} folds over {images:,} test images) that tell "
        "one class from all others, from representations of images without a lit label pixel: "
        "points are runs, bars their means. *A*: the class that the net was trained without; "
        "*B*: the mean over the classes that it has seen. Beside the trained nets stand the "
        "pixels, which are the same for every run, and the same nets before training. A guess "
        "gives one half, dashed.",
        f"With labels shuffled over the images: {listed(map(_null_of, _panels(rows)))}."
        if len(rows)
        else "There are no runs.",
        *said,
    )


def _panels(rows: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """Return the letter of each panel, and its scores with shuffled labels."""
    return [(letter, rows[rows.unseen == of]["null"]) for letter, of in (("A", True), ("B", False))]


def _null_of(panel: tuple[str, pd.Series]) -> str:
    letter, null = panel
    return f"{null.mean():.3f} on average in *{letter}* ({null.min():.3f} to {null.max():.3f})"


def _part(rows: pd.DataFrame, net: str) -> str:
    if rows.empty:
        return ""
    unseen = rows[rows.unseen]
    names = {_PIXELS: "pixels", "trained": "trained net", _UNTRAINED: "untrained net"}
    by_layer = [
        f"{'' if net == _PIXELS else f'layer {layer} '}"
        f"{mean_and_error(group['score'], 3, count=net != _PIXELS)}"
        for layer, group in unseen.groupby("layer")
    ]
    return f"{names[net]} {', '.join(by_layer)}"


def _rows(shown: Shown, parameters: Probes) -> pd.DataFrame:
    """Return one row for each run, net, layer and kind of class, in `model` what is drawn alike."""
    frame = shown.frames["probes"]
    frame = frame[frame.dataset.isin(list(shown.labels))]
    by = [
        "protocol", "dataset", "model", "held_out", "seed", "net", "layer", "unseen",
        "n_presentations", "folds",
    ]  # fmt: skip
    named = {"score": parameters.score, "null": f"null_{parameters.score}"}
    rows = frame.groupby(by, sort=False, as_index=False).agg(
        **{name: (column, "mean") for name, column in named.items()}
    )
    rows = rows.assign(owner=rows["model"])
    # those of the pixels are the same for every run, however many measured them
    same = rows.duplicated(["dataset", "held_out", "net", "unseen", "score", "null"])
    rows = rows[~((rows["net"] == _PIXELS) & same)]
    alone = rows["net"].isin([_PIXELS, _UNTRAINED])
    return rows.assign(model=rows["model"].where(~alone, rows["net"]))


def _axes(axes: Axes, layers: list[int]) -> None:
    names = ["pixels" if layer == 0 else f"layer {layer}" for layer in layers]
    axes.set_xticks(range(len(layers)), names)
    axes.axhline(_GUESS, color=GREY, linewidth=0.6, linestyle="--", zorder=0)
    axes.set_ylim(0.4, 1.02)
    axes.set_xlim(-0.6, len(layers) - 0.4)


def _legend(figure: Figure, order: list[str], looks: dict[str, tuple[str, str]]) -> None:
    from matplotlib.lines import Line2D

    titles = {_PIXELS: "pixels", _UNTRAINED: "untrained nets"}
    handles = [
        Line2D([], [], linestyle="", marker=looks[name][1], markersize=4, color=looks[name][0],
               label=titles.get(name, title_of(name)))
        for name in order
    ]  # fmt: skip
    handles.append(mean_handle())
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


register(
    "Linear probes of an unseen class", Probes, by_dataset=False, needs=needs, draw=draw,
    caption=caption,
)  # fmt: skip
