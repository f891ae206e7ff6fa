"""`python -m ffensembles.study.status [FILE ...]`: how far a study's trainings are."""

import argparse
import math
import re
import shlex
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import mean
from typing import Literal

from ffensembles.config import load_config
from ffensembles.errors import FFEnsemblesError, StoreError
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.runs import Run
from ffensembles.runtime.files import read_json
from ffensembles.runtime.text import printable
from ffensembles.study import Study
from ffensembles.study.grid import SECTIONS

State = Literal["done", "running", "failed", "interrupted", "waiting"]
Kind = tuple[str, str, str]

STATES: tuple[State, ...] = ("done", "running", "failed", "interrupted", "waiting")
FRESH = 600
"""Seconds without a change of log or checkpoint after which a training no longer runs."""

_ERROR = re.compile(r"^\d\d:\d\d:\d\d ERROR: (.*)", re.MULTILINE | re.DOTALL)
_RAISED = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception)\b.*", re.MULTILINE)
_LEFT = re.compile(r" epoch \d+/\d+, .*?, (\d{1,9}):(\d\d):(\d\d) left")
_SEEDS = re.compile(r"\bseed (\d{1,18}(?:, \d{1,18})*)$", re.MULTILINE)
_STOPPED = "training was asked to stop"


@dataclass(frozen=True)
class Training:
    """How one training stands.

    Attributes
    ----------
    run
        The run.
    state
        `done`: weights and metadata are there, or of a study whose results are kept without
        weights the metadata; `running`: the log or a checkpoint is fresh;
        `failed`: the log ends with an error; `interrupted`: without one; `waiting`: no log.
    log
        The log's path: the job's, where several runs share one.
    seconds
        Of a run that is done: what it took, or its share where several were trained at once.
    left
        Of a run that is running: seconds until it is trained; None before its log says so.
    said
        What the error was, or why the log cannot be read. Control characters are escaped.
    """

    run: Run
    state: State
    log: str = ""
    seconds: float | None = None
    left: float | None = None
    said: str = ""

    @property
    def kind(self) -> Kind:
        """What trainings that take about the same time have in common."""
        return self.run.protocol, self.run.dataset, self.run.model


def look(study: Study, now: float | None = None) -> list[Training]:
    """Say of every run how its training stands at a time (seconds since 1970; None: now).

    The runs are those that `all` trains, and those of every section of the configuration (`sweep`,
    say) of which a training has begun.
    """
    now = time.time() if now is None else now
    trainings = {run: _training(study, run, now) for run in study.editions.trained}
    for section in SECTIONS:
        beside = {
            run: _training(study, run, now)
            for run in study.grid.of_section(section)
            if run not in trainings
        }
        if any(one.state != "waiting" for one in beside.values()):
            trainings |= beside
    return list(trainings.values())


def seconds_each(trainings: Sequence[Training]) -> dict[Kind, float]:
    """Return the mean time in seconds of finished trainings of each kind."""
    known: dict[Kind, list[float]] = {}
    for one in trainings:
        if one.seconds is not None:
            known.setdefault(one.kind, []).append(one.seconds)
    return {kind: mean(seconds) for kind, seconds in known.items()}


def time_left(trainings: Sequence[Training]) -> tuple[float | None, int, int]:
    """Estimate when all but the failed trainings are done.

    The time of those running and to come is shared among as many jobs as run now (one if none
    does), but none is done sooner than in its own time. An interrupted one counts in full.

    Returns
    -------
    tuple
        Seconds left (None: nothing is known), jobs running, trainings whose time is not known.
    """
    each = seconds_each(trainings)
    jobs = _by_log(trainings, "running")
    seconds = [each.get(one.kind) for one in trainings if one.state in ("interrupted", "waiting")]
    for ones in jobs:
        said = [one.left for one in ones if one.left is not None]
        seconds += [max(said)] if said else [each.get(one.kind) for one in ones]
    known = [one for one in seconds if one is not None]
    left = max([0, sum(known) / max(len(jobs), 1), *known]) if known or not seconds else None
    return left, len(jobs), len(seconds) - len(known)


