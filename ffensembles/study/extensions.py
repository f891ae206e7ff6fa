"""The extensions of a configured study: the runs that they measure, their files and targets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ffensembles.config import Config
from ffensembles.ensembles import METHODS
from ffensembles.errors import ConfigError
from ffensembles.extensions import EXTENSIONS
from ffensembles.extensions.runs import OfEnsembles
from ffensembles.publication.tables import Sizes
from ffensembles.runs import Run, is_of
from ffensembles.study.editions import Editions
from ffensembles.study.frames import frame_file
from ffensembles.study.grid import Grid, one_of, whole
from ffensembles.study.paths import Paths

_FALLBACK = ("loo", None)


@dataclass(frozen=True)
class Extensions:
    """The extensions of a configured study."""

    config: Config
    grid: Grid
    paths: Paths
    editions: Editions

    def runs(self, name: str) -> list[Run]:
        """Return the runs that an extension is measured on: all that left no class out.

        An extension with a section of the configuration has the runs of this section.

        Where results are kept, only those whose weights or frame of the extension are there: no
        run is trained for an extension.
        """
        runs = whole(self.grid.of_section(EXTENSIONS[name].section))
        if self.config.keep:
            runs = [
                run
                for run in runs
                if Path(self.paths.one("weights", run)).exists()
                or Path(self.paths.one("extension", run, extension=name)).exists()
            ]
        return runs

    def some_runs(self, name: str) -> list[Run]:
        """Return the runs that an extension is measured on, if there are any; see `runs`.

        Raises
        ------
        ConfigError
            If there is none.
        """
        section = EXTENSIONS[name].section
        if not whole(self.grid.of_section(section)):
            raise ConfigError(f"{name}: {self.grid.without_runs(section)}")
        runs = self.runs(name)
        if not runs:
            raise ConfigError(
                f"{name}: no run has its weights or this frame; ask for `training` first, since "
                "`keep: true` trains no run for an extension."
            )
        return runs

    def parameters(self, name: str, run: Run) -> dict[str, Any]:
        """Return an extension's parameters for a run, with the method of the run's edition."""
        given = getattr(self.config.extension_settings, name)
        if isinstance(given, OfEnsembles):
            method, quantile = self.method(run.protocol)
            method = given.method or method
            quantile = quantile if given.quantile is None else given.quantile
            if quantile is None and METHODS[method].has_quantiles:
                raise ConfigError(
                    f"extension_settings.{name}.quantile: {method} needs one, and the table of "
                    "sizes has none; write a quantile."
                )
            given = given.model_copy(update={"method": method, "quantile": quantile})
        return dict(given.model_dump())

    def method(self, protocol: str) -> tuple[str, float | None]:
        """Return method and quantile of the first table of sizes of a protocol's edition."""
        for edition in self.config.editions.values():
            if not is_of(protocol, edition.protocol):
                continue
            for table in edition.tables.values():
                if table and table["kind"] == "sizes":
                    sizes = Sizes(**table)
                    return sizes.method, sizes.at
        return _FALLBACK

    def files(self, name: str, edition: str | None = None) -> list[str]:
        """Return an extension's results: frame across runs, tables, figures of its editions."""
        protocols = {run.protocol for run in self.runs(name)}
        editions = [
            one
            for one, content in self.editions.all.items()
            if content.protocol in protocols and edition in (None, one)
        ]
        parts = [
            path
            for one in editions
            for path in (
                *self.editions.table_files(one, name),
                # none where the edition has no run of the same data set to show
                *(
                    self.editions.figure_files(one, name)
                    if name in self.editions.every_figure(one)
                    else ()
                ),
            )
        ]
        return [self.paths.one("tidy", file=frame_file(name)), *parts]

    @property
    def targets(self) -> dict[str, list[str]]:
        """What may be asked for by name: `causality`, and `causality_2025` of one edition."""
        found = {name: self.files(name) for name in EXTENSIONS}
        return found | {
            f"{name}_{edition}": self.files(name, edition)
            for name in EXTENSIONS
            for edition in self.editions.all
        }

    @property
    def chosen(self) -> list[str]:
        """The files of the extensions that `all` includes."""
        return [path for name in self.config.extensions for path in self.files(name)]

    @property
    def constraints(self) -> dict[str, str]:
        """Regular expression of the wildcard that names an extension."""
        return {"extension": one_of(EXTENSIONS)}
