"""Where a result comes from: versions, commit, recipe, run."""

import json
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ffensembles.runtime.version import __version__

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("numpy", "xarray", "zarr", "torch")
_UNKNOWN = "unknown"


def provenance(
    *, recipe: Mapping[str, Any] | None = None, run: Mapping[str, Any] | None = None, **extra: Any
) -> dict[str, str]:
    """Return what one must know to make a result again, as texts that any file can hold.

    It has no date and no machine's name, so that the same run gives the same file.

    Parameters
    ----------
    recipe
        The mathematics of the run.
    run
        Its keys: protocol, dataset, model, held_out and seed.
    extra
        Anything else, `device` for one; texts stay as they are, all else becomes JSON.

    Returns
    -------
    dict
        Versions of ffensembles, Python and the packages that compute; the commit and whether
        tracked files differ from it (`true`, `false` or `unknown`); platform; recipe, run, its
        seed and `extra`.
    """
    commit, changed = _commit(_ROOT)
    known: dict[str, Any] = {
        "ffensembles": __version__,
        "git_commit": commit,
        "git_changed": changed,
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "platform": platform.platform(),
    }
    if recipe is not None:
        known["recipe"] = dict(recipe)
    if run is not None:
        known["run"] = dict(run)
        known["seed"] = run["seed"]
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in {**known, **extra}.items()
    }


def remember_commit() -> None:
    """Read the commit now, for all that this process makes.

    A long job calls this when it starts: what it makes is of the code that it has loaded, not of
    the commit that is checked out when it ends.
    """
    _commit(_ROOT)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@cache
def _commit(folder: Path) -> tuple[str, str]:
    """Return a checkout's commit and whether tracked files differ from it.

    An installed package that lies within someone else's checkout is not of that commit.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != folder.resolve():
        return _UNKNOWN, _UNKNOWN
    commit = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    changed = _UNKNOWN if status is None else "true" if status else "false"
    return commit or _UNKNOWN, changed


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says; None if it is not there or does not know."""
    try:
        said = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()