def report(study: Study, trainings: Sequence[Training], command: str) -> str:
    """Write down how trainings stand; `command` before a run's weights retries that run."""
    count = Counter(one.state for one in trainings)
    others = "".join(f", {count[state]} {state}" for state in STATES[1:] if count[state])
    lines = [f"{study.config.name}: {count['done']} of {len(trainings)} trainings done{others}"]
    left, jobs, unknown = time_left(trainings)
    if left is None:
        lines += ["time left: unknown until a training is finished or says how far it is"]
    elif jobs or left:
        jobs_said = f"{jobs} at once" if jobs else "one at a time (none is running now)"
        aside = f"; {unknown} more are unknown, none of their kind is finished" if unknown else ""
        lines += [f"time left: about {_clock(left)}, {jobs_said}{aside}"]
    lines += ["", *_table(trainings)]
    if count["interrupted"]:
        lines += ["", "interrupted ones go on when the study's command is started again"]
    unreadable = {one.log: one.said for one in trainings if one.said and one.state != "failed"}
    lines += [f"{printable(log)}: {said}" for log, said in unreadable.items()]
    for ones in _by_log(trainings, "failed"):
        weights = shlex.join(study.paths.each("weights", [one.run for one in ones]))
        lines += ["", f"failed: {ones[0].said}", f"  log: {ones[0].log}"]
        lines += [f"  retry: {command} {weights}"]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print how the study of these configuration files stands; return the exit status."""
    parser = argparse.ArgumentParser(prog="ffensembles status", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="config.yaml and its overlays")
    parser.add_argument("--command", help="what starts Snakemake, to print how to retry a run")
    given = parser.parse_args(arguments)
    files = given.files or ["config.yaml"]
    command = given.command or shlex.join(_command(files[1:]))
    try:
        study = Study.of(load_config(*files))
    except FFEnsemblesError as error:
        print(error, file=sys.stderr)
        return 1
    print(report(study, look(study), command))
    return 0


def _command(overlays: Sequence[str]) -> list[str]:
    """Return what starts Snakemake on these files: with the profile that lays the one over.

    A profile decides what makes a result out of date, and on a cluster that jobs are submitted.
    """
    if len(overlays) == 1 and Path(overlays[0]).with_name("profile.yaml").exists():
        return ["snakemake", "--profile", str(Path(overlays[0]).parent)]
    # --cores last: --configfile would take the target that follows for one more file
    return ["snakemake", *(["--configfile", *overlays] if overlays else []), "--cores", "1"]


def _training(study: Study, run: Run, now: float) -> Training:
    paths = study.paths
    metadata = Path(paths.one("metadata", run))
    kept = study.config.keep or Path(paths.one("weights", run)).exists()
    if metadata.exists() and kept:
        return Training(run, "done", seconds=_seconds(metadata))
    seeds = study.grid.block(run)
    logs = [paths.one("run_log", run, stage="training"), paths.one("block_log", run, seeds=seeds)]
    checkpoints = [
        paths.one("checkpoint", replace(run, seed=int(seed))) for seed in seeds.split("-")
    ]
    age, log = min((_age(path, now), path) for path in logs)
    if age == math.inf:
        return Training(run, "waiting")
    text, unreadable = _text(log)
    said = _error(text)
    if said and _STOPPED not in said:
        return Training(run, "failed", log, said=said)
    if said or min(age, *(_age(path, now) for path in checkpoints)) > FRESH:
        return Training(run, "interrupted", log, said=unreadable)
    return replace(_alive(run, log, text, age), said=unreadable)


def _text(log: str) -> tuple[str, str]:
    """Return a log's text, and why it cannot be read if so."""
    try:
        return Path(log).read_text(encoding="utf-8", errors="replace"), ""
    except OSError as error:
        return "", f"the log cannot be read ({error.strerror})"


def _alive(run: Run, log: str, text: str, spoke: float) -> Training:
    """Say what the log of a job at work, written `spoke` seconds ago, means for one of its runs."""
    # runs that share a job but do not fit the device at once are trained in the seeds' order
    named = list(_SEEDS.finditer(text))
    seeds = [int(seed) for seed in named[-1][1].split(", ")] if named else [run.seed]
    if run.seed > max(seeds):
        return Training(run, "waiting", log)
    if run.seed < min(seeds):
        return Training(run, "running", log, left=0)
    epochs = _LEFT.findall(text, named[-1].end() if named else 0)
    left = [3600 * int(h) + 60 * int(m) + int(s) - spoke for h, m, s in epochs]
    return Training(run, "running", log, left=max(left[-1], 0) if left else None)


def _by_log(trainings: Sequence[Training], state: State) -> list[list[Training]]:
    """Return the trainings in a state, those of one job together."""
    jobs: dict[str, list[Training]] = {}
    for one in trainings:
        if one.state == state:
            jobs.setdefault(one.log, []).append(one)
    return list(jobs.values())


def _seconds(metadata: Path) -> float | None:
    try:
        content = read_json(metadata)
        seconds = float(content["seconds"]) / int(content.get("runs_together") or 1)
    except (StoreError, ArithmeticError, KeyError, TypeError, ValueError):
        return None  # the job that reads a damaged file names it
    return seconds if math.isfinite(seconds) else None


def _age(path: str, now: float) -> float:
    """Return the seconds since a file was written; a clock of another machine may be ahead."""
    try:
        return max(now - Path(path).stat().st_mtime, 0)
    except OSError:
        return math.inf


def _error(text: str) -> str:
    """Return in one line the error that ended a log (`jobs.logged`); empty if none did."""
    found = _ERROR.search(text)
    if not found:
        return ""
    said, traceback, raised = found[1].partition("Traceback (most recent call last):\n")
    if traceback:
        said = (_RAISED.findall(raised) or raised.strip().split("\n"))[-1]
    return printable(" ".join(said.split("\n(log: ")[0].split()))


def _table(trainings: Sequence[Training]) -> list[str]:
    """Return the number of trainings in each state by kind, in columns."""
    each = seconds_each(trainings)
    rows = [["protocol", "data set", "model", *STATES, "of", "time each"]]
    for kind in dict.fromkeys(one.kind for one in trainings):
        count = Counter(one.state for one in trainings if one.kind == kind)
        numbers = [*(str(count[state]) for state in STATES), str(count.total())]
        time_each = _clock(each[kind]) if kind in each else "-"
        rows.append([kind[0], kind[1], MODEL_TITLES[kind[2]], *numbers, time_each])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    line = "  ".join(f"{{:{'<' if i < 3 else '>'}{width}}}" for i, width in enumerate(widths))
    return [line.format(*row) for row in rows]


def _clock(seconds: float) -> str:
    try:
        return str(timedelta(seconds=round(seconds)))
    except OverflowError:
        return "over a million years"


if __name__ == "__main__":
    sys.exit(main())
