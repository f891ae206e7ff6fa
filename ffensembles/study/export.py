"""Trained runs in one file: export them where they were trained, import them elsewhere.

`python -m ffensembles.study.export export results runs.zip` and, in another checkout,
`python -m ffensembles.study.export import runs.zip results`. The file is an ordinary zip, nothing
in it compressed; reading it runs nothing that is in it. It is an RO-Crate too: its
`ro-crate-metadata.json` describes it for other tools; nothing here depends on it.
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
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from ffensembles.analyses.tidy import read_frame
from ffensembles.config import load_config
from ffensembles.errors import FFEnsemblesError, StoreError
from ffensembles.runs import WHOLE, Run
from ffensembles.runtime.dependencies import ROOT
from ffensembles.runtime.files import atomic_path, check_beside, checksum, parse_json
from ffensembles.runtime.text import plural
from ffensembles.runtime.version import __version__
from ffensembles.study.code import files_of_run
from ffensembles.study.crate import CRATE, crate_metadata
from ffensembles.study.grid import SCOPES, Grid
from ffensembles.study.paths import PATTERNS
from ffensembles.training.cache import Cache, code_digest
from ffensembles.training.metadata import (
    check_file,
    checked_run,
    differences,
    fingerprint,
    read_run,
)

log = logging.getLogger(__name__)

_KINDS = ("weights", "history", "metadata")  # metadata last: a run that has it is complete
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

_Files = Mapping[str, Mapping[str, Any]]


def export_runs(results: str | Path, archive: str | Path) -> list[str]:
    """Write weights, history, readings and metadata of every finished run to one file.

    Readings (`training.readings`) are there only for runs that were trained with them. Returned are
    the runs' names.

    The archive is written whole or not at all; the same runs give the same bytes, but for the date
    in its RO-Crate metadata.

    Raises
    ------
    StoreError
        If there is no finished run, if a run's files are damaged or not of one training, or if a
        file cannot be read or written.
    """
    results = Path(results)
    found = {run: _finished_run(results, run) for run in _finished(results)}
    if not found:
        raise StoreError(f"{results}: holds no finished run; train some, or name another folder.")
    runs = [{"run": run.keys, "files": one.files} for run, one in found.items()]
    manifest = {"ffensembles": __version__, "runs": runs}
    crate = crate_metadata((run, one.files, one.metadata) for run, one in found.items())
    with atomic_path(archive) as temporary, zipfile.ZipFile(temporary, "w") as opened:
        opened.writestr(_member(_MANIFEST), json.dumps(manifest, indent=2) + "\n")
        opened.writestr(_member(CRATE), crate)
        for one in found.values():
            for name, known in one.files.items():
                content = (results / name).read_bytes()
                if hashlib.sha256(content).hexdigest() != known["sha256"]:
                    raise StoreError(
                        f"{results / name}: changed during the export; export the runs again."
                    )
                opened.writestr(_member(name), content)
    return [run.name for run in found]


def import_runs(
    archive: str | Path,
    results: str | Path,
    *,
    replace: bool = False,
    expected: Mapping[Run, Mapping[str, Any]] | None = None,
) -> list[str]:
    """Put an archive's runs below a results folder; return the names of those that were written.

    All runs are checked before any file is written. A run that is there already stays untouched;
    one that is there with other content too, with a warning, unless `replace`. After an
    interruption the same call writes what is missing. Each run goes to the cache of trained runs
    as well.

    Parameters
    ----------
    archive
        A file that `export_runs` wrote.
    results
        A study's results folder.
    replace
        Whether to replace runs that are there with other content.
    expected
        Fingerprints (`training.metadata.fingerprint`) of the study's runs: one with another
        fingerprint, trained by another recipe for example, is not imported, and a warning says
        in what it differs. None imports every run.

    Raises
    ------
    StoreError
        If the archive is missing or damaged, holds anything but files of runs, or holds a run
        whose metadata are damaged, have a wrong type or are those of another run: then nothing is
        written. Or if a file cannot be read or written.
    """
    archive, results, written = Path(archive), Path(results), []
    with _reading(archive, "its list of members"):
        opened = zipfile.ZipFile(archive)
    with opened:
        runs = _wanted(archive, _checked(archive, opened), expected or {})
        for run, one in runs.items():
            files = one.files
            there = {name: _digest(results / name) for name in files if (results / name).exists()}
            left = [name for name in _all_names(run)
                    if name in files and there.get(name) != files[name]["sha256"]]  # fmt: skip
            if any(name in there for name in left) and not replace:
                log.warning(
                    "%s: is there with other content and stays as it is; "
                    "import with --replace to replace it by the archive's.",
                    (results / _names(run)[0]).parent,
                )
                continue
            for name in left:
                content = _content(archive, opened, name, files)
                with atomic_path(results / name) as temporary:
                    temporary.write_bytes(content)
            _add_to_cache(results, one)
            written += [run.name] if left else []
    _warn_of_other_code(archive, {run: one for run, one in runs.items() if run.name in written})
    return written


@dataclass(frozen=True)
class _Archived:
    """A run of an archive: checksum and size of its files by name, and its metadata."""

    files: _Files
    metadata: Mapping[str, Any]


def _checked(archive: Path, opened: zipfile.ZipFile) -> dict[Run, _Archived]:
    """Check the whole archive, and return its runs."""
    return {
        run: _Archived(files, _metadata_in(archive, opened, run, files))
        for run, files in _listed(archive, opened).items()
    }


def _metadata_in(archive: Path, opened: zipfile.ZipFile, run: Run, files: _Files) -> dict[str, Any]:
    """Check a run's files in an archive against each other, and return its metadata."""
    weights, history, metadata = _names(run)
    content = {name: _content(archive, opened, name, files) for name in files}
    name = f"{archive}: {metadata}"
    said = checked_run(parse_json(content[metadata], name), name)
    known = (run.keys, files[weights]["sha256"], files[history]["sha256"])
    if known != (said["run"], said["weights_sha256"], said["history_sha256"]):
        raise StoreError(
            f"{name}: is not of the run and the files that it lies beside; export the runs again."
        )
    return said


