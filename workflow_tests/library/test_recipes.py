"""Recipes and the runs that are kept: a key that is added later changes nothing of them."""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
from run_files import DATA, RECIPE, RUN

from ffensembles.config import load_config
from ffensembles.config.schema import Mathematics
from ffensembles.models.fit import GoodnessFit
from ffensembles.models.recipe import Recipe, _check_parameters
from ffensembles.models.spec import MODELS
from ffensembles.runs import Run
from ffensembles.study.grid import Grid
from ffensembles.training.cache import Cache
from ffensembles.training.metadata import fingerprint, read_run

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "results" / "reference" / "runs"
PROFILE = ROOT / "profiles" / "reference" / "study.yaml"
FIRST_KEYS = {
    "model", "widths", "activation", "goodness", "normalisation", "normalise_input", "label_value",
    "prediction", "negatives", "held_out_negatives", "theta", "learning_rate", "epochs",
    "batch_size",
}  # fmt: skip
LATER = [field for field in fields(Recipe) if field.name not in FIRST_KEYS]


@dataclass(frozen=True)
class Grown(Recipe):
    """A recipe with two keys that were added later."""

    penalty: float = 0.0
    phases: str | None = None


def kept() -> Iterator[tuple[Path, Run]]:
    for path in sorted(KEPT.rglob("run.json")):
        yield path, Run(**read_run(path)["run"])


def grown(**changes: Any) -> Grown:
    return Grown.from_json({**RECIPE.as_json(), **changes})


def test_a_default_is_left_out_and_read_back():
    assert grown() == grown(penalty=0.0, phases=None) == grown(penalty=0)
    assert grown().as_json() == RECIPE.as_json()
    said = grown(penalty=0.25).as_json()
    assert said == {**RECIPE.as_json(), "penalty": 0.25}
    assert Grown.from_json(said) == grown(penalty=0.25)


def test_a_key_of_the_first_runs_has_to_be_there():
    content = RECIPE.as_json()
    del content["epochs"]
    with pytest.raises(KeyError, match="epochs"):
        Recipe.from_json(content)


def test_fingerprint_and_place_in_the_cache_stay_where_a_later_key_has_its_default(tmp_path: Path):
    before, same, other = (
        fingerprint([RUN.keys], one, DATA) for one in (RECIPE, grown(), grown(penalty=0.25))
    )
    assert before == same != other
    cache = Cache(tmp_path, "code")
    assert cache.place(before) == cache.place(same) != cache.place(other)


def test_every_kept_run_is_read_and_has_the_recipe_that_its_file_says():
    runs = list(kept())
    assert len(runs) > 40
    for path, _ in runs:
        said = read_run(path)["recipe"]
        assert Recipe.from_json(said).as_json() == said, path


def test_the_reference_study_asks_for_the_runs_that_are_kept():
    grid = Grid(load_config(ROOT / "config.yaml", PROFILE))
    asked = {*grid.runs, *grid.scope("untrained/"), *grid.scope("control/")}
    found = [(path, run) for path, run in kept() if run in asked]
    assert len(found) > 40
    for path, run in found:
        recipe = grid.recipe(run)
        read_run(path, fingerprint([run.keys], recipe, grid.images(run)))
        assert recipe.as_json().keys() <= FIRST_KEYS | {field.name for field in LATER}


@pytest.mark.parametrize("field", LATER, ids=lambda field: field.name)
def test_a_later_key_may_be_absent_from_the_configuration_and_means_the_same_there(field):
    """Older results keep their configuration.yaml, which an import of runs reads."""
    assert field.default is not MISSING
    groups = [Mathematics, *(spec.parameters for spec in MODELS.values())]
    found = [group.model_fields[field.name] for group in groups if field.name in group.model_fields]
    assert found
    assert all(one.default == field.default for one in found)


def test_a_parameter_that_a_recipe_would_leave_out_is_told(monkeypatch):
    class Warm(GoodnessFit):
        temperature: float = 1.0

    warm = replace(MODELS["FF"], name="WARM", parameters=Warm)
    monkeypatch.setitem(MODELS, "WARM", warm)
    with pytest.raises(TypeError, match="WARM: its parameter temperature is no attribute of Recip"):
        _check_parameters()
