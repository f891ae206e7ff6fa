"""Trained runs in one file: packed where they were trained, taken up elsewhere untrained.

`python -m ffensembles.study.export pack results runs.zip` and, in another checkout,
`python -m ffensembles.study.export unpack runs.zip results`. The file is an ordinary zip, nothing in
it compressed; reading it runs nothing that is in it.
"""

import argparse
import hashlib
import json
import logging
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ffensembles import __version__
from ffensembles.errors import FFEnsemblesError, StoreError
from ffensembles.runs import PATTERNS, WHOLE, Run
from ffensembles.runtime.files import atomic_path, checksum, read_json
from ffensembles.runtime.text import plural
from ffensembles.training.cache import Kept

log = logging.getLogger(__name__)

_KINDS = ("weights", "history", "metadata")  # metadata last: where it is, a run is whole
_MANIFEST = "manifest.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can hold: same runs, same bytes
_UNIX = 3

_NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"  # one plain part of a path: none leads elsewhere
_VALUES = {"held_out": f"{WHOLE}|[0-9]+", "seed": "[0-9]+"}
_METADATA = re.sub(
    r"\\{(\w+)\\}",
    lambda found: f"(?P<{found[1]}>{_VALUES.get(found[1], _NAME)})",
    re.escape(PATTERNS["metadata"]),
)


def pack(results: str | Path, archive: str | Path) -> list[str]:
    """Pack weights, history and metadata of every finished run; return the runs' names.

    The archive is written whole or not at all; the same runs give the same bytes.

    Raises
    ------
    StoreError
        If there is no finished run, if weights are not those that their metadata tell of, or if
        a file cannot be read or written.
    """
    results = Path(results)
    found = {run: _files(results, run) for run in _finished(results)}
    if not found:
        raise StoreError(f"{results}: holds no finished run; train some, or name another folder.")
    runs = [{"run": run.keys, "files": files} for run, files in found.items()]
    manifest = {"ffensembles": __version__, "runs": runs}
    with atomic_path(archive) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        packed.writestr(_member(_MANIFEST), json.dumps(manifest, indent=2) + "\n")
        for files in found.values():
            for name, known in files.items():
                content = (results / name).read_bytes()
                if hashlib.sha256(content).hexdigest() != known["sha256"]:
                    raise StoreError(f"{results / name}: changed while it was packed; pack again.")
                packed.writestr(_member(name), content)
    return [run.name for run in found]


def unpack(archive: str | Path, results: str | Path, *, replace: bool = False) -> list[str]:
    """Put an archive's runs below a results folder; return the names of those that were put.

    A run that is there already stays untouched. One that is there with other content does too,
    and a warning names it, unless the archive's shall `replace` it. An interrupted call is made
    good by the next. Whether the runs are of the study's recipes is not looked at.

    Raises
    ------
    StoreError
        If the archive is missing or damaged, or holds anything but files of runs: then nothing
        is unpacked. Or if a file cannot be read or written.
    """
    archive, results, put = Path(archive), Path(results), []
    with _reading(archive, "its list of members"):
        packed = zipfile.ZipFile(archive)
    with packed:
        runs = _listed(archive, packed)
        for files in runs.values():
            for name in files:
                _content(archive, packed, name, files)
        for run, files in runs.items():
            there = {name: _digest(results / name) for name in files if (results / name).exists()}
            left = [name for name in _names(run) if there.get(name) != files[name]["sha256"]]
            if any(name in there for name in left) and not replace:
                log.warning(
                    "%s: is there with other content and stays as it is; "
                    "unpack with --replace to put the archive's in its place.",
                    (results / _names(run)[0]).parent,
                )
                continue
            for name in left:
                content = _content(archive, packed, name, files)
                with atomic_path(results / name) as temporary:
                    temporary.write_bytes(content)
            _keep(results, run)
            put += [run.name] if left else []
    return put


def _keep(results: Path, run: Run) -> None:
    """Keep a run as one that was trained here is kept: a workflow that asks for it takes it."""
    paths = [results / name for name in _names(run)]
    said = read_json(paths[-1])
    if said.get("code_sha256"):
        meaning = json.dumps(said["meaning"], sort_keys=True)
        Kept(results / PATTERNS["kept"], said["code_sha256"]).keep(meaning, paths)


