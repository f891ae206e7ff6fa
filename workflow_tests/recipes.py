"""The recipes of config.yaml, for tests that train: what a test changes, it names."""

from functools import cache
from pathlib import Path

from ffensembles.config import load_config
from ffensembles.models.recipe import Recipe
from ffensembles.runs import Run
from ffensembles.study.grid import Grid


@cache
def _grid() -> Grid:
    return Grid(load_config(Path(__file__).parents[1] / "config.yaml"))


def recipe_of(model: str, protocol: str = "sigmoid-linf", **changes: object) -> Recipe:
    """Return a model's recipe on MNIST, with other values of some keys."""
    return _grid().recipe(Run(protocol, "mnist", model, None, 0)).but(**changes)
