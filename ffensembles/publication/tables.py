"""Tables 1, 2 and 3 of the study: each cell over this study's runs, the published value below.

A table is made of tidy cells, one row each with numbers; CSV holds these. Markdown and LaTeX
show them in the study's layout, models down and data sets (by layer) across.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ffensembles.analyses.tidy import over_seeds, whole_numbers, write_frame
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.publication.numbers import published
from ffensembles.runtime.files import write_text

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


def table1(accuracy: pd.DataFrame, titles: Mapping[str, str] | None = None) -> Table:
    """Make Table 1: accuracy of each model on each data set's test images.

    Parameters
    ----------
    accuracy
        Rows of `analyses.accuracy.accuracy_frame` of all runs, with their keys. Runs that left a
        class out do not count.
    titles
        How data sets are called; their keys where it says nothing.
    """
    rows = accuracy[(accuracy.layer == 0) & accuracy.held_out.isna()]
    cells = _cells(rows, "accuracy", "accuracy", layers=False)
    note = (
        "Mean ± standard error over runs (number of runs) of the fraction of test images "
        "classified correctly. Published: Table 1, 15 runs."
    )
    return Table("Classification accuracy", cells, note, (3, 4), titles or {})


def table2(
    sizes: pd.DataFrame, quantile: float = 0.95, titles: Mapping[str, str] | None = None
) -> Table:
    """Make Table 2: sizes of the ensembles that Method 1 finds, and its floor.

    Parameters
    ----------
    sizes
        Rows of `analyses.sizes.sizes_frame` of all runs, with their keys. Runs that left a class
        out do not count. A run's size is the mean over its categories; lost ones are missing.
    quantile
        Method 1's quantile; the published values are for 0.95.
    titles
        How data sets are called; their keys where it says nothing.
    """
    rows = sizes[
        (sizes.method == "method1")
        & np.isclose(sizes["quantile"].astype(float), quantile)
        & sizes.held_out.isna()
    ]
    comparable = bool(np.isclose(quantile, 0.95))
    cells = _cells(rows, "size", "ensemble_size" if comparable else None)
    by = ["protocol", "model", "dataset", "layer"]
    cells = cells.merge(rows.groupby(by, sort=False)["floor"].first().reset_index(), on=by)
    for name, value in (("on_floor", "mean"), ("published_on_floor", "published")):
        cells[name] = (cells[value] - cells.floor).abs() <= FLOOR_TOLERANCE * cells.floor
    floors = rows[["units", "floor"]].drop_duplicates().sort_values("units")
    said = ", ".join(f"{row.floor:.1f} of {row.units:.0f}" for row in floors.itertuples())
    lost = int(rows["lost"].sum())
    note = (
        f"Mean ± standard error over runs (number of runs) of the number of active units, by "
        f"Method 1 at quantile {quantile:g}. {ON_FLOOR} within 5 % of the method's floor, the "
        f"units it finds where activations do not depend on the image: {said} units. "
        f"{lost} of {len(rows)} ensembles are missing: their category has no correctly "
        f"classified image. Published: Table 2, 15 runs, quantile 0.95."
    )
    return Table("Size of ensembles", cells, note, (1, 2), titles or {})


def table3(weights: pd.DataFrame, titles: Mapping[str, str] | None = None) -> Table:
    """Make Table 3: fraction of positive weights in each hidden layer.

    Parameters
    ----------
    weights
        Rows of `analyses.weights.weights_frame` of all runs, with their keys. Runs that left a
        class out do not count.
    titles
        How data sets are called; their keys where it says nothing.
    """
    cells = _cells(weights[weights.held_out.isna()], "positive", "positive_weights")
    note = (
        "Mean ± standard error over runs (number of runs) of the fraction of positive weights, "
        "biases aside. Published: Table 3."
    )
    return Table("Fraction of positive weights", cells, note, (3, 4), titles or {})


def write_table(table: Table, stem: str | Path) -> list[Path]:
    """Write `stem`.csv (tidy cells), .md, .tex and its caption .rst; return the paths."""
    stem = Path(stem)
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in ("csv", "md", "tex", "rst")]
    write_frame(table.cells, paths[0])
    write_text(paths[1], markdown(table))
    write_text(paths[2], latex(table))
    write_text(paths[3], f"{table.title}. {table.note}\n")
    return paths


def markdown(table: Table) -> str:
    """Return the table in Markdown: title, pipe table, note."""
    wide = table.wide().map(lambda text: str(text).replace("|", "\\|"))
    lines = [list(wide.columns), ["---"] * wide.shape[1], *wide.to_numpy().tolist()]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{table.title}**\n\n{body}\n\n{table.note}\n"


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
    rows: pd.DataFrame, value: str, quantity: str | None, layers: bool = True
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
        published(quantity, dataset, model, int(layer) if layers else None, protocol)
        if quantity
        else None
        for protocol, model, dataset, layer in cells.iloc[:, :4].itertuples(index=False)
    ]
    cells["published"] = [np.nan if one is None else one.value for one in theirs]
    cells["published_se"] = [np.nan if one is None or one.se is None else one.se for one in theirs]
    return whole_numbers(cells)
