"""Checkpoints: the state of a block of runs as a file, and what it must agree with."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ffensembles.errors import StoreError
from ffensembles.models.recipe import Recipe
from ffensembles.runtime.files import SEAL, atomic_path, check_seal, seal
from ffensembles.training import loop
from ffensembles.training.metadata import canonical, fingerprint

log = logging.getLogger(__name__)

_CODE = " code "  # in a checkpoint's origin, before the digest of the code


def identity(
    runs: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    data: Mapping[str, Any],
    settings: loop.Settings,
    code: str | None = None,
) -> str:
    """Return what a checkpoint must agree with: the runs, and what computes them.

    Each engine, and each kind of device, keeps a memory of its own. `code` is the digest of the
    code that trains (`Cache.code`): a run of half old and half new code, or of two versions of
    torch, is neither's. What is read meanwhile is no part of it, since no weight depends on that.
    """
    kind = settings.device.partition(":")[0]
    text = canonical(fingerprint(runs, recipe, data))  # first: `runs_of` reads it
    made_by = "" if code is None else f"{_CODE}{code}"
    return f"{text} {settings.engine} {kind} {loop.MEMORY} torch {torch.__version__}{made_by}"


def write_checkpoint(path: Path, state: loop.State, origin: str) -> None:
    """Write a state, whole or not at all; the previous one stays if that fails."""
    metadata = {"origin": origin, "progress": json.dumps(state.progress), "seal": SEAL}
    with atomic_path(path) as temporary:
        temporary.write_bytes(seal(save(state.arrays, metadata)))


def read_checkpoint(path: Path, origin: str) -> loop.State | None:
    """Read the state that a run may go on from; None where it must start from the beginning.

    A checkpoint of another recipe, engine or code, or a damaged one, is not used, and the log says
    so.
    """
    if not path.exists():
        return None
    try:
        check_seal(path.read_bytes(), path)
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            former = metadata.get("origin", "")
            if former != origin:
                log.warning("%s: is of %s; training starts from the beginning", path,
                            _what_differs(former, origin))  # fmt: skip
                return None
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return loop.State(arrays, json.loads(metadata["progress"]))
    except (StoreError, SafetensorError, OSError, KeyError, ValueError) as error:
        log.warning("%s: cannot be read (%s); training starts from the beginning", path, error)
        return None


def _what_differs(former: str, now: str) -> str:
    """Say what a checkpoint is of, from its origin and the one that was expected."""
    if former.partition(_CODE)[0] == now.partition(_CODE)[0]:
        return "other code: the library has been changed since"
    return "another recipe, data, engine, kind of device (cpu, cuda) or version of torch"


def origin_of(path: Path) -> str | None:
    """Return what a checkpoint says it is of; None where there is none that can be read."""
    try:
        with safe_open(path, framework="numpy") as file:
            return (file.metadata() or {}).get("origin")
    except (SafetensorError, OSError):
        return None


def runs_of(origin: str | None) -> list[dict[str, Any]]:
    """Return the keys of the runs that a checkpoint's origin names; none where it names none."""
    try:
        found, _ = json.JSONDecoder().raw_decode(origin or "")
        return list(found["runs"])
    except (ValueError, TypeError, KeyError):
        return []
