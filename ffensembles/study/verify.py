"""Check every kept file of results folders: `ffensembles verify RESULTS`.

Each kind of file is opened by the function that the study reads it with, so that nothing is checked
here that a job would not check, and nothing is believed here that a job would refuse.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ffensembles.analyses.tidy import read_frame, read_history
from ffensembles.errors import FFEnsemblesError
from ffensembles.representations.store import open_tree
from ffensembles.representations.weights import load_weights
from ffensembles.runtime.files import (
    WAY_OUT,
    check_beside,
    check_checksums,
    check_seal,
    checksum_file,
    write_checksums,
)
from ffensembles.runtime.text import plural
from ffensembles.training.metadata import read_run, seal_run

READERS: dict[str, Callable[[Path], Any]] = {
    "run.json": read_run,
    "weights.safetensors": load_weights,
    "history.csv": read_history,
    "checkpoint.safetensors": lambda path: check_seal(path.read_bytes(), path),
    "*.zarr.zip": lambda path: open_tree(path).load(),
    "*.parquet": read_frame,
    "*.csv": read_frame,
    "configuration.yaml": check_beside,
    ".*.sha256": check_checksums,
}
"""What reads, and so checks, the files with a name; the first that fits counts."""

NOTED: dict[str, tuple[str, ...]] = {
    "tidy": (".csv",),
    "tables": (".csv",),
    "reproduction": (".csv", ".md"),
}
"""Files whose checksum is noted beside them, by folder and ending."""

SHOWN: dict[str, tuple[str, ...]] = {
    "tables": (".md", ".tex", ".html", ".rst"),
    "figures": (".pdf", ".png", ".rst"),
    "reproduction": (".pdf", ".png", ".rst"),
}
"""Files that share a note with the others of their stem, by folder and ending."""

UNREAD: dict[str, str] = {
    "data/*.json": "dates the data; no job reads it",
    "blocks/*.json": "dates the training of a block; no job reads it",
    "logs/*.log": "for people; `ffensembles status` reads trainings' logs",
    "benchmarks/*.tsv": "written by Snakemake; what runs have cost is made from them",
    "report.html": "the last result; made from files that are checked",
    "report.rst": "the report's first page; made anew with it",
}
"""Files without a checksum, and why a changed byte in them changes no result."""


@dataclass
class Verified:
    """What was found in a results folder.

    Attributes
    ----------
    sound
        How many files were read and found sound.
    damaged
        One message for each that was not.
    unnoted
        Files whose checksum an older version did not note.
    sealed
        How many files were given a checksum.
    """

    sound: int = 0
    damaged: list[str] = field(default_factory=list)
    unnoted: list[Path] = field(default_factory=list)
    sealed: int = 0


def reader(path: Path) -> Callable[[Path], Any] | None:
    """Return the function that reads a kept file, by its name; None where nothing reads it."""
    return next((read for name, read in READERS.items() if path.match(name)), None)


def notes(results: Path) -> dict[Path, list[Path]]:
    """Return the files whose checksums are noted together, by what the note is called after."""
    found: dict[Path, list[Path]] = {}
    if (results / "configuration.yaml").exists():
        found[results / "configuration.yaml"] = [results / "configuration.yaml"]
    for kinds, shared in ((NOTED, False), (SHOWN, True)):
        for folder, endings in kinds.items():
            for path in sorted((results / folder).rglob("[!.]*")):
                if path.suffix in endings:
                    found.setdefault(path.with_suffix("") if shared else path, []).append(path)
    return found


def verify(results: str | Path, *, seal: bool = False) -> Verified:
    """Read every kept file below a results folder.

    Parameters
    ----------
    results
        A study's results folder.
    seal
        Whether to give checksums to what an older version wrote without any, as it is now.
    """
    results, found = Path(results), Verified()
    if seal:
        for path in sorted(results.rglob("run.json")):
            try:
                found.sealed += seal_run(path)
            except (FFEnsemblesError, OSError):
                continue  # it is told below, as one that cannot be read
    for stem, files in notes(results).items():
        if not checksum_file(stem).exists():
            if seal:
                try:
                    write_checksums(stem, files)
                    found.sealed += len(files)
                except OSError as error:
                    found.damaged.append(_unreadable(error, stem))
            else:
                found.unnoted += files
    for path in sorted(results.rglob("*")):
        read = reader(path) if path.is_file() else None
        if read is None:
            continue
        try:
            read(path)
            found.sound += 1
        except (FFEnsemblesError, OSError) as error:
            said = _unreadable(error, path) if isinstance(error, OSError) else str(error)
            if said not in found.damaged:  # a history names its run.json
                found.damaged.append(said)
    return found


def _unreadable(error: OSError, path: Path) -> str:
    """Say which file the system does not read."""
    return (
        f"{error.filename or path}: cannot be read ({error.strerror or error}); check its "
        f"permissions and the disk, or {WAY_OUT}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Check results folders and print what is damaged; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="ffensembles verify",
        description="Read every kept file of results folders and name those that have changed.",
    )
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument(
        "--seal", action="store_true",
        help="give checksums to files that an older version wrote without any",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    status = 0
    for results in given.results:
        if not results.is_dir():
            print(f"{results}: is no folder; name a results folder.", file=sys.stderr)
            return 2
        found = verify(results, seal=given.seal)
        print("".join(f"{line}\n" for line in found.damaged), end="")
        said = [f"{plural(found.sound, 'file')} sound", f"{len(found.damaged)} damaged"]
        if found.unnoted:
            said.append(f"{len(found.unnoted)} without a checksum (--seal adds it)")
        if found.sealed:
            said.append(f"{found.sealed} given a checksum")
        print(f"{results}: {', '.join(said)}")
        status |= bool(found.damaged)
    return status


if __name__ == "__main__":
    sys.exit(main())