def _names(run: Run) -> list[str]:
    """Return the names of a run's files in the order in which they are written."""
    return [PATTERNS[kind].format_map(run.wildcards) for kind in _KINDS]


def _finished(results: Path) -> list[Run]:
    """Return the runs of which all files are there, in the order of their names."""
    paths = results.glob(re.sub(r"\{\w+\}", "*", PATTERNS["metadata"]))
    found = (re.fullmatch(_METADATA, path.relative_to(results).as_posix()) for path in paths)
    runs = [Run.from_wildcards(match.groupdict()) for match in found if match]
    whole = (run for run in runs if all((results / name).is_file() for name in _names(run)))
    return sorted(whole, key=lambda run: run.name)


def _files(results: Path, run: Run) -> dict[str, dict[str, Any]]:
    """Return checksum and size of a run's files, which have to be of one training."""
    weights, _, metadata = _names(run)
    said = read_json(results / metadata)
    files = {
        name: {"sha256": _digest(results / name), "size": (results / name).stat().st_size}
        for name in _names(run)
    }
    if said.get("run") != run.keys or said.get("weights_sha256") != files[weights]["sha256"]:
        raise StoreError(
            f"{results / weights}: is not the file that run.json beside it tells of; delete "
            "both and train this run again."
        )
    return files


def _digest(path: Path) -> str:
    try:
        return checksum(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); mend or move it.") from error


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, date_time=_EPOCH)
    member.create_system, member.external_attr = _UNIX, 0o644 << 16
    return member


_Files = Mapping[str, Mapping[str, Any]]


def _listed(archive: Path, packed: zipfile.ZipFile) -> dict[Run, _Files]:
    """Return what a manifest lists, if it is files of runs and just what the archive holds."""
    members = [info for info in packed.infolist() if info.filename != _MANIFEST]
    with _reading(archive, _MANIFEST):
        if any(info.compress_type != zipfile.ZIP_STORED for info in packed.infolist()):
            raise ValueError("the archive was compressed since it was packed")
        listed = json.loads(packed.read(_MANIFEST))["runs"]
        runs: dict[Run, _Files] = {Run.from_wildcards(one["run"]): one["files"] for one in listed}
        sizes = {(name, files[name]["size"]) for files in runs.values() for name in files}
    for run, files in runs.items():
        *others, metadata = _names(run)
        strange = {*files} ^ {*others, metadata}
        if strange or not re.fullmatch(_METADATA, metadata):
            raise StoreError(
                f"{archive}: {min(strange, default=metadata)!r} is no file of a run, or is not "
                "listed with it; unpack only what `pack` wrote."
            )
    different = dict(sizes ^ {(info.filename, info.file_size) for info in members})
    if different:
        raise _damaged(archive, min(different), f"it is not as {_MANIFEST} lists it")
    return runs


def _content(archive: Path, packed: zipfile.ZipFile, name: str, files: _Files) -> bytes:
    """Return a member's content if it is what the manifest says."""
    with _reading(archive, name):
        content = packed.read(name)
        if hashlib.sha256(content).hexdigest() != files[name]["sha256"]:
            raise ValueError("its checksum is another")
    return content


@contextmanager
def _reading(archive: Path, part: str) -> Iterator[None]:
    """Tell in one line what is wrong with a part of an archive."""
    try:
        yield
    except FileNotFoundError as error:
        raise StoreError(f"{archive}: is not there; name a file that `pack` wrote.") from error
    except Exception as error:  # what damage makes zipfile raise is of many kinds
        raise _damaged(archive, part, error) from error


def _damaged(archive: Path, part: str, what: object) -> StoreError:
    return StoreError(
        f"{archive}: {part} is truncated or damaged ({what}); copy the archive here again, or pack "
        "it anew."
    )


def main(words: list[str]) -> int:
    """Pack or unpack, as the command line says; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m ffensembles.study.export", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, places in (("pack", ("results", "archive")), ("unpack", ("archive", "results"))):
        subparser = commands.add_parser(command)
        for place in places:
            subparser.add_argument(place, type=Path)
    subparser.add_argument("--replace", action="store_true", help="replace runs that differ")
    given = vars(parser.parse_args(words))
    logging.basicConfig(format="%(message)s")
    command = given.pop("command")
    try:
        names = pack(**given) if command == "pack" else unpack(**given)
    except FFEnsemblesError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{given['archive']}: {plural(len(names), 'run')} {command}ed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
