"""The first page of the report: what was run, the main numbers, what to be wary of."""

from collections.abc import Iterator, Sequence

from ffensembles.datasets import DATASETS
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.runtime.text import plural
from ffensembles.study import Study
from ffensembles.study.grid import whole, without
from ffensembles.study.summary import accuracies, cautions


def landing(study: Study, opening: str) -> str:
    """Return the first page of a finished study's report, in reStructuredText.

    Parameters
    ----------
    study
        The study, with its accuracies and the metadata of its runs.
    opening
        What stands first, whatever was run; Snakemake fills in its Jinja expressions.

    Raises
    ------
    StoreError
        If a result that is shown cannot be read.
    """
    parts = [opening.strip(), *_section("What was run", [f"- {one}" for one in _runs(study)])]
    parts += _section("Main numbers", [])
    for edition, table in accuracies(study).items():
        parts += [
            f"Accuracy on test images, edition {edition}: mean ± standard error over runs (number "
            "of runs); below it the published value.",
            _list_table([list(table.columns), *table.to_numpy().tolist()]),
        ]
    parts += _section("What to be wary of", [f"- {one}" for one in cautions(study)])
    parts += _section(
        "What is here",
        [
            "Tables and figures are in the list of results, by edition; the caption of each says "
            "what it shows and how many runs it is of. The same files, and tidy frames of all "
            f"measurements, are in ``{study.config.results}``."
        ],
    )
    return "\n\n".join(parts) + "\n"


def _runs(study: Study) -> Iterator[str]:
    """Say of each protocol and data set which runs there are."""
    for protocol in study.config.protocols:
        names = [name for name, one in study.editions.all.items() if one.protocol == protocol]
        of = f" (edition {', '.join(names)})" if names else ""
        for dataset in study.config.datasets:
            runs = study.grid.select(protocol=protocol, dataset=dataset)
            counts = {
                MODEL_TITLES[model]: len([run for run in whole(runs) if run.model == model])
                for model in study.config.models
            }
            said = ", ".join(f"{name} {plural(n, 'run')}" for name, n in counts.items() if n)
            unseen = len(without(runs))
            more = f"; {plural(unseen, 'run')} without one class" if unseen else ""
            if said or more:
                yield f"**{protocol}**{of} on **{DATASETS[dataset].title}**: {said}{more}"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{title}\n{'-' * len(title)}", *(["\n".join(lines)] if lines else [])]


def _list_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of text as a table of reStructuredText; the first row is its head."""
    lines = [".. list-table::", "   :header-rows: 1", "   :class: table table-sm", ""]
    for row in rows:
        lines += [f"   {'* -' if place == 0 else '  -'} {text}" for place, text in enumerate(row)]
    return "\n".join(lines)
