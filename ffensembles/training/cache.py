"""Trained runs kept aside by what they are: asked for again, a run is taken, not trained.

A result that a workflow throws away (its coordinating process was killed, its date looks wrong, a
parameter was changed and changed back) costs nothing then. What is kept shares its disk
space with the results (hard links) and may be deleted at any time.
"""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ffensembles.errors import StoreError
from ffensembles.runtime.files import checksum, read_json

log = logging.getLogger(__name__)

_METADATA = "run.json"
_WEIGHTS = "weights.safetensors"


def code_digest(files: Iterable[str | Path]) -> str:
    """Return a digest of the contents of source files."""
    digest = hashlib.sha256()
    for path in sorted(map(Path, files)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Kept:
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
    names = (_WEIGHTS, "history.csv", _METADATA)

    def place(self, origin: str) -> Path:
        """Return the folder of a run, from the text that says all that determines it."""
        return self.folder / hashlib.sha256(f"{self.code}\n{origin}".encode()).hexdigest()[:32]

    def keep(self, origin: str, files: Iterable[Path]) -> None:
        """Keep a run's files, whole or not at all; failing to is no error, only said."""
        place = self.place(origin)
        temporary: Path | None = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(dir=self.folder, prefix=".", suffix=".part"))
            for path in files:
                _link(path, temporary / path.name)
            shutil.rmtree(place, ignore_errors=True)
            temporary.replace(place)
        except OSError as error:
            log.warning("%s: cannot be kept for another time (%s)", place, error)
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)

    def take(self, origin: str, files: Iterable[Path]) -> bool:
        """Put a kept run's files into place; False if there is none, or a damaged one."""
        place, files = self.place(origin), list(files)
        if not place.is_dir():
            return False
        try:
            expected = read_json(place / _METADATA)["weights_sha256"]
            sound = checksum(place / _WEIGHTS) == expected
            if sound:
                for path in files:
                    _put(place / path.name, path)
                return True
            log.warning("%s: is damaged; training anew", place / _WEIGHTS)
        except (StoreError, KeyError, FileNotFoundError) as error:
            log.warning("%s: cannot be taken (%s); training anew", place, error)
        shutil.rmtree(place, ignore_errors=True)
        return False


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
    temporary.replace(target)
    os.utime(target)
