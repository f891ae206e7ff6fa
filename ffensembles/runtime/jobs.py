"""What scripts need around their one call: the library on their path, a log, errors in a line."""

import logging
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ffensembles.errors import FFEnsemblesError


def importable(folder: str | Path) -> None:
    """Let processes started from this one import what lies in a folder."""
    former = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(folder), *filter(None, former)]))


@contextmanager
def logged(path: str | Path, result: str | Path) -> Iterator[None]:
    """Log to a file and to standard error while inside; end the process on an error.

    An error that a user can mend is told in its own words; any other with its traceback, in the
    log as well. Either says how to make just this `result` again.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.FileHandler(path, mode="w"), logging.StreamHandler()]
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=handlers,
        force=True,
    )
    logging.info(_whereabouts())
    way_out = f"(log: {path}; to make just this: snakemake, your usual options, {result})"
    try:
        yield
    except FFEnsemblesError as error:
        logging.error("ERROR: %s\n%s", error, way_out)
        sys.exit(1)
    except Exception:
        logging.exception("ERROR: not foreseen; please report it with this log\n%s", way_out)
        sys.exit(1)


def _whereabouts() -> str:
    """Say on which machine this runs, as which Slurm job, with which GPUs."""
    known = {
        "on": platform.node(),
        "Slurm job": os.environ.get("SLURM_JOB_ID"),
        "GPU": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }
    return ", ".join(f"{name} {value}" for name, value in known.items() if value)
