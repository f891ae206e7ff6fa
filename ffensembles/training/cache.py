"""A content-addressed cache of trained runs: a run that is asked for again is not trained again.

A result that a workflow throws away (its coordinating process was killed, its date looks wrong, a
parameter was changed and changed back) costs nothing then. The cache shares its disk space
with the results (hard links) and may be deleted at any time.
"""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ffensembles.errors import StoreError
from ffensembles.runtime.files import default_mode, remove_abandoned, unwritable
from ffensembles.training.metadata import canonical, check_file, read_run

log = logging.getLogger(__name__)

_METADATA = "run.json"
_WEIGHTS = "weights.safetensors"
_HISTORY = "history.csv"


def code_digest(files: Iterable[str | Path]) -> str:
    """Return a digest of the contents of source files."""
    digest = hashlib.sha256()
    for path in sorted(map(Path, files)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Cache:
    """A folder of trained runs.

    Attributes
    ----------
    folder
        Where they are, one folder each.
    code
        Digest of the code that trains: runs of other code are other runs.
    """

    folder: Path
    code: str
    names = (_WEIGHTS, _HISTORY, _METADATA)
    readings = "dynamics.parquet"

    def place(self, fingerprint: Mapping[str, Any]) -> Path:
        """Return the folder of a run, from its fingerprint (`metadata.fingerprint`)."""
        text = f"{self.code}\n{canonical(fingerprint)}"
        return self.folder / hashlib.sha256(text.encode()).hexdigest()[:32]

    def add(self, fingerprint: Mapping[str, Any], files: Iterable[Path]) -> None:
        """Add a run's files, whole or not at all.

        Raises
        ------
        StoreError
            If they cannot be written. Where the run has files of its own this loses nothing.
        """
        place = self.place(fingerprint)
        temporary: Path | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_abandoned(self.folder, ".", ".part")
            temporary = Path(tempfile.mkdtemp(dir=self.folder, prefix=".", suffix=".part"))
            temporary.chmod(default_mode(0o777))  # mkdtemp makes folders private
            for path in files:
                _link(path, temporary / path.name)
            shutil.rmtree(place, ignore_errors=True)
            temporary.replace(place)
        except OSError as error:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
            problem = unwritable(place, error) or StoreError(
                f"{place}: cannot be written ({error}); mend this or name another `results` "
                "folder, and start the same command again."
            )
            raise problem from error

    def take(
        self, fingerprint: Mapping[str, Any], files: Iterable[Path], extra: Iterable[Path] = ()
    ) -> bool:
        """Put a cached run's files into place; False if there is none, or a damaged one.

        Checked are metadata (their own checksum, and that the run is the one asked for), weights
        and history. Files of `extra` are put into place where they were cached.

        Raises
        ------
        StoreError
            If the disk does not give or take the files now; the cached run stays.
        """
        place, files = self.place(fingerprint), list(files)
        if not place.is_dir():
            return False
        try:
            metadata = read_run(place / _METADATA, fingerprint)
            check_file(place / _WEIGHTS, metadata, "weights_sha256")
            check_file(place / _HISTORY, metadata, "history_sha256")
            there = [path for path in extra if (place / path.name).exists()]
            for path in [*there, *files]:
                _put(place / path.name, path)
            return True
        except (StoreError, FileNotFoundError) as error:
            _raise_unless_damaged(place, error)
            log.warning("%s: this cached run is damaged, it is trained again (%s)", place, error)
        except OSError as error:
            raise unwritable(files[0].parent, error) or _out_of_reach(place, error) from error
        shutil.rmtree(place, ignore_errors=True)
        return False


def _raise_unless_damaged(place: Path, error: Exception) -> None:
    """Raise again what says nothing of a cached run but that the disk does not give it now."""
    cause = error.__cause__
    if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
        raise _out_of_reach(place, cause) from error


def _out_of_reach(place: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{place}: this cached run cannot be read or put into place now ({error}); it was not "
        "deleted. Check the disk and the files' permissions, and start the same command again."
    )


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where file systems know no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _put(source: Path, target: Path) -> None:
    """Put a file into place at once, dated now: it is a result of this moment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.taken")
    with suppress(FileNotFoundError):
        temporary.unlink()
    _link(source, temporary)
    try:
        os.utime(temporary)
    except PermissionError:  # the file is a colleague's: a copy is ours
        temporary.unlink()
        shutil.copyfile(source, temporary)
    temporary.replace(target)
    temporary.unlink(missing_ok=True)  # still there where both were names of one file