def _wanted(
    archive: Path, runs: Mapping[Run, _Archived], expected: Mapping[Run, Mapping[str, Any]]
) -> dict[Run, _Archived]:
    """Leave out, with a warning, runs that a study asks for with another fingerprint."""
    wanted = {}
    for run, one in runs.items():
        found = one.metadata["fingerprint"]
        different = differences(found, expected.get(run, found))
        if different:
            log.warning(
                "%s: %s is not imported; it differs from the study's run: %s.",
                archive, run.name, different,
            )  # fmt: skip
        else:
            wanted[run] = one
    return wanted


@cache
def code_here(dataset: str, model: str) -> str:
    """Return the digest of the code that trains such a run in this checkout, as jobs have it."""
    files = files_of_run(dataset, model, "ffensembles.training.run")
    return code_digest(ROOT / path for path in files)


def _warn_of_other_code(archive: Path, imported: Mapping[Run, _Archived]) -> None:
    """Say how many runs were trained by other code: this checkout's cache does not keep these."""
    digests = {run: one.metadata.get("code_sha256") for run, one in imported.items()}
    other = sum(digest != code_here(run.dataset, run.model) for run, digest in digests.items())
    if other:
        log.warning(
            "%s: %s by other code than this checkout's. They are used as they are; what a workflow "
            "has to train again, for a changed input or a deleted file, is trained anew.",
            archive,
            f"{plural(other, 'run')} {'was' if other == 1 else 'were'} trained",
        )


def _add_to_cache(results: Path, one: _Archived) -> None:
    """Add a run to the cache, as one that was trained here."""
    if one.metadata.get("code_sha256"):
        cache = Cache(results / PATTERNS["cache"], one.metadata["code_sha256"])
        cache.add(one.metadata["fingerprint"], [results / name for name in one.files])


def _names(run: Run) -> list[str]:
    """Return the names of the files that every run has, in the order in which they are written."""
    return [PATTERNS[kind].format_map(run.wildcards) for kind in _KINDS]


def _readings(run: Run) -> str:
    """Return the name of the file that only runs with readings have."""
    return str(PurePosixPath(_names(run)[-1]).with_name(Cache.readings))


def _all_names(run: Run) -> list[str]:
    return [_readings(run), *_names(run)]


def _finished(results: Path) -> list[Run]:
    """Return the runs of which all files are there, in the order of their names."""
    paths = results.glob(re.sub(r"\{\w+\}", "*", PATTERNS["metadata"]))
    found = (re.fullmatch(_METADATA, path.relative_to(results).as_posix()) for path in paths)
    runs = [Run.from_wildcards(match.groupdict()) for match in found if match]
    whole = (run for run in runs if all((results / name).is_file() for name in _names(run)))
    return sorted(whole, key=lambda run: run.name)


def _finished_run(results: Path, run: Run) -> _Archived:
    """Return what an archive lists of a run, whose files have to be of one training."""
    weights, history, metadata = _names(run)
    said = read_run(results / metadata)
    if said["run"] != run.keys:
        raise StoreError(
            f"{results / metadata}: is of another run than its folder; delete the folder and "
            "train this run again."
        )
    check_file(results / weights, said, "weights_sha256")
    check_file(results / history, said, "history_sha256")
    names = _names(run)
    if _has_readings(results / _readings(run), said):
        names = _all_names(run)
    files = {
        name: {"sha256": _digest(results / name), "size": (results / name).stat().st_size}
        for name in names
    }
    return _Archived(files, said)


