"""One run from its data to its files: weights, history, and what the run was.

A killed run goes on from its checkpoint when started again, and ends with the same weights.
"""

import json
import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ffensembles import engine
from ffensembles.datasets.prepare import Presentations, prepare
from ffensembles.engine import devices
from ffensembles.errors import TrainingError
from ffensembles.files import atomic_path, checksum, write_json, write_rows
from ffensembles.provenance import provenance
from ffensembles.recipe import Recipe

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFiles:
    """Where one run's results go; the checkpoint is gone when the run is done."""

    weights: Path
    history: Path
    metadata: Path
    checkpoint: Path


def run_training(
    run: Mapping[str, Any],
    recipe: Recipe,
    data: Mapping[str, Any],
    training: Mapping[str, Any],
    files: RunFiles,
    threads: int = 1,
) -> None:
    """Train one run and write its files.

    Parameters
    ----------
    run
        protocol, dataset, model, held_out (class or None) and seed.
    recipe
        The mathematics.
    data
        What `datasets.prepare.prepare` takes beside the data set's name: standardisation, source,
        folder, train_images, test_images, split_seed.
    training
        The configuration's `training` section.
    files
        Where results and checkpoint go.
    threads
        Threads to compute with.

    Raises
    ------
    DataError
        If the data set cannot be had.
    TrainingError
        If a loss stops being finite, or training was asked to stop (its state is saved).
    StoreError
        If a result cannot be written; the last checkpoint stays.
    """
    held_out, seed = run["held_out"], int(run["seed"])
    device = devices.choose(training["device"], threads)
    images = prepare(run["dataset"], "train", recipe, data).without(held_out)
    test = prepare(run["dataset"], "test", recipe, data)
    log.info("%d training images of %s, seed %d", len(images.labels), run["dataset"], seed)
    settings = engine.Settings(
        **{key: training[key] for key in training if key != "device"}, device=str(device)
    )
    origin = identity(run, recipe, data, settings)
    with devices.precision(settings.precision), _asked_to_stop() as stop:
        try:
            trained = engine.train(
                devices.task(images, recipe, seed, held_out, device),
                settings,
                devices.held(test, device),
                state=read_checkpoint(files.checkpoint, origin),
                save=lambda state: write_checkpoint(files.checkpoint, state, origin),
                stop=stop,
            )
        except engine.Stopped:
            raise TrainingError(
                f"{files.checkpoint}: training was asked to stop and its state is saved here; "
                "start the same command again and it goes on."
            ) from None
    origins = provenance(recipe=recipe, run=run, device=devices.describe(device))
    with atomic_path(files.weights) as temporary:
        save_file(trained.weights, temporary, metadata=origins)
    write_rows(files.history, [_measured(row) for row in trained.history], engine.HISTORY_COLUMNS)
    write_json(
        files.metadata,
        {
            "run": dict(run),
            "recipe": recipe.as_json(),
            "n_train": len(images.labels),
            "n_test": len(test.labels),
            "accuracy": trained.accuracy,
            "warnings": trained.warnings,
            "dead_layers": trained.dead_layers,
            "lost_classes": trained.lost_classes,
            "engine": trained.engine,
            "seconds": trained.seconds,
            "weights_sha256": checksum(files.weights),
            "provenance": origins,
        },
    )
    files.checkpoint.unlink(missing_ok=True)


def _measured(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row of the history really measured: BP has no goodness and no winners."""
    absent = {"goodness_positive", "goodness_negative", "winners"} if row["winners"] < 0 else set()
    return {key: value for key, value in row.items() if key not in absent}


def identity(
    run: Mapping[str, Any], recipe: Recipe, data: Mapping[str, Any], settings: engine.Settings
) -> str:
    """Return what a checkpoint must agree with to be gone on from, as JSON.

    The engine is part of it: the fast one and the reference keep different memories. Where data
    come from is not.
    """
    shape = {key: data[key] for key in sorted(data) if key not in ("source", "folder")}
    content = {"run": dict(run), "recipe": recipe.as_json(), "data": shape}
    return json.dumps({**content, "engine": settings.engine}, sort_keys=True)


def write_checkpoint(path: Path, state: engine.State, origin: str) -> None:
    """Write a state, whole or not at all; the previous one stays if that fails."""
    metadata = {"origin": origin, "progress": json.dumps(state.progress)}
    with atomic_path(path) as temporary:
        save_file(state.arrays, temporary, metadata=metadata)


def read_checkpoint(path: Path, origin: str) -> engine.State | None:
    """Read the state that a run may go on from; None where it must start anew.

    A checkpoint of another recipe or a damaged one is passed over, and the log says so.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("origin") != origin:
                log.warning("%s: is of another recipe or data; starting anew", path)
                return None
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return engine.State(arrays, json.loads(metadata["progress"]))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        log.warning("%s: cannot be read (%s); starting anew", path, error)
        return None


@contextmanager
def _asked_to_stop() -> Iterator[Any]:
    """Turn SIGTERM and SIGINT into a wish that is asked for between epochs."""
    wish: list[int] = []

    def wished(number: int, frame: FrameType | None) -> None:
        wish.append(number)
        log.warning("signal %d: saving the state after this epoch", number)

    former = {number: signal.signal(number, wished) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(wish)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


__all__ = ["Presentations", "RunFiles", "identity", "read_checkpoint", "run_training"]
