"""The study's tables by kind: each cell over this study's runs, the published value below.

A table is made of tidy cells, one row each with numbers; CSV holds these. Markdown and LaTeX
show them in the study's layout, models down and data sets (by layer) across.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ffensembles.analyses.tidy import over_seeds, whole_numbers, write_frame
from ffensembles.ensembles import METHODS
from ffensembles.errors import StoreError
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.publication.numbers import (
    SIZE_METHOD,
    SIZE_QUANTILE,
    Published,
    floor,
    published,
)
from ffensembles.runtime.files import write_checksums, write_text
from ffensembles.runtime.keys import Field, Group, Quantile
from ffensembles.runtime.text import html_table

LookUp = Callable[[str, str | None, str | None, int | None], Published | None]
"""Returns the published number of a quantity, data set, model and layer, if there is one."""

NOTHING = "—"
ON_FLOOR = "†"
FLOOR_TOLERANCE = 0.05
"""So near Method 1's floor, as a share of it, a size says nothing of the images."""


@dataclass(frozen=True)
class Table:
    """A table and what one has to know to read it.

    Attributes
    ----------
    title
        What it shows, one sentence.
    cells
        One row per cell: `protocol`, `model`, `dataset`, `layer` (missing in Table 1), `mean`,
        `se`, `n_runs`, `n_missing` (runs or ensembles without a value), `published`,
        `published_se`; in Table 2 also `floor`, `on_floor` and `published_on_floor`.
    note
        What stands below it.
    digits
        Decimals of a mean and of a standard error.
    titles
        How data sets are called.
    """

    title: str
    cells: pd.DataFrame
    note: str
    digits: tuple[int, int]
    titles: Mapping[str, str]

    def wide(self) -> pd.DataFrame:
        """Return the table as text in the study's layout: two rows per model, ours and theirs."""
        cells = self.cells
        several = cells["protocol"].nunique() > 1
        rows = []
        for (protocol, model), group in cells.groupby(["protocol", "model"], sort=False):
            head = {"Protocol": protocol} if several else {}
            name = MODEL_TITLES.get(str(model), str(model))
            ours = {**head, "Model": name, "Source": "here"}
            theirs = {**head, "Model": name, "Source": "published"}
            for cell in group.to_dict("records"):
                ours[self._column(cell)] = self._ours(cell)
                theirs[self._column(cell)] = self._theirs(cell)
            rows += [ours, theirs]
        return pd.DataFrame(rows).fillna(NOTHING)

    def _column(self, cell: Mapping) -> str:
        title = self.titles.get(cell["dataset"], cell["dataset"])
        return title if pd.isna(cell["layer"]) else f"{title} layer {cell['layer']}"

    def _ours(self, cell: Mapping) -> str:
        text = self._number(cell["mean"], cell["se"])
        mark = f" {ON_FLOOR}" if cell.get("on_floor") else ""
        return text if text == NOTHING else f"{text} ({cell['n_runs']}){mark}"

    def _theirs(self, cell: Mapping) -> str:
        text = self._number(cell["published"], cell["published_se"])
        return f"{text} {ON_FLOOR}" if cell.get("published_on_floor") else text

    def _number(self, mean: float, se: float) -> str:
        if pd.isna(mean):
            return NOTHING
        text = f"{mean:.{self.digits[0]}f}"
        return text if pd.isna(se) else f"{text} ± {se:.{self.digits[1]}f}"


class Accuracy(Group):
    """Table of accuracies."""

    kind: Literal["accuracy"] = Field("accuracy", description="accuracy on test images")


class Sizes(Group):
    """Table of ensemble sizes."""

    kind: Literal["sizes"] = Field("sizes", description="sizes of ensembles")
    method: str = Field("method1", description="the method that finds them")
    quantile: Quantile | None = Field(
        0.95, description="Method 1's, one of `ensembles.method1.quantiles`; of no effect on others"
    )

    @property
    def at(self) -> float | None:
        """The quantile; None where the method has none, whatever `quantile` says."""
        return METHODS[self.method].at(self.quantile) if self.method in METHODS else None


class PositiveWeights(Group):
    """Table of fractions of positive weights."""

    kind: Literal["positive_weights"] = Field(
        "positive_weights", description="fraction of positive weights"
    )


class Sparsity(Group):
    """Table of sparsities."""

    kind: Literal["sparsity"] = Field("sparsity", description="Hoyer sparsity of activations")


