"""Where files come from: checked copies only, and nothing in place of what was asked for."""

import logging
import os
import shutil
import urllib.request
from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from typing import IO, cast

from ffensembles.datasets.entry import Entry
from ffensembles.errors import DataError
from ffensembles.runtime.files import atomic_path, checksum

log = logging.getLogger(__name__)

VARIABLE = "FFENSEMBLES_DATA"
"""Names a local folder or http mirror where the configuration names none."""

_TIMEOUT = 60


def obtain(entry: Entry, file: str, source: str | None, folder: Path) -> Path:
    """Return the path of a checked file in the data folder, fetching it if it is not there.

    A bad copy in the folder is removed and fetched again. Two processes may do so at once: files
    appear whole or not at all.

    Raises
    ------
    DataError
        Naming the file, what was found where, and what to do.
    """
    path, expected = folder / entry.folder / file, entry.files[file]
    try:
        if path.exists():
            found = checksum(path, "md5")
            if found == expected:
                return path
            log.warning(
                "%s: md5 is %s, the official one is %s; fetching it again", path, found, expected
            )
            path.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read or replaced ({error.strerror}); remove it, or name another "
            "folder in data.folder of the configuration."
        ) from error
    source = source or os.environ.get(VARIABLE)
    if source and not _is_url(source) and Path(source).is_file():
        raise DataError(
            f"{source}: is a file; name the folder or http mirror that holds {entry.name}/{file} "
            f"in data.source of the configuration or in {VARIABLE}."
        )
    complaints = []
    for place in _places(entry, source, file):
        complaint = _take(place, path, expected)
        if complaint is None:
            return path
        complaints.append(f"  {place}: {complaint}")
    raise DataError(
        f"{entry.name}: {file} could not be downloaded or found (md5 {expected} expected).\n"
        + "\n".join(complaints)
        + f"\nPut the official file at {path}, or name a folder or http mirror that has "
        f"{entry.name}/{file} in data.source of the configuration or in {VARIABLE}."
    )


def _places(entry: Entry, source: str | None, file: str) -> list[str]:
    """Return where to look, in order. A named source comes first, then the public places."""
    named = [f"{source.rstrip('/')}/{entry.name}/{file}"] if source else []
    public = entry.urls
    if not public:  # a loader need know none
        public = getattr(import_module(entry.module), "mirrors", lambda _: ())(entry)
    return named + [f"{url.rstrip('/')}/{file}" for url in public]


def _is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def _open(place: str) -> IO[bytes]:
    if _is_url(place):
        return cast(IO[bytes], urllib.request.urlopen(place, timeout=_TIMEOUT))
    return Path(place).open("rb")


def _take(place: str, path: Path, expected: str) -> str | None:
    """Bring one file into place if it is the right one; otherwise return what is wrong."""
    try:
        # opened first: what is wrong with the source is not told of the data folder
        with _open(place) as remote, atomic_path(path, "`data.folder`") as temporary:
            with temporary.open("wb") as local:
                shutil.copyfileobj(remote, local)
            found = checksum(temporary, "md5")
            if found != expected:
                raise _WrongFileError(f"md5 is {found}, {temporary.stat().st_size} bytes")
    except _WrongFileError as error:
        return str(error)
    except FileNotFoundError:
        return "no such file"
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
        return str(reason or error)
    return None


class _WrongFileError(Exception):
    """The file that was brought is not the official one."""
