"""Which tables and figures each edition of the study has, of which runs, in which files."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from typing import Any

from ffensembles.config import Config
from ffensembles.config.schema import Edition
from ffensembles.datasets import DATASETS
from ffensembles.ensembles import METHODS
from ffensembles.errors import ConfigError
from ffensembles.extensions import EXTENSIONS
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.plotting.registry import KINDS, Needs
from ffensembles.plotting.style import FIGURE_ENDINGS
from ffensembles.publication.tables import ENDINGS, TABLE_KINDS
from ffensembles.runs import Run
from ffensembles.study.frames import applies, in_scope, run_frame_of
from ffensembles.study.grid import Grid, one_of, whole
from ffensembles.study.paths import Paths

_OF_EXTENSIONS = {name: {"kind": name} for name in EXTENSIONS}
"""The table and the figure of every extension, as editions list theirs."""


@dataclass(frozen=True)
class Variant:
    """One of the files of a figure: what it shows.

    Attributes
    ----------
    datasets
        The data sets it shows.
    run
        The run shown as an example; None where the figure shows all runs alike.
    """

    datasets: tuple[str, ...]
    run: Run | None


class Editions:
    """The tables and figures of a configured study, by edition."""

    def __init__(self, config: Config, grid: Grid, paths: Paths) -> None:
        self.config, self.grid, self.paths = config, grid, paths

    @cached_property
    def all(self) -> dict[str, Edition]:
        """The editions whose protocol has runs on all classes, by name; see `own_seeds`."""
        chosen = {run.protocol for run in whole(self.grid.runs)}
        return {n: one for n, one in self.config.editions.items() if one.protocol in chosen}

    @cache  # noqa: B019 - a study lives as long as its process
    def tables(self, edition: str) -> dict[str, Any]:
        """Return the tables of an edition and of its extensions: their parameters by name."""
        return self._asked(self.every_table(edition), self.config.editions[edition].tables)

    @cache  # noqa: B019
    def every_table(self, edition: str) -> dict[str, Any]:
        """Return the tables that an edition can have: also those of extensions not asked for."""
        tables = {**self.config.editions[edition].tables, **_OF_EXTENSIONS}
        return {n: TABLE_KINDS[one["kind"]].parameters(**one) for n, one in tables.items() if one}

    @cache  # noqa: B019
    def figures(self, edition: str) -> dict[str, Any]:
        """Return the figures of an edition and of its extensions: their parameters by name."""
        return self._asked(self.every_figure(edition), self.config.editions[edition].figures)

    @cache  # noqa: B019
    def every_figure(self, edition: str) -> dict[str, Any]:
        """Return the figures of an edition that can be drawn, and those of all extensions.

        One that shows a run without a class cannot, where there is no such run.
        """
        for name in EXTENSIONS:
            if name not in KINDS:
                raise ConfigError(
                    f"{name}: this extension has no kind of figure; write "
                    f"ffensembles/plotting/kinds/{name}.py."
                )
        figures = {**self.config.editions[edition].figures, **_OF_EXTENSIONS}
        known = {n: KINDS[one["kind"]].parameters(**one) for n, one in figures.items() if one}
        return {n: one for n, one in known.items() if self._variants(edition, one)}

    def _asked(self, parts: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
        """Keep an edition's own parts, and those of the extensions that `all` includes."""
        kept = {*own, *self.config.extensions}
        return {name: one for name, one in parts.items() if name in kept}

    def needs(self, edition: str, figure: str) -> Needs:
        """Return what a figure is drawn from."""
        parameters = self.every_figure(edition)[figure]
        return KINDS[parameters.kind].needs(parameters)

    def variants(self, edition: str, figure: str) -> Mapping[str, Variant]:
        """Return the files of a figure, by what their names have after `figure3`.

        The data set of the study's figure carries no addition: `""`; the others `-digits`. Where
        it is not configured the first that is takes its place; likewise the model and the class
        left out. A figure that shows all data sets has one file.
        """
        return self._variants(edition, self.every_figure(edition)[figure])

    def _variants(self, edition: str, parameters: Any) -> dict[str, Variant]:
        kind = KINDS[parameters.kind]
        needs = kind.needs(parameters)
        examples = {
            dataset: run
            for dataset in self.config.datasets
            if (run := self._example(parameters, edition, dataset)) is not None
            and self._has_frames(needs, edition, dataset)
        }
        own = getattr(parameters, "dataset", None)
        own = own if own in examples else next(iter(examples), None)
        if not kind.by_dataset:
            shows_one = hasattr(parameters, "dataset")
            run = examples[own] if own is not None and shows_one else None
            return {"": Variant(tuple(examples), run)} if examples else {}
        ordered = sorted(examples.items(), key=lambda item: item[0] != own)
        return {
            "" if dataset == own else f"-{dataset}": Variant((dataset,), run)
            for dataset, run in ordered
        }

    def _example(self, parameters: Any, edition: str, dataset: str) -> Run | None:
        """Return the run of a data set that a figure shows."""
        protocol, seed = self.config.editions[edition].protocol, self.config.editions[edition].seed
        unseen = hasattr(parameters, "held_out")
        runs = [
            run
            for run in self.grid.select(protocol=protocol, dataset=dataset)
            if (run.held_out is not None) == unseen
        ]
        preferences = {
            "held_out": getattr(parameters, "held_out", None),
            "model": getattr(parameters, "model", None),
            "seed": None if seed == "first" else seed,
        }
        for key, wanted in preferences.items():
            runs = [run for run in runs if getattr(run, key) == wanted] or runs
        return runs[0] if runs else None

    def _has_frames(self, needs: Needs, edition: str, dataset: str) -> bool:
        """Say whether a data set has a run that each frame which a figure needs is made of."""
        protocol = self.config.editions[edition].protocol
        for needed in needs.frames:
            runs = applies(in_scope(needed)[1], self._runs_of(needed))
            if not any(run.dataset == dataset and run.of(protocol) for run in runs):
                return False
        return True

    def showing(self, frame: str) -> list[Run]:
        """Return the runs that a frame is measured on which only tables and figures ask for.

        They are those of the protocols whose edition has a table or a figure that is made from the
        frame, or from one that is made of it.
        """
        protocols = {
            one.protocol
            for name, one in self.all.items()
            for needed in self._frames(name)
            if run_frame_of(needed) == run_frame_of(frame)
        }
        return applies(frame, self.grid.select(protocol=protocols))

    @cached_property
    def trained(self) -> tuple[Run, ...]:
        """The runs that `all` trains: the study's own, and those that its figures need beside."""
        needed = dict.fromkeys(frame for name in self.all for frame in self._frames(name))
        beside = chain(*map(self._runs_of, needed))
        return tuple(dict.fromkeys([*self.grid.runs, *beside]))

    def _runs_of(self, needed: str) -> tuple[Run, ...]:
        """Return the runs that a frame which a table or a figure needs may be of."""
        scope, frame = in_scope(needed)
        section = EXTENSIONS[frame].section if frame in EXTENSIONS else ""
        return self.grid.of_section(section) if section else self.grid.scope(scope)

    def _frames(self, edition: str) -> list[str]:
        """Return the frames that an edition's tables and figures are made from."""
        of_tables = [TABLE_KINDS[one.kind].frame for one in self.tables(edition).values()]
        figures = (self.needs(edition, figure).frames for figure in self.figures(edition))
        return [*of_tables, *(frame for needed in figures for frame in needed)]

    def label(self, edition: str, dataset: str) -> dict[str, Any]:
        """Return what captions call a data set, and the scale at which it was learnt."""
        runs = self.grid.select(dataset=dataset, protocol=self.config.editions[edition].protocol)
        return {
            "title": DATASETS[dataset].title,
            "categories": tuple(DATASETS[dataset].classes),
            "n_train": self.config.images.train_images,
            "epochs": {run.model: self.grid.recipe(run).epochs for run in runs},
        }

    def table_files(self, edition: str, table: str) -> list[str]:
        """Return the files of a table."""
        return [
            self.paths.one("table", edition=edition, table=table, ending=ending)
            for ending in ENDINGS
        ]

    def figure_files(self, edition: str, figure: str) -> list[str]:
        """Return the files of a figure."""
        return [
            self.paths.one("figure", edition=edition, figure=figure, variant=variant, ending=ending)
            for variant in self.variants(edition, figure)
            for ending in FIGURE_ENDINGS
        ]

    def shows(self, edition: str, part: str) -> str:
        """Say what a table or figure shows: its kind, and what is particular to it.

        Examples
        --------
        >>> from ffensembles.config import load_config
        >>> from ffensembles.study import Study
        >>> Study.of(load_config("config.yaml")).editions.shows("2023", "table2")
        'Sizes of ensembles: Method 1, quantile 0.95'
        """
        found = {**self.tables(edition), **self.figures(edition)}[part]
        kind = type(found).model_fields["kind"].description or ""
        title = KINDS[found.kind].title if part in self.figures(edition) else kind
        method = getattr(found, "method", None)
        quantile = getattr(found, "quantile", None)
        details = [
            MODEL_TITLES.get(getattr(found, "model", ""), ""),
            f"layer {found.layer}" if hasattr(found, "layer") else "",
            METHODS[method].title if method else "",
            f"quantile {quantile:g}" if quantile is not None else "",
        ]
        said = ", ".join(filter(None, details))
        return f"{title[:1].upper()}{title[1:]}{': ' if said else ''}{said}"

    @property
    def targets(self) -> dict[str, list[str]]:
        """What may be asked for by name: every table and figure of an edition, with its files.

        `figure3_2025` is an edition's; `figure3` that of the first edition which has one.
        """
        found: dict[str, list[str]] = {}
        for edition in self.all:
            files = {name: self.table_files(edition, name) for name in self.tables(edition)}
            for name in self.figures(edition):  # a table and a figure may have one name
                files[name] = [*files.get(name, []), *self.figure_files(edition, name)]
            for name, paths in files.items():
                if name in EXTENSIONS:  # its target makes all that it has, see `Extensions`
                    continue
                found[f"{name}_{edition}"] = paths
                found.setdefault(name, paths)
        return found

    def every(self, what: str) -> list[str]:
        """Return the files of all `tables` or all `figures`."""
        names, files = {
            "tables": (self.tables, self.table_files),
            "figures": (self.figures, self.figure_files),
        }[what]
        return [path for one in self.all for name in names(one) for path in files(one, name)]

    @property
    def constraints(self) -> dict[str, str]:
        """Regular expressions of the wildcards that name tables and figures."""
        variants = {
            variant
            for edition in self.all
            for figure in self.every_figure(edition)
            for variant in self.variants(edition, figure)
        }
        figures = {name for edition in self.all for name in self.every_figure(edition)}
        tables = {name for edition in self.all for name in self.every_table(edition)}
        return {
            "edition": one_of(self.all),
            "figure": one_of(sorted(figures)),
            "table": one_of(sorted(tables)),
            "variant": one_of(sorted(variants)),
        }
