"""`ffensembles COMMAND ...`: what is asked of a study from the command line."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from ffensembles.runtime.version import __version__


@dataclass(frozen=True)
class Command:
    """A subcommand and the module whose `main` runs it, imported only then."""

    module: str
    does: str
    given: tuple[str, ...] = ()
    """Words that `main` gets before the user's."""


COMMANDS = {
    "status": Command("ffensembles.study.status", "print how far a study's trainings are"),
    "summary": Command("ffensembles.study.summary", "print what a study has found"),
    "export": Command("ffensembles.study.export", "write trained runs to one file", ("export",)),
    "import": Command(
        "ffensembles.study.export", "read trained runs from such a file", ("import",)
    ),
    "verify": Command("ffensembles.study.verify", "read every kept file and name the changed ones"),
    "describe-config": Command(
        "ffensembles.config.__main__", "describe every key, or check configuration files"
    ),
    "check": Command("ffensembles.training.check", "check that this machine can train"),
}


def available() -> dict[str, Command]:
    """Return the commands whose modules this installation has."""
    return {name: one for name, one in COMMANDS.items() if find_spec(one.module) is not None}


def usage() -> str:
    """Return what there is to ask, one line a command."""
    lines = [f"  {name:<17}{one.does}" for name, one in available().items()]
    return "\n".join(
        ["usage: ffensembles COMMAND [...]", "", *lines, "", "ffensembles COMMAND --help says more"]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the first argument names; return its exit status.

    Parameters
    ----------
    arguments
        The words after `ffensembles`; None takes those of the process.
    """
    name, *others = [*(sys.argv[1:] if arguments is None else arguments)] or ["--help"]
    if name in ("-h", "--help"):
        print(usage())
        return 0
    if name == "--version":
        print(f"ffensembles {__version__}")
        return 0
    command = available().get(name)
    if command is None:
        print(f"ffensembles: there is no command {name!r}\n\n{usage()}", file=sys.stderr)
        return 2
    try:
        module = import_module(command.module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "ffensembles":
            raise
        print(
            f"ffensembles {name}: needs the package {error.name}, which is not installed; "
            "pip install 'ffensembles[train,workflow]' brings everything.",
            file=sys.stderr,
        )
        return 1
    try:
        status: int = module.main([*command.given, *others])
        sys.stdout.flush()
    except BrokenPipeError:
        # who read the output, `head` for example, has read enough; Python shall flush no more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status
