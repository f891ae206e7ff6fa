"""How alike the representations of models, layers and seeds are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ffensembles.analyses.rsa import rsa_summary
from ffensembles.plotting.captions import escape, paragraph
from ffensembles.plotting.models import models_in, title_of
from ffensembles.plotting.registry import Needs, Shown, register
from ffensembles.plotting.style import (
    FULL_WIDTH,
    INK,
    PALE,
    SMALL,
    new_figure,
    panel,
    plain,
    side_by_side,
    stacked,
)
from ffensembles.runtime.keys import Field, Group
from ffensembles.runtime.text import listed, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

_MEASURES = {
    "spearman": "rank correlation of dissimilarities",
    "cka_debiased": "debiased linear CKA",
}


class Rsa(Group):
    """Similarity of representations between models, layers and seeds."""

    kind: Literal["rsa"] = Field("rsa", description="kind of figure")
    of: Literal["images", "classes"] = Field(
        "images", description="what is compared: dissimilarities of images, or of class means"
    )


def needs(parameters: Rsa) -> Needs:
    """Say what the figure reads."""
    return Needs(frames=("rsa", "ceilings"))


def draw(shown: Shown, parameters: Rsa) -> Figure:
    """Draw, for each data set, the rank correlation (A) and CKA (B) of every two layers."""
    figure = new_figure(FULL_WIDTH, 0.2 + 3.4 * len(shown.labels))
    parts = stacked(figure, *(1 for _ in shown.labels))
    for part, (dataset, label) in zip(parts, shown.labels.items(), strict=True):
        summary, places = _summary(shown, parameters, dataset)
        for side, letter, measure in zip(side_by_side(part, 1, 1), "AB", _MEASURES, strict=True):
            panel(side, letter, f"{label.title}: {_MEASURES[measure]}")
            _matrix(side, _square(summary, places, measure), places)
    return figure


def caption(shown: Shown, parameters: Rsa) -> str:
    """Write the caption for these runs."""
    images = parameters.of == "images"
    conditions, absent = (
        ("pairs of test images, the same for all runs", "silent")
        if images
        else ("every two class means", "lost")
    )
    said = []
    for dataset, label in shown.labels.items():
        rows = _of(shown, "rsa", parameters, dataset)
        runs = _runs(rows)
        counts = [f"{title_of(model)} {plural(n, 'run')}" for model, n in runs.items()]
        if counts:
            said.append(f"{escape(label.title)}: {listed(counts)}.")
        said += _ceiling(_of(shown, "ceilings", parameters, dataset))
    rows = shown.frames["rsa"]
    rows = rows[(rows.of == parameters.of) & rows.dataset.isin(list(shown.labels))]
    least, most = (int(rows["n"].min()), int(rows["n"].max())) if len(rows) else (0, 0)
    n = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    if least != most:
        conditions += f" (those of {absent} ones are missing)"
    null = rows["spearman_null"].dropna()
    return paragraph(
        shown.figure,
        "Similarity of representations between models, layers and seeds",
        f"*A*: Spearman's correlation of the dissimilarities (1 - Pearson's correlation) of {n} "
        f"{conditions}; *B*: linear CKA of the same, debiased. Both are 0 on average where two "
        "layers have nothing in common. Cells are means over pairs of runs with different seeds "
        "or models; those of two layers of one model are means over runs, within each net; the "
        "diagonal compares seeds (blank for a single run). Pairs share runs, so that no error is "
        "given. Nets that read labels are read with the image's own label lit.",
        f"With classes permuted 95 % of correlations lie between {null.quantile(0.025):.2f} and "
        f"{null.quantile(0.975):.2f}."
        if len(null)
        else "",
        *(said or ["There are no runs."]),
    )


def _ceiling(rows: pd.DataFrame) -> list[str]:
    """Say how well a net of another seed can be predicted: the noise ceiling."""
    known = rows.dropna(subset=["lower", "upper"])
    parts = [
        f"{title_of(str(model))} "
        + ", ".join(f"{one.lower:.2f} to {one.upper:.2f}" for one in group.itertuples())
        for model, group in known.groupby("model", sort=False)
    ]
    return [f"Noise ceiling of A by layer: {'; '.join(parts)}."] if parts else []


def _runs(rows: pd.DataFrame) -> dict[str, int]:
    ones = pd.concat(
        [
            rows[["model", "seed"]],
            rows[["other_model", "other_seed"]].set_axis(["model", "seed"], axis=1),
        ]
    ).drop_duplicates()
    return {model: int((ones.model == model).sum()) for model in models_in(ones)}


def _of(shown: Shown, name: str, parameters: Rsa, dataset: str) -> pd.DataFrame:
    frame = shown.frames[name]
    return frame[(frame.dataset == dataset) & (frame.of == parameters.of)]


def _summary(
    shown: Shown, parameters: Rsa, dataset: str
) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Return the mean of every two layers, and the layers in the models' order."""
    rows = _of(shown, "rsa", parameters, dataset)
    layers = rows[["model", "layer"]].drop_duplicates()
    places = [
        (model, int(layer))
        for model in models_in(rows)
        for layer in sorted(layers.loc[layers.model == model, "layer"])
    ]
    return rsa_summary(rows), places


def _square(
    summary: pd.DataFrame, places: list[tuple[str, int]], measure: str
) -> NDArray[np.float64]:
    found = np.full((len(places), len(places)), np.nan)
    at = {place: i for i, place in enumerate(places)}
    names = ["model", "layer", "other_model", "other_layer", measure]
    for model, layer, other, other_layer, value in summary[names].to_numpy().tolist():
        found[at[model, int(layer)], at[other, int(other_layer)]] = value
    return found


def _matrix(
    part: Figure | SubFigure, values: NDArray[np.float64], places: list[tuple[str, int]]
) -> None:
    """Draw a matrix of similarities from -1 to 1, with its numbers, and lines between models."""
    axes = part.subplots()
    axes.imshow(values, cmap="RdBu", vmin=-1.2, vmax=1.2, aspect="equal")
    for (i, j), value in np.ndenumerate(values):
        if not np.isnan(value):
            dark = abs(value) > 0.75
            text = f"{round(value, 2) + 0.0:.2f}".replace("0.", ".")
            axes.text(
                j, i, text, ha="center", va="center", fontsize=SMALL,
                color="white" if dark else INK,
            )  # fmt: skip
    names = [f"{plain(title_of(model))} {layer}" for model, layer in places]
    axes.set_xticks(range(len(places)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(places)), names)
    axes.tick_params(length=0)
    for i in range(1, len(places)):
        if places[i][0] != places[i - 1][0]:
            axes.axhline(i - 0.5, color="white", linewidth=1.5)
            axes.axvline(i - 0.5, color="white", linewidth=1.5)
    for spine in axes.spines.values():
        spine.set(visible=True, color=PALE)


register(
    "Similarity of representations", Rsa, by_dataset=False, needs=needs, draw=draw,
    caption=caption,
)  # fmt: skip
