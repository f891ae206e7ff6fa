"""The names of all files. The only place where a path is written."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ffensembles.runs import FOLDER, Run

_BLOCK = "{protocol}/{dataset}/{model}/held-out-{held_out}/seeds-{seeds}"

PATTERNS = {
    "data": "data/{dataset}.json",
    "weights": f"runs/{FOLDER}/weights.safetensors",
    "history": f"runs/{FOLDER}/history.csv",
    "metadata": f"runs/{FOLDER}/run.json",
    "checkpoint": f"runs/{FOLDER}/checkpoint.safetensors",
    "cache": "cache",
    "block": f"blocks/{_BLOCK}.json",
    "activations": f"runs/{FOLDER}/activations.zarr.zip",
    "sample": f"runs/{FOLDER}/sample.zarr.zip",
    "ensembles": f"runs/{FOLDER}/{{method}}.zarr.zip",
    "shuffled": f"runs/{FOLDER}/shuffled-{{method}}.zarr.zip",
    "frame": f"runs/{FOLDER}/frames/{{frame}}.parquet",
    "shuffled_frame": f"runs/{FOLDER}/frames/shuffled-{{frame}}.parquet",
    "extension": f"runs/{FOLDER}/extensions/{{extension}}.parquet",
    "tidy": "tidy/{file}",
    "table": "tables/{edition}/{table}.{ending}",
    "figure": "figures/{edition}/{figure}{variant}.{ending}",
    "extra_table": "tables/{table}.{ending}",
    "extra_figure": "figures/{figure}.{ending}",
    "reproduction": "reproduction/{edition}/{file}",
    "beyond": "reproduction/beyond.md",
    "configuration": "configuration.yaml",
    "report": "report.html",
    "landing": "report.rst",
    "log": "logs/{stage}.log",
    "run_log": f"logs/{{stage}}/{FOLDER}.log",
    "block_log": f"logs/blocks/{_BLOCK}.log",
    "run_benchmark": f"benchmarks/{{stage}}/{FOLDER}.tsv",
    "block_benchmark": f"benchmarks/blocks/{_BLOCK}.tsv",
}
"""Every kind of file of a study, under its results folder."""


class _Open(dict[str, str]):
    """Values of some wildcards; the others stay as they are."""

    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


@dataclass(frozen=True)
class Paths:
    """The paths of a study's files, or patterns of them.

    Attributes
    ----------
    results
        The results folder.

    Examples
    --------
    >>> paths = Paths("results")
    >>> paths.one("weights", Run("sigmoid-linf", "mnist", "BP", None, 3))
    'results/runs/sigmoid-linf/mnist/BP/held-out-none/seed-3/weights.safetensors'
    >>> paths.pattern("figure", edition="2023", figure="figure3", ending="pdf")
    'results/figures/2023/figure3{variant}.pdf'
    """

    results: str

    def pattern(self, kind: str, **known: Any) -> str:
        """Return the pattern of a kind of file; wildcards not `known` stay open."""
        known = {key: str(value) for key, value in known.items()}
        return f"{self.results}/{PATTERNS[kind].format_map(_Open(known))}"

    def one(self, kind: str, run: Run | None = None, **wildcards: Any) -> str:
        """Return one file's path.

        Raises
        ------
        KeyError
            If the path has a wildcard without a value.
        """
        known = {**(run.wildcards if run else {}), **wildcards}
        return f"{self.results}/{PATTERNS[kind].format_map(known)}"

    def each(self, kind: str, runs: Iterable[Run], **wildcards: Any) -> list[str]:
        """Return the path of a kind of file for each run."""
        return [self.one(kind, run, **wildcards) for run in runs]
