"""Writing results so that a file is either whole or not there, and checking them when read."""

import csv
import errno
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ffensembles.errors import FFEnsemblesError, StoreError

_FULL = {
    errno.ENOSPC: "the disk is full: free some space and start the same command again",
    errno.EDQUOT: "the disk quota is used up: free some space and start the same command again",
}
_WAYS_OUT = _FULL | {
    errno.EROFS: "the file system is read-only: make it writable or set another {setting}",
    errno.EACCES: "permission was denied: check the folder's owner or set another {setting}",
}

WAY_OUT = "delete it and start the same command again"
"""What to do about a result that cannot be read."""

SEAL = "sha256:" + 64 * "0"
"""Stands in a file's metadata until `seal` puts the digest of the file there."""

_ABANDONED_SECONDS = 24 * 3600
"""A temporary file that has not changed for so long is of a process that was killed."""

_SEAL = re.compile(rb"sha256:([0-9a-f]{64})")


@contextmanager
def atomic_path(path: str | Path, setting: str = "`results` folder") -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` only if all went well.

    `setting` is what a message names for another place.

    Raises
    ------
    StoreError
        If the file cannot be written (disk full, read-only, no permission). What stood at
        `path` before is untouched.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path.parent, f".{path.name}.", ".part")
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(default_mode(0o666))  # mkstemp makes files private
        temporary.replace(path)
    except FFEnsemblesError:
        raise
    except Exception as error:
        problem = unwritable(path, error, setting)
        if problem is None:
            raise
        raise problem from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def unwritable(
    path: str | Path, error: BaseException, setting: str = "`results` folder"
) -> StoreError | None:
    """Return what to tell of a file that cannot be written; None if that is not what happened."""
    number = error.errno if isinstance(error, OSError) else None
    way_out = _WAYS_OUT.get(number or 0) or full_disk(error)
    if way_out is None:
        return None
    return StoreError(f"{path}: cannot be written; {way_out.format(setting=setting)}.")


def remove_abandoned(folder: Path, prefix: str, suffix: str = "") -> None:
    """Remove the temporary files and folders of processes that were killed while they wrote.

    Removed is what has such a name and has not changed for a day: none that is written now.
    """
    try:
        named = [
            path
            for path in folder.iterdir()
            if path.name.startswith(prefix) and path.name.endswith(suffix)
        ]
    except OSError:  # the folder is told of when something is written to it
        return
    for path in named:
        with suppress(OSError):  # another process removes it, or it is a colleague's: it may stay
            if time.time() - path.lstat().st_mtime < _ABANDONED_SECONDS:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def default_mode(mode: int) -> int:
    """Return the mode of a new file (0o666) or folder (0o777) under this user's umask."""
    umask = os.umask(0)
    os.umask(umask)
    return mode & ~umask


def full_disk(error: BaseException) -> str | None:
    """Say what to do if an error, or one that it was raised from, means a full disk or quota.

    Libraries wrap the error of the operating system; some keep nothing but its text.
    """
    link: BaseException | None = error
    while link is not None:
        for number, way_out in _FULL.items():
            if getattr(link, "errno", None) == number or os.strerror(number) in str(link):
                return way_out
        link = link.__cause__ or link.__context__
    return None


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, sort_keys=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    StoreError
        If the file is missing, is not a whole JSON object, or holds a number that is not finite.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error}); {WAY_OUT}.") from error
    return parse_json(content, path)


def parse_json(content: bytes, name: object) -> dict[str, Any]:
    """Return the JSON object that some bytes hold; `name` says in errors where they come from.

    Raises
    ------
    StoreError
        If it is no whole JSON object, or holds a number that is not finite (`NaN`, `1e400`).
    """
    try:
        found = json.loads(content.decode(), parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{name}: cannot be read ({error}); {WAY_OUT}.") from error
    if not isinstance(found, dict):
        raise StoreError(f"{name}: holds no JSON object; {WAY_OUT}.")
    return found


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is not a finite number")
    return value


def write_rows(path: str | Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write `rows` as CSV with the given `columns`; a missing value is an empty cell."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def checksum(path: str | Path, algorithm: str = "sha256") -> str:
    """Return the hexadecimal digest of a file, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def checksum_file(path: str | Path) -> Path:
    """Return where the checksums of a file, or of the files that share a stem, are noted."""
    path = Path(path)
    return path.with_name(f".{path.name}.sha256")


def write_checksums(stem: str | Path, files: Sequence[str | Path]) -> None:
    """Note the SHA-256 of files in a hidden file beside them, as `sha256sum --check` reads it.

    It is for formats without a place for a checksum, and for files that other programs show.

    Parameters
    ----------
    stem
        What the note is called after: a file, or the common stem of several.
    files
        Files of one folder.
    """
    lines = [f"{checksum(path)}  {Path(path).name}\n" for path in files]
    write_text(checksum_file(stem), "".join(lines))


def check_checksums(note: str | Path) -> list[Path]:
    """Check the files of a note that `write_checksums` wrote; return their paths.

    Raises
    ------
    StoreError
        If a file is missing or has changed, or if the note is damaged.
    """
    note, found = Path(note), []
    try:
        lines = note.read_bytes().decode().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{note}: cannot be read ({error}); {WAY_OUT}.") from error
    for line in lines[:-1]:
        expected, _, name = line.partition("  ")
        path = note.parent / name
        if not path.is_file():
            raise StoreError(f"{note}: names {name!r}, which is not there; {WAY_OUT}.")
        if checksum(path) != expected:
            raise StoreError(f"{path}: has changed since it was written; {WAY_OUT}.")
        found.append(path)
    if lines[-1] or not found:
        raise StoreError(f"{note}: truncated or damaged; {WAY_OUT}.")
    return found


def check_beside(path: str | Path) -> None:
    """Check a file by the note beside it; a file without one is accepted.

    Raises
    ------
    StoreError
        As `check_checksums`.
    """
    note = checksum_file(path)
    if note.exists():
        check_checksums(note)


def check_below(folder: str | Path) -> None:
    """Check every file below a folder whose checksum is noted beside it.

    Raises
    ------
    StoreError
        As `check_checksums`.
    """
    for note in sorted(Path(folder).rglob(".*.sha256")):
        check_checksums(note)


def seal(content: bytes) -> bytes:
    """Put a digest of some bytes where they hold `SEAL`: the SHA-256 of the bytes with `SEAL`.

    It is for formats with a place for text of their own, such as Parquet and safetensors. Every
    byte is covered, and other programs read the file as before.
    """
    return content.replace(SEAL.encode(), b"sha256:" + _digest(content))


def check_seal(content: bytes, name: object) -> None:
    """Check that bytes are as `seal` returned them; `name` says in errors where they come from.

    Raises
    ------
    StoreError
        If a byte has changed, or if there is no seal.
    """
    found = list(_SEAL.finditer(content))
    if len(found) != 1:
        raise StoreError(f"{name}: holds no checksum of its content; {WAY_OUT}.")
    start, end = found[0].span()
    if _digest(content[:start] + SEAL.encode() + content[end:]) != found[0][1]:
        raise StoreError(f"{name}: has changed since it was written; {WAY_OUT}.")


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
