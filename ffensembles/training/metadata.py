"""A run's metadata, `run.json`: written with a checksum of itself, and checked on every reading.

It knows the checksums of the run's other files, and a fingerprint of all that determined the run.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ffensembles.errors import StoreError
from ffensembles.models.recipe import Recipe
from ffensembles.runtime.files import WAY_OUT, checksum, read_json, write_json

_SEAL = "sha256"
_OLDER = "meaning"  # what the fingerprint was called before metadata were sealed
_NOT_OF_IMAGES = ("source", "folder")
_NAMED = 3

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Keys(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    protocol: str
    dataset: str
    model: str
    held_out: int | None
    seed: int


class _Accuracy(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    network: float
    layers: list[float]


class _Metadata(BaseModel):
    """What has to be in a run's metadata; more may be."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    run: _Keys
    recipe: dict[str, Any]
    fingerprint: dict[str, Any]
    n_train: int
    n_test: int
    accuracy: _Accuracy
    dead_layers: list[int] = []
    lost_classes: list[int] = []
    warnings: list[str] = []
    seconds: Annotated[float, Field(ge=0)]
    runs_together: Annotated[int, Field(ge=1)] = 1
    weights_sha256: Digest
    history_sha256: Digest
    code_sha256: Digest | None = None
    provenance: dict[str, str]


def fingerprint(
    runs: Sequence[Mapping[str, Any]], recipe: Recipe, data: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all that determines some runs up to float rounding, as plain JSON types.

    Where data come from is no part of it, nor on what the runs are computed.

    Parameters
    ----------
    runs
        protocol, dataset, model, held_out and seed of each.
    recipe
        The mathematics.
    data
        What determines the images, as `datasets.prepare.prepare` takes it.
    """
    images = {key: data[key] for key in data if key not in _NOT_OF_IMAGES}
    content = {"runs": [dict(run) for run in runs], "recipe": recipe.as_json(), "data": images}
    return dict(json.loads(canonical(content)))


def canonical(content: Mapping[str, Any]) -> str:
    """Return JSON with sorted keys: the same content, the same text."""
    return json.dumps(content, sort_keys=True)


def write_run(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a run's metadata with a checksum of them in `sha256`, whole or not at all."""
    write_json(path, {**content, _SEAL: _digest(content)})


def read_run(
    path: str | Path,
    expected_fingerprint: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Read a run's metadata and check them: their own checksum, their types, the run's recipe.

    Parameters
    ----------
    path
        A run's `run.json`.
    expected_fingerprint
        What `fingerprint` returns for the run that is asked for; None accepts any run.

    Returns
    -------
    dict
        The content without the checksum.

    Raises
    ------
    StoreError
        If the file cannot be read or has changed, if a value has a wrong type, or if the run is
        another than the one that is asked for.
    """
    found = checked_run(read_json(path), path)
    if expected_fingerprint is not None:
        different = differences(found["fingerprint"], expected_fingerprint)
        if different:
            raise StoreError(
                f"{path}: this run is not the one that the study asks for ({different}). Delete "
                "its folder and start the same command again to train it, or change the "
                "configuration to this run's recipe."
            )
    return found


def read_runs(
    paths: Iterable[str | Path], fingerprints: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Yield the keys and the metadata of runs, each checked against its fingerprint.

    Raises
    ------
    StoreError
        As for `read_run`.
    """
    for path, expected in zip(paths, fingerprints, strict=True):
        (keys,) = expected["runs"]
        yield keys, read_run(path, expected)


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Say in what two fingerprints differ; nothing where they are the same.

    Examples
    --------
    >>> differences({"recipe": {"epochs": 3}}, {"recipe": {"epochs": 40}})
    'recipe.epochs: 3 here, 40 in the study'
    """
    different = list(_differences(found, expected))
    more = f" and {len(different) - _NAMED} more" if len(different) > _NAMED else ""
    return "; ".join(different[:_NAMED]) + more


def checked_run(content: Mapping[str, Any], name: object) -> dict[str, Any]:
    """Return a run's metadata if they are sound; `name` says in errors where they come from.

    Raises
    ------
    StoreError
        As `read_run`.
    """
    found = dict(content)
    said = found.pop(_SEAL, None)
    if _OLDER in found and said is None:
        raise StoreError(
            f"{name}: is of an older version, without a checksum of itself; `ffensembles verify "
            "--seal RESULTS` adds one to each run of a results folder."
        )
    if said != _digest(found):
        raise StoreError(f"{name}: has changed since it was written; {WAY_OUT}.")
    _check_types(found, name)
    return found


def seal_run(path: str | Path) -> bool:
    """Bring a run's metadata of an older version to today's; return whether that was needed.

    `meaning` is renamed `fingerprint`, and the checksums of the history and of the content are
    added. Nothing else changes. From then on each change is found; that the content was right
    before, only the person who asks for it can know.

    Parameters
    ----------
    path
        A run's `run.json`, with the history beside it.

    Raises
    ------
    StoreError
        If a file cannot be read, a value has a wrong type, or recipe, run and fingerprint do not
        agree.
    """
    found = read_json(path)
    if _SEAL in found or _OLDER not in found:
        return False
    # the keys stay in their order
    found = {"fingerprint" if key == _OLDER else key: value for key, value in found.items()}
    history = Path(path).with_name("history.csv")
    if "history_sha256" not in found and history.exists():
        found["history_sha256"] = checksum(history)
    _check_types(found, path)
    same = fingerprint([found["run"]], Recipe.from_json(found["recipe"]), {})
    different = differences({**found["fingerprint"], "data": {}}, same)
    if different:
        raise StoreError(
            f"{path}: its fingerprint is not that of its run ({different}); {WAY_OUT}."
        )
    write_run(path, found)
    return True


def _check_types(found: Mapping[str, Any], name: object) -> None:
    try:
        _Metadata.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise StoreError(f"{name}: {place}: {first['msg']}; {WAY_OUT}.") from error


def check_file(path: str | Path, metadata: Mapping[str, Any], key: str) -> None:
    """Check that a run's file is the one that its metadata name.

    Parameters
    ----------
    path
        The run's weights or history.
    metadata
        What `read_run` returned.
    key
        `weights_sha256` or `history_sha256`.

    Raises
    ------
    StoreError
        If the file cannot be read or has changed.
    """
    try:
        found = checksum(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error}); {WAY_OUT}.") from error
    if found != metadata[key]:
        raise StoreError(
            f"{path}: is not the file that run.json beside it names: it has changed, or is of "
            "another training. Delete this run's folder and start the same command again."
        )


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def _differences(found: Any, expected: Any, place: str = "") -> Iterator[str]:
    """Name the values in which two fingerprints differ."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in sorted({*found, *expected}):
            inner = f"{place}.{key}" if place else str(key)
            yield from _differences(found.get(key), expected.get(key), inner)
    elif found != expected:
        yield f"{place}: {found!r} here, {expected!r} in the study"
