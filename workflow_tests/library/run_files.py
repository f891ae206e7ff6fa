"""Files of a run as training writes them, made up and small, for tests."""

from pathlib import Path
from typing import Any

import numpy as np
from recipes import recipe_of
from safetensors.numpy import save_file

from ffensembles.models.recipe import Recipe
from ffensembles.runs import Run
from ffensembles.runtime.files import checksum, write_rows
from ffensembles.study.export import code_here
from ffensembles.training.metadata import fingerprint, write_run

RECIPE = recipe_of("FF", widths=(5, 4), epochs=40)
DATA = {"standardisation": "own", "train_images": 400, "test_images": 100, "split_seed": 0}
RUN = Run("sigmoid-linf", "digits", "FF", None, 2)


def metadata(one: Run = RUN, recipe: Recipe = RECIPE, **changes: Any) -> dict[str, Any]:
    """Return the content of a run.json, without its seal."""
    recipe = recipe.but(model=one.model)
    return {
        "run": one.keys,
        "recipe": recipe.as_json(),
        "n_train": 400,
        "n_test": 100,
        "accuracy": {"network": 0.875, "layers": [0.75, 0.5]},
        "warnings": [],
        "dead_layers": [],
        "lost_classes": [],
        "engine": "BatchedStage",
        "seconds": 12.5,
        "runs_together": 1,
        "weights_sha256": "0" * 64,
        "history_sha256": "0" * 64,
        "code_sha256": code_here(one.dataset, one.model),
        "fingerprint": fingerprint([one.keys], recipe, DATA),
        "provenance": {"ffensembles": "0.1.0", "device": "cpu, 1 threads"},
        **changes,
    }


def make_run(
    folder: Path, run: Run = RUN, recipe: Recipe = RECIPE, seed: int = 0, **changes: Any
) -> Path:
    """Write a run's three files into a folder; `seed` changes the weights. Return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    weights = {f"layer{k}.weight": rng.normal(size=(6 - k, 3)).astype(np.float32) for k in (1, 2)}
    save_file(weights, folder / "weights.safetensors")
    rows = [{"epoch": epoch, "loss": 1 / epoch} for epoch in (1, 2, 3)]
    write_rows(folder / "history.csv", rows, ["epoch", "loss"])
    digests = {
        "weights_sha256": checksum(folder / "weights.safetensors"),
        "history_sha256": checksum(folder / "history.csv"),
    }
    write_run(folder / "run.json", metadata(run, recipe, **{**digests, **changes}))
    return folder
