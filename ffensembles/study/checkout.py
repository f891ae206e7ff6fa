"""Dates of kept results in a checkout, so that a workflow sees them as made together."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_STAMP = Path(".snakemake") / "ffensembles-dated-alike"


def date_alike(root: Path, places: Sequence[str]) -> None:
    """Give all committed, unchanged files in some places the same date, once a commit and places.

    A checkout dates files in no particular order, and a workflow takes a result that is older than
    its input for outdated. Files that are new or changed since keep their date. Nothing is done
    where results are not in a git checkout, or where this commit's files in the same places were
    dated before. Files whose date cannot be set keep theirs.
    """
    commit = _git(root, "rev-parse", "HEAD")
    stamp, mine = Path.cwd() / _STAMP, " ".join([commit or "", *places])
    dated = stamp.read_text().splitlines() if stamp.exists() else []
    if not commit or mine in dated:
        return
    tracked = _git(root, "ls-files", "-z", "--", *places)
    # relative to `root`, as the other list is: it may lie in a larger repository
    said = _git(root, "diff", "--name-only", "--relative", "-z", "HEAD", "--", *places)
    if not tracked or said is None:
        return
    changed = set(said.split("\0"))
    when = float(_git(root, "log", "-1", "--format=%ct") or 0)
    for name in filter(None, tracked.split("\0")):
        path = root / name
        if name not in changed and path.is_file():
            with suppress(OSError):  # of another user, or on a file system that is read alone
                os.utime(path, (when, when))
    of_commit = [line for line in dated if line.startswith(f"{commit} ")]
    with suppress(OSError):
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text("\n".join([*of_commit, mine]))


def _git(root: Path, *words: str) -> str | None:
    """Return what git says; None if it is not there or fails."""
    try:
        said = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip()
