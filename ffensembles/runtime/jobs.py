"""What scripts need around their one call: the library on their path, a log, errors in a line."""

import errno
import logging
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ffensembles.errors import ConfigError, FFEnsemblesError
from ffensembles.runtime.files import full_disk


def importable(folder: str | Path) -> None:
    """Let processes started from this one import what lies in a folder."""
    former = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(folder), *filter(None, former)]))


def full_output() -> bool:
    """Say whether all is printed that jobs log (`FFENSEMBLES_OUTPUT=full`), not warnings alone."""
    return os.environ.get("FFENSEMBLES_OUTPUT") == "full"


def check_surroundings(
    python: str = sys.executable, environment: Mapping[str, str] = os.environ
) -> None:
    """Check what Snakemake needs to start jobs, before any is started.

    Parameters
    ----------
    python
        Path of the Python that runs Snakemake, and with it every job.
    environment
        The environment variables of this process.

    Raises
    ------
    ConfigError
        If the path of Python holds a space, which Snakemake does not quote in the command of a
        job; or if `PATH` is not set.

    Examples
    --------
    >>> check_surroundings("/usr/bin/python3", {"PATH": "/usr/bin"})
    """
    if len(python.split()) > 1:
        raise ConfigError(
            f"{python}: the path of Python holds a space, so Snakemake cannot start jobs with it; "
            "move the repository, or the environment that holds Python, to a path without spaces."
        )
    if not environment.get("PATH"):
        raise ConfigError(
            "PATH: this environment variable is not set, and Snakemake needs it to start jobs; "
            "start again from a login shell, or with PATH=/usr/bin:/bin."
        )


@contextmanager
def logged(path: str | Path, result: str | Path) -> Iterator[None]:
    """Log to a file while inside, warnings to standard error too; end the process on an error.

    An error that a user can mend, a full disk among them, is told in its own words; any other
    with its traceback, in the log as well. Either says how to make just this `result` again.
    """
    path = Path(path)
    screen = logging.StreamHandler()
    screen.setLevel(logging.INFO if full_output() else logging.WARNING)
    handlers: list[logging.Handler] = [screen]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.insert(0, logging.FileHandler(path, mode="w"))
    except OSError as error:
        sys.exit(f"ERROR: {path}: cannot be written; {full_disk(error) or error.strerror}.")
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=handlers,
        force=True,
    )
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # a dozen lines for each font of a PDF
    logging.info(_whereabouts())
    way_out = f"(log: {path}; to make just this: snakemake, your usual options, {result})"
    try:
        yield
    except FFEnsemblesError as error:
        logging.error("ERROR: %s\n%s", error, way_out)
        sys.exit(1)
    except Exception as error:
        problem = _full_disk(error, path)
        if problem is not None:
            logging.error("ERROR: %s: cannot be made; %s.\n%s", result, problem, way_out)
            sys.exit(1)
        logging.exception("ERROR: not foreseen; please report it with this log\n%s", way_out)
        sys.exit(1)


def _full_disk(error: Exception, log: Path) -> str | None:
    """Say what to do where a disk is full, for this process or for one that writes to its log.

    Of such a process only the exit status comes back. Where the disk was too full for its last
    words, the space that is left says so.
    """
    if not isinstance(error, subprocess.CalledProcessError):
        return full_disk(error)
    said = log.read_text(encoding="utf-8", errors="replace")
    if shutil.disk_usage(log.parent).free == 0:
        said = os.strerror(errno.ENOSPC)
    return full_disk(OSError(said))


def _whereabouts() -> str:
    """Say on which machine this runs, as which Slurm job, with which GPUs."""
    known = {
        "on": platform.node(),
        "Slurm job": os.environ.get("SLURM_JOB_ID"),
        "GPU": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
    return ", ".join(f"{name} {value}" for name, value in known.items() if value)
