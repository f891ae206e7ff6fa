"""The zip file of a store: a seal on its list of members, and damage told in the user's words.

A module of its own, which `store` imports when a file is written or read: every start of the
workflow imports `store`, and would wait for zarr.
"""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

from zarr.storage import ZipStore

from ffensembles.errors import StoreError
from ffensembles.runtime.files import WAY_OUT


def members_seal(archive: zipfile.ZipFile) -> bytes:
    """Return a digest of the members' names, sizes and checksums."""
    members = sorted((info.filename, info.file_size, info.CRC) for info in archive.infolist())
    return hashlib.sha256(repr(members).encode()).hexdigest().encode()


def open_sealed(path: Path) -> "SealedZip":
    """Open a file that `save_tree` wrote.

    Raises
    ------
    StoreError
        If it is missing, truncated or damaged, or its list of members was altered.
    """
    try:
        store = SealedZip(path, mode="r")
        store._sync_open()
        if store._zf.comment != members_seal(store._zf):
            store.close()
            raise zipfile.BadZipFile("its list of members was altered")
    except FileNotFoundError as error:
        raise StoreError(f"{path}: is not there; run the rule that makes it.") from error
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise StoreError(f"{path}: truncated or damaged ({error}); {WAY_OUT}.") from error
    return store


class SealedZip(ZipStore):
    """A read-only zip store that speaks of damage in the user's words."""

    @property
    def members(self) -> list[str]:
        """Names of all members."""
        return self._zf.namelist()

    def _get(self, key: str, *args: Any, **options: Any) -> Any:
        try:
            return super()._get(key, *args, **options)
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise StoreError(f"{self.path}: damaged at {key} ({error}); {WAY_OUT}.") from error
