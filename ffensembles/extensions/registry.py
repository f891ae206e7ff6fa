"""The registry of extensions: what each measures, needs and concludes.

To add an extension, write its module in `ffensembles.extensions.kinds` and its kind of figure,
under the same name, in `ffensembles.plotting.kinds`; give its parameters in `config.yaml`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ffensembles.ensembles import METHODS
from ffensembles.extensions.results import ResultsTable, found_by, results_table
from ffensembles.extensions.runs import OfEnsembles
from ffensembles.publication.tables import TABLE_KINDS, TableKind
from ffensembles.runtime.keys import Group

if TYPE_CHECKING:
    from ffensembles.extensions.runs import ExtensionRun

Measure = Callable[["ExtensionRun", Any], pd.DataFrame]


NOTHING_MEASURED = "Nothing was measured."


@dataclass(frozen=True)
class Extension:
    """An analysis that goes beyond the study.

    Attributes
    ----------
    name
        Its name in the configuration, in targets and in paths; also that of its kind of figure.
    title
        What it is about, in print.
    question
        The question that it answers, one sentence.
    parameters
        Its parameters with their defaults; the configuration's `extension_settings` gives them.
    needs
        Files of the run that it reads, by their names in `study.paths.PATTERNS`, such as
        `weights`, `metadata`, `activations`; `data` is the data set, `ensembles` the stores of
        every method.
    measure
        Measures a run: a frame, to which the run's keys are added, see `of_run`.
    results
        Turns the frame across runs into `results.COLUMNS`: estimates over runs, each beside its
        control.
    verdict
        Says in plain text what the results of one protocol show, a paragraph for each model and
        data set.
    summary
        Says in one paragraph what the results of all protocols show together.
    note
        What one must know to read the table.
    section
        The section of the configuration with its own runs, a sweep; empty: the study's runs.
    minutes, memory
        Of the job that measures a run: minutes and megabytes.
    """

    name: str
    title: str
    question: str
    parameters: type[Group]
    needs: tuple[str, ...]
    measure: Measure
    results: Callable[[pd.DataFrame], pd.DataFrame]
    verdict: Callable[[pd.DataFrame], list[str]]
    summary: Callable[[pd.DataFrame], str]
    note: str = ""
    section: str = ""
    minutes: int = 30
    memory: int = 4000

    @property
    def module(self) -> str:
        """The module that defines it."""
        return self.measure.__module__

    def of_run(self, run: ExtensionRun, parameters: Group) -> pd.DataFrame:
        """Measure a run, and name the method that found its ensembles: `method`, `quantile`."""
        frame = self.measure(run, parameters)
        if not isinstance(parameters, OfEnsembles) or "method" in frame:
            return frame
        name = str(parameters.method)
        at = METHODS[name].at(parameters.quantile)
        return frame.assign(method=name, quantile=np.nan if at is None else at)

    def said(self, results: pd.DataFrame) -> list[str]:
        """Return the verdict's paragraphs, or that there are no runs for one."""
        return self.verdict(results) if len(results) else [NOTHING_MEASURED]


EXTENSIONS: dict[str, Extension] = {}
"""Every extension by name; filled when `ffensembles.extensions` is imported."""


def extension(
    name: str, title: str, parameters: type[Group], *, needs: tuple[str, ...], **options: Any
) -> Callable[[Measure], Measure]:
    """Register a function that measures an extension on a run; options as for `Extension`.

    Its table is registered under the same name.
    """

    def registered(measure: Measure) -> Measure:
        one = Extension(
            name=name, title=title, parameters=parameters, needs=needs, measure=measure, **options
        )
        EXTENSIONS[name] = one
        table = table_parameters(name, title)
        TABLE_KINDS[name] = TableKind(name, table, partial(make_table, one))
        return measure

    return registered


def table_parameters(name: str, title: str) -> type[Group]:
    """Return the parameters of an extension's table: its kind alone."""
    from typing import Literal

    from pydantic import create_model

    from ffensembles.runtime.keys import Field

    fields: dict[str, Any] = {"kind": (Literal[name], Field(name, description=title.lower()))}
    camel = "".join(part.capitalize() for part in name.split("_"))
    return create_model(f"{camel}Table", __base__=Group, __doc__=f"Table: {title}.", **fields)


def make_table(
    one: Extension, frame: pd.DataFrame, shown: Group, titles: Any = None, look_up: Any = None
) -> ResultsTable:
    """Make an extension's table from its frame across the runs of one protocol."""
    results = one.results(frame)
    note = " ".join(filter(None, [*one.said(results), one.note, found_by(frame)]))
    return results_table(one.title, results, note, titles or {})
