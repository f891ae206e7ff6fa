"""What Snakemake prints: one line a job while a study runs, what each job asks for in a dry run."""

import logging
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import mean
from typing import Any

from ffensembles.runtime.jobs import full_output

OTHERWISE = 5.0
"""Seconds that a job is expected to take while no job of its rule has finished."""

_REASONS = {
    "Missing output": "missing",
    "Incomplete output": "incomplete",
    "Input files updated": "new input",
    "Updated input": "changed input",
    "Set of input": "changed input",
    "Code has changed": "changed code",
    "Params have changed": "changed parameters",
    "Software environment": "changed software",
    "Forced": "forced",
}
"""A word for each of Snakemake's reasons, by how these begin."""

_RESOURCES = ("mem_mb", "runtime", "gpu")
"""What a dry run prints of a job's resources; Snakemake adds some of its own."""


def reason_word(reason: str) -> str:
    """Return the first reason why a job runs, in a word or two.

    Examples
    --------
    >>> reason_word("Missing output files: a.csv; Input files updated by another job: b.csv")
    'missing'
    """
    known = (word for start, word in _REASONS.items() if reason.startswith(start))
    return next(known, reason.partition(":")[0].lower() or "asked for")


@dataclass
class Progress:
    """Jobs done of how many, and an estimate of the time left.

    Attributes
    ----------
    left
        Jobs that have not finished, by rule.
    """

    left: Counter[str] = field(default_factory=Counter)
    done: int = 0
    total: int = 0
    _began: dict[int, tuple[str, float]] = field(default_factory=dict)
    _took: dict[str, list[float]] = field(default_factory=dict)
    _start: float | None = None

    def plan(self, jobs: Mapping[str, int]) -> None:
        """Set how many jobs of each rule there are."""
        self.left = Counter({name: n for name, n in jobs.items() if name != "total"})
        self.total = self.left.total()

    def start(self, job: int, rule: str, now: float) -> None:
        """Note that a job starts at a time in seconds."""
        self._start = now if self._start is None else self._start
        self._began[job] = rule, now

    def finish(self, job: int, now: float) -> None:
        """Note that a job has finished."""
        self.done += 1
        if job in self._began:
            rule, began = self._began.pop(job)
            self._took.setdefault(rule, []).append(now - began)
            self.left[rule] -= 1

    def seconds_left(self, now: float) -> float | None:
        """Estimate when all jobs are done; None until a job has finished.

        A job is expected to take the mean of the finished ones of its rule. As many are taken to
        run at once as have done on average.
        """
        if not self._took or self._start is None:
            return None
        each = {rule: mean(seconds) for rule, seconds in self._took.items()}
        work = sum(n * each.get(rule, OTHERWISE) for rule, n in self.left.items())
        running = [(each.get(rule, OTHERWISE), now - began) for rule, began in self._began.values()]
        work -= sum(min(expected, so_far) for expected, so_far in running)
        busy = sum(map(sum, self._took.values())) + sum(so_far for _, so_far in running)
        at_once = max(1.0, busy / max(now - self._start, 1e-9))
        return max(0.0, work) / at_once

    def line(self, message: str, reason: str, now: float) -> str:
        """Return what is printed of a job that starts."""
        left = self.seconds_left(now)
        clock = "" if left is None else f", about {timedelta(seconds=round(left))} left"
        said = f"{self.done} of {self.total} done{clock}: {message} ({reason_word(reason)})"
        return f"{time.strftime('%H:%M:%S', time.localtime(now))} {said}"


class ShortFormatter(logging.Formatter):
    """Formats a record of Snakemake as one line a job; errors and all else as Snakemake does."""

    def __init__(self, usual: logging.Formatter) -> None:
        super().__init__()
        self.usual, self.progress = usual, Progress()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a job that starts; empty where there is nothing to be told."""
        event = getattr(getattr(record, "event", None), "name", None)
        known: dict[str, Any] = record.__dict__
        if event == "RUN_INFO":
            self.progress.plan(known.get("stats") or {})
        elif event == "JOB_INFO":
            self.progress.start(known["jobid"], known["rule_name"], record.created)
            message = " ".join((known["rule_msg"] or known["rule_name"]).split())
            return self.progress.line(message, str(known["reason"]), record.created)
        elif event == "JOB_FINISHED":
            self.progress.finish(known["job_id"], record.created)
            return ""
        elif event in ("JOB_STARTED", "PROGRESS") or str(record.msg).startswith("Select jobs"):
            return ""
        return self.usual.format(record)


class DryRunFormatter(logging.Formatter):
    """Formats a record of a dry run as Snakemake does, and adds what each job asks for.

    Snakemake prints resources only of rules without a message.

    Parameters
    ----------
    usual
        Snakemake's own formatter.
    local_rules
        Names of rules whose jobs the coordinating process runs itself: these ask for nothing.
    """

    def __init__(self, usual: logging.Formatter, local_rules: Collection[str]) -> None:
        super().__init__()
        self.usual, self.local_rules = usual, local_rules

    def format(self, record: logging.LogRecord) -> str:
        """Return what Snakemake prints; of a job that is submitted, its resources as well."""
        text, known = self.usual.format(record), record.__dict__
        event = getattr(getattr(record, "event", None), "name", None)
        if event != "JOB_INFO" or not known["rule_msg"] or known["rule_name"] in self.local_rules:
            return text
        asked = {name: known["resources"].get(name) for name in _RESOURCES}
        asked["threads"] = known["threads"]
        said = ", ".join(f"{name}={n}" for name, n in asked.items() if n is not None)
        return f"{text}\nResources: {said}"


def shorten(logger: logging.Logger, dry_run: bool, local_rules: Collection[str] = ()) -> None:
    """Let Snakemake print one line a job; its log file stays as it is.

    In a dry run Snakemake's reasons stay in full, and resources are added. Nothing changes where
    another logger plugin prints, or where `FFENSEMBLES_OUTPUT` is `full` and this is no dry run.
    """
    from snakemake.logging import ColorizingTextHandler

    class Handler(ColorizingTextHandler):  # type: ignore[misc, unused-ignore]
        def emit(self, record: logging.LogRecord) -> None:
            self.last_msg_was_job_info = True  # no blank line before a job
            super().emit(record)

    usual: Any
    for place, usual in enumerate(logger.handlers):
        if usual.name != "DefaultStreamHandler" or usual.formatter is None:
            continue
        if dry_run:
            usual.setFormatter(DryRunFormatter(usual.formatter, local_rules))
        elif not full_output():
            short = Handler(usual.nocolor, usual.stream, ShortFormatter(usual.formatter))
            short.filters, short.name = usual.filters, "ffensembles"
            logger.handlers[place] = short
