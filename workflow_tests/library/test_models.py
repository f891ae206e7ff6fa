"""The registry of models: what a specification says, and that adding a model takes one."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes import recipe_of
from toy import TOY_SPEC, TOY_STEP

from ffensembles.engine.silent_stage import SilentStage
from ffensembles.models.plain import Task
from ffensembles.models.recipe import MODEL_TITLES, MODELS, Recipe
from ffensembles.models.spec import MODELS as SPECS
from ffensembles.models.spec import resolve
from ffensembles.training import loop

ROOT = Path(__file__).parents[2]


def recipe(model: str, **changes: object) -> Recipe:
    pairs = recipe_of("FF", "relu-l2", negatives="once", prediction="goodness", theta=None)
    return pairs.but(**{"model": model, "widths": (9, 7), "epochs": 5, "batch_size": 16, **changes})


def task(of: Recipe, seed: int = 3) -> Task:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(50, 12, generator=g, dtype=torch.float64)
    labels = torch.randint(0, 4, (50,), generator=g)
    return Task(of, seed, x, labels, torch.ones(50, dtype=torch.float64), torch.arange(4)[None])


def test_the_models_of_the_study_stand_in_their_order():
    assert MODELS == ("FF", "BPFF", "BP")
    assert MODEL_TITLES == {"FF": "FF", "BPFF": "BP/FF", "BP": "BP"}
    assert [name for name, spec in SPECS.items() if spec.layerwise] == ["FF"]
    assert [name for name, spec in SPECS.items() if spec.readout] == ["BP"]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_steps_can_be_imported(spec):
    assert callable(resolve(spec.plain_step))
    assert callable(resolve(spec.batched_step))


@pytest.mark.parametrize("module", ["spec", "specs", "specs.bp", "recipe", "fit"])
def test_the_registry_is_complete_whatever_is_imported_first_and_without_torch(module):
    code = (
        f"import ffensembles.models.{module}, sys; from ffensembles.models.spec import MODELS;"
        "print(*MODELS, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == ["FF", "BPFF", "BP", "False"]


@settings(deadline=None, max_examples=20)
@given(model=st.sampled_from(MODELS), theta=st.floats(0.1, 9), batch=st.none() | st.integers(1, 99))
def test_a_recipe_survives_json(model, theta, batch):
    one = recipe(model, theta=theta, batch_size=batch)
    assert Recipe.from_json(one.as_json()) == one
    assert one.images["labelled"] == one.spec.reads_labels


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the toy model's two files to the package for the duration of a test."""
    import ffensembles.engine.steps
    import ffensembles.models.specs
    from ffensembles.models import spec

    for package, text in (
        (ffensembles.models.specs, TOY_SPEC),
        (ffensembles.engine.steps, TOY_STEP),
    ):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "toy.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    for name in ("models.specs.toy", "engine.steps.toy"):
        monkeypatch.delitem(sys.modules, f"ffensembles.{name}", raising=False)
    monkeypatch.setattr(spec, "MODELS", spec._registered())


@pytest.mark.usefixtures("toy")
def test_a_model_is_added_by_its_specification_and_its_batched_step():
    one = recipe("TOY")
    assert one.spec.title == "Toy/LS"
    fast, plain = (
        loop.train(task(one), loop.Settings(engine=kind, block_size=8, record_every=1))
        for kind in ("fast", "plain")
    )
    assert fast.engine == SilentStage.__name__
    assert plain.engine == "PlainStage"
    assert set(fast.weights) == {
        f"{layer}.{part}"
        for layer in ("layer1", "layer2", "readout")
        for part in ("weight", "bias")
    }
    for name, weight in plain.weights.items():
        np.testing.assert_allclose(fast.weights[name], weight, rtol=1e-6, atol=1e-7)
    losses = [row["loss"] for row in plain.history]
    assert losses[-1] < losses[0]
    assert [row["loss"] for row in fast.history] == pytest.approx(losses, rel=1e-9)


def test_no_model_is_told_apart_by_its_name():
    """Only the publication's own numbers and claims name models."""
    named = r"""[("'\[]+["']?(?:FF|BP)"""
    compared = re.compile(rf"""model["'\])]*\s*(?:==|!=|(?<!for model) in)\s*{named}""")
    assert compared.search('if recipe.model == "BP":')
    assert compared.search("run['model'] in ('FF', 'BPFF')")
    assert not compared.search("for model in MODELS:")
    packages = [folder for folder in (ROOT / "ffensembles").iterdir() if folder.is_dir()]
    free = [package for package in packages if package.name not in ("publication", "__pycache__")]
    assert len(free) > 10
    for path in (path for package in free for path in package.rglob("*.py")):
        for line in path.read_text().splitlines():
            assert not compared.search(line), f"{path.name}: {line.strip()}"
