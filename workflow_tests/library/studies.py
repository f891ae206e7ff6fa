"""Studies that tests ask: the whole one, and some with a few keys changed."""

from pathlib import Path
from typing import Any

from ffensembles.config import load_config
from ffensembles.runs import Run
from ffensembles.study import Study

FILE = Path(__file__).parents[2] / "config.yaml"
RUN = Run("sigmoid-linf", "mnist", "BPFF", None, 3)
UNSEEN = Run("sigmoid-linf", "fashionmnist", "FF", 0, 14)
FIRST: dict[str, Any] = {"protocols": ["sigmoid-linf"]}


def study(**changes: Any) -> Study:
    return Study.of(load_config(FILE, changes))


def small(**changes: Any) -> Study:
    small = {"datasets": ["digits"], "seeds": [4, 7], "own_seeds": [], "held_out": [], **FIRST}
    return study(**{**small, **changes})


def held_out(
    model: str = "FF", classes: tuple[int, ...] = (0,), seeds: tuple[int, ...] = (7,)
) -> dict[str, Any]:
    named = {"protocols": "all", "model": model, "dataset": "digits"}
    return {**named, "classes": list(classes), "seeds": list(seeds)}