def accuracy_table(
    accuracy: pd.DataFrame,
    shown: Accuracy = Accuracy(),  # noqa: B008 - frozen
    titles: Mapping[str, str] | None = None,
    look_up: LookUp = published,
) -> Table:
    """Make a table of the accuracy of each model on each data set's test images.

    Parameters
    ----------
    accuracy
        Rows of `analyses.accuracy.accuracy_frame` of all runs, with their keys. Runs that left a
        class out do not count.
    shown
        The table's parameters.
    titles
        Titles of data sets; their keys where it has none.
    look_up
        Returns the published number of (quantity, dataset, model, layer), or None.
    """
    rows = accuracy[(accuracy.layer == 0) & accuracy.held_out.isna()]
    cells = _cells(rows, "accuracy", "accuracy", look_up, layers=False)
    note = (
        "Mean ± standard error over runs (number of runs) of the fraction of test images "
        f"classified correctly.{_published(cells)}"
    )
    return Table("Classification accuracy", cells, note, (3, 4), titles or {})


def sizes_table(
    sizes: pd.DataFrame,
    shown: Sizes = Sizes(),  # noqa: B008
    titles: Mapping[str, str] | None = None,
    look_up: LookUp = published,
) -> Table:
    """Make a table of the sizes of the ensembles that a method finds; for Method 1 its floor too.

    Parameters
    ----------
    sizes
        Rows of `analyses.sizes.sizes_frame` of all runs, with their keys. Runs that left a class
        out do not count. A run's size is the mean over its classes; lost ones are missing.
    shown, titles, look_up
        As for `accuracy_table`. Published sizes stand beside those of the method and quantile
        that they were measured with.
    """
    found = sizes.method.unique().tolist()
    if found and shown.method not in found:
        raise StoreError(
            f"sizes: has rows of {', '.join(found)}, none of {shown.method}; runs whose ensembles "
            "were found before there was this method have none."
        )
    rows = sizes[(sizes.method == shown.method) & sizes.held_out.isna()]
    if shown.at is not None:
        rows = rows[np.isclose(rows["quantile"].astype(float), shown.at)]
    comparable = shown.method == SIZE_METHOD and shown.at == SIZE_QUANTILE
    cells = _cells(rows, "size", "ensemble_size" if comparable else None, look_up)
    by = ["protocol", "model", "dataset", "layer"]
    cells = cells.merge(rows.groupby(by, sort=False)["floor"].first().reset_index(), on=by)
    theirs = floor(SIZE_QUANTILE)  # of the study's layers, which may have another width than ours
    for name, value, level in (
        ("on_floor", "mean", cells["floor"]),
        ("published_on_floor", "published", theirs),
    ):
        cells[name] = (cells[value] - level).abs() <= FLOOR_TOLERANCE * level
    lost = int(rows["lost"].sum())
    known = METHODS.get(shown.method)
    title = known.titled(shown.at) if known else shown.method
    note = (
        f"Mean ± standard error over runs (number of runs) of the number of active units, by "
        f"{title}.{_floor(rows)} {lost} of {len(rows)} ensembles are missing: their class has "
        f"no correctly classified image.{_published(cells)}"
    )
    return Table("Size of ensembles", cells, note, (1, 2), titles or {})


def positive_weights_table(
    weights: pd.DataFrame,
    shown: PositiveWeights = PositiveWeights(),  # noqa: B008
    titles: Mapping[str, str] | None = None,
    look_up: LookUp = published,
) -> Table:
    """Make a table of the fraction of positive weights in each hidden layer.

    Parameters
    ----------
    weights
        Rows of `analyses.weights.weights_frame` of all runs, with their keys. Runs that left a
        class out do not count.
    shown, titles, look_up
        As for `accuracy_table`.
    """
    rows = weights[weights.held_out.isna()]
    cells = _cells(rows, "positive", "positive_weights", look_up)
    note = (
        "Mean ± standard error over runs (number of runs) of the fraction of positive weights, "
        f"without biases.{_published(cells)}"
    )
    return Table("Fraction of positive weights", cells, note, (3, 4), titles or {})


def sparsity_table(
    sparsity: pd.DataFrame,
    shown: Sparsity = Sparsity(),  # noqa: B008
    titles: Mapping[str, str] | None = None,
    look_up: LookUp = published,
) -> Table:
    """Make a table of the mean Hoyer sparsity of each hidden layer.

    Parameters
    ----------
    sparsity
        Rows of `analyses.sparsity.sparsity_frame` of all runs, with their keys. Runs that left a
        class out do not count.
    shown, titles, look_up
        As for `accuracy_table`.
    """
    rows = sparsity[sparsity.held_out.isna() & sparsity.category.isna()]
    cells = _cells(rows, "sparsity", "sparsity", look_up)
    silent, n = int(rows["silent"].sum()), int(rows["n_presentations"].sum())
    note = (
        "Mean ± standard error over runs (number of runs) of the Hoyer sparsity of a layer's "
        "activations, averaged over correctly classified test images. Silent images, without any "
        f"activity, have no sparsity and do not count: {silent:,} of {n:,}.{_published(cells)}"
    )
    return Table("Sparsity of activations", cells, note, (3, 4), titles or {})