def _has_readings(path: Path, metadata: Mapping[str, Any]) -> bool:
    """Say whether there are readings of a run; those of another training are left out."""
    if not path.is_file():
        return False
    own = {*read_frame(path)["weights_sha256"]} == {metadata["weights_sha256"]}
    if not own:
        log.warning("%s: is of another training and is not exported.", path)
    return own


def _digest(path: Path) -> str:
    try:
        return checksum(path)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror}); repair or move it."
        ) from error


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, date_time=_EPOCH)
    member.create_system, member.external_attr = _UNIX, 0o644 << 16
    return member


def _listed(archive: Path, opened: zipfile.ZipFile) -> dict[Run, _Files]:
    """Return what a manifest lists, if it is files of runs and just what the archive holds."""
    members = [info for info in opened.infolist() if info.filename not in (_MANIFEST, CRATE)]
    with _reading(archive, _MANIFEST):
        if any(info.compress_type != zipfile.ZIP_STORED for info in opened.infolist()):
            raise ValueError("the archive was compressed after the export")
        listed = json.loads(opened.read(_MANIFEST))["runs"]
        runs: dict[Run, _Files] = {Run.from_wildcards(one["run"]): one["files"] for one in listed}
        sizes = {(name, files[name]["size"]) for files in runs.values() for name in files}
    if CRATE in opened.namelist():
        with _reading(archive, CRATE):
            opened.read(CRATE)  # raises if it has changed
    for run, files in runs.items():
        *others, metadata = _names(run)
        strange = ({*files} - {_readings(run)}) ^ {*others, metadata}
        if strange or not re.fullmatch(_METADATA, metadata):
            raise StoreError(
                f"{archive}: {min(strange, default=metadata)!r} is no file of a run, or is not "
                "listed with it; import only what `export` wrote."
            )
    different = dict(sizes ^ {(info.filename, info.file_size) for info in members})
    if different:
        raise _damaged(archive, min(different), f"it is not as {_MANIFEST} lists it")
    return runs


def _content(archive: Path, opened: zipfile.ZipFile, name: str, files: _Files) -> bytes:
    """Return a member's content if it is what the manifest says."""
    with _reading(archive, name):
        content = opened.read(name)
        if hashlib.sha256(content).hexdigest() != files[name]["sha256"]:
            raise ValueError("its checksum is another")
    return content


@contextmanager
def _reading(archive: Path, part: str) -> Iterator[None]:
    """Tell in one line what is wrong with a part of an archive."""
    try:
        yield
    except FileNotFoundError as error:
        raise StoreError(f"{archive}: is not there; name a file that `export` wrote.") from error
    except Exception as error:  # what damage makes zipfile raise is of many kinds
        raise _damaged(archive, part, error) from error


def _damaged(archive: Path, part: str, what: object) -> StoreError:
    return StoreError(
        f"{archive}: {part} is truncated or damaged ({what}); copy the archive here again, or "
        "export the runs again."
    )


def expected_in(*files: str | Path) -> dict[Run, dict[str, Any]]:
    """Return the fingerprint of every run that the study of some configuration files asks for.

    Raises
    ------
    ConfigError
        If the configuration is not valid.
    """
    grid = Grid(load_config(*files))
    runs = dict.fromkeys(run for scope in SCOPES for run in grid.scope(scope))
    return {run: fingerprint([run.keys], grid.recipe(run), grid.images(run)) for run in runs}


def main(words: list[str]) -> int:
    """Export or import, as the command line says; return its exit status."""
    parser = argparse.ArgumentParser(prog="ffensembles", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, places in (("export", ("results", "archive")), ("import", ("archive", "results"))):
        subparser = commands.add_parser(command)
        for place in places:
            subparser.add_argument(place, type=Path)
    subparser.add_argument("--replace", action="store_true", help="replace runs that differ")
    subparser.add_argument(
        "--config", nargs="+", type=Path, metavar="FILE",
        help="config.yaml and its overlays: runs of another recipe are not imported (default: "
        "configuration.yaml of the results folder, where there is one)",
    )  # fmt: skip
    given = vars(parser.parse_args(words))
    logging.basicConfig(format="%(message)s")
    command = given.pop("command")
    try:
        if command == "export":
            names = export_runs(**given)
        else:
            own = given["results"] / PATTERNS["configuration"]
            files = given.pop("config") or ([own] if own.exists() else [])
            check_beside(own)
            names = import_runs(**given, expected=expected_in(*files) if files else None)
    except FFEnsemblesError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{given['archive']}: {plural(len(names), 'run')} {command}ed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
