"""Which runs a study has, where their files lie, and which tables and figures each edition has."""

from dataclasses import dataclass

from ffensembles.config import Config
from ffensembles.study.editions import Editions
from ffensembles.study.extensions import Extensions
from ffensembles.study.grid import Grid
from ffensembles.study.paths import Paths


@dataclass(frozen=True)
class Study:
    """A configured study: its configuration, runs, paths, and what editions and extensions show."""

    config: Config
    grid: Grid
    paths: Paths
    editions: Editions
    extensions: Extensions

    @classmethod
    def of(cls, config: Config) -> "Study":
        """Return the study that a configuration describes."""
        grid, paths = Grid(config), Paths(config.results)
        editions = Editions(config, grid, paths)
        return cls(config, grid, paths, editions, Extensions(config, grid, paths, editions))