def _floor(rows: pd.DataFrame) -> str:
    """Say what Method 1's floor is; nothing for a method without one."""
    floors = rows.loc[rows["floor"].notna(), ["units", "floor"]].drop_duplicates()
    if floors.empty:
        return ""
    said = ", ".join(
        f"{row.floor:.1f} of {row.units:.0f}" for row in floors.sort_values("units").itertuples()
    )
    return (
        f" {ON_FLOOR} within 5 % of the method's floor, the number of units it finds where "
        f"activations do not depend on the image: {said} units."
    )


def _published(cells: pd.DataFrame) -> str:
    """Say where the published values stand; nothing where there is none."""
    sources = [source for source in dict.fromkeys(cells["source"]) if source]
    return f" Published: {', '.join(sources)}." if sources else ""


@dataclass(frozen=True)
class TableKind:
    """A kind of table: the frame it is made of, its parameters, and the function that makes it."""

    frame: str
    parameters: type[Group]
    make: Callable[..., Table]


TABLE_KINDS = {
    "accuracy": TableKind("accuracy", Accuracy, accuracy_table),
    "sizes": TableKind("sizes", Sizes, sizes_table),
    "positive_weights": TableKind("positive_weights", PositiveWeights, positive_weights_table),
    "sparsity": TableKind("sparsity", Sparsity, sparsity_table),
}
"""Every kind of table by name."""


ENDINGS = ("csv", "md", "tex", "html", "rst")
"""Endings of the files of a table; .rst is its caption."""


def write_table(table: Table, stem: str | Path) -> list[Path]:
    """Write `stem`.csv (tidy cells), .md, .tex, .html and its caption .rst; return the paths."""
    stem = Path(stem)
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in ENDINGS]
    write_frame(table.cells, paths[0])
    write_text(paths[1], markdown(table))
    write_text(paths[2], latex(table))
    write_text(paths[3], html(table))
    write_text(paths[4], f"{table.title}. {table.note}\n")
    write_checksums(stem, paths[1:])  # the frame has its own
    return paths


def markdown(table: Table) -> str:
    """Return the table in Markdown: title, pipe table, note."""
    wide = table.wide().map(lambda text: str(text).replace("|", "\\|"))
    lines = [list(wide.columns), ["---"] * wide.shape[1], *wide.to_numpy().tolist()]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{table.title}**\n\n{body}\n\n{table.note}\n"


def html(table: Table) -> str:
    """Return the table as a page of HTML: title, table, note."""
    wide = table.wide()
    return html_table(table.title, [list(wide.columns), *wide.to_numpy().tolist()], table.note)


def latex(table: Table) -> str:
    """Return the table in LaTeX (package booktabs), with caption."""
    wide = table.wide()
    texts = sum(name in {"Protocol", "Model", "Source"} for name in wide.columns)
    lines = [" & ".join(map(_tex, line)) + r" \\" for line in wide.to_numpy().tolist()]
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_tex(table.title)}. {_tex(table.note)}}}",
            rf"  \begin{{tabular}}{{{'l' * texts}{'r' * (wide.shape[1] - texts)}}}",
            r"    \toprule",
            "    " + " & ".join(map(_tex, wide.columns)) + r" \\",
            r"    \midrule",
            *(f"    {line}" for line in lines),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


_TEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "±": r"$\pm$",
    ON_FLOOR: r"\textdagger{}",
    NOTHING: "---",
}


def _tex(text: object) -> str:
    return "".join(_TEX.get(letter, letter) for letter in str(text))


def _cells(
    rows: pd.DataFrame, value: str, quantity: str | None, look_up: LookUp, layers: bool = True
) -> pd.DataFrame:
    """Average `value` over runs in each cell and lay the published `quantity` beside it."""
    by = ["protocol", "model", "dataset", *(["layer"] if layers else [])]
    cells = over_seeds(rows, value, by)
    if not layers:
        cells.insert(3, "layer", None)
    models = list(MODEL_TITLES)
    known = cells["model"].map(lambda name: models.index(name) if name in models else len(models))
    cells = cells.iloc[np.argsort(known, kind="stable")].reset_index(drop=True)
    theirs = [
        look_up(quantity, dataset, model, int(layer) if layers else None) if quantity else None
        for _, model, dataset, layer in cells.iloc[:, :4].itertuples(index=False)
    ]
    cells["published"] = [np.nan if one is None else one.value for one in theirs]
    cells["published_se"] = [np.nan if one is None or one.se is None else one.se for one in theirs]
    cells["source"] = ["" if one is None else one.source for one in theirs]
    return whole_numbers(cells)
