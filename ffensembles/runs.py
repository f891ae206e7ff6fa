"""A run, one training of a study, and the names of all files.

The only place where a path is written.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ffensembles.models.recipe import Model

WHOLE = "none"
"""What a path says where no class is held out."""

_RUN = "{protocol}/{dataset}/{model}/held-out-{held_out}/seed-{seed}"

_BLOCK = "{protocol}/{dataset}/{model}/held-out-{held_out}/seeds-{seeds}"

PATTERNS = {
    "weights": f"runs/{_RUN}/weights.safetensors",
    "history": f"runs/{_RUN}/history.csv",
    "metadata": f"runs/{_RUN}/run.json",
    "checkpoint": f"runs/{_RUN}/checkpoint.safetensors",
    "kept": "kept",
    "block": f"blocks/{_BLOCK}.json",
    "activations": f"runs/{_RUN}/activations.zarr.zip",
    "ensembles": f"runs/{_RUN}/{{method}}.zarr.zip",
    "shuffled": f"runs/{_RUN}/shuffled-{{method}}.zarr.zip",
    "data": "data/{dataset}.json",
    "tidy": "tidy/{frame}.csv",
    "reproduction": "reproduction/{frame}",
    "table": "tables/{table}.{ending}",
    "figure": "figures/{figure}{variant}.{ending}",
    "configuration": "configuration.yaml",
    "report": "report.html",
    "log": "logs/{stage}.log",
    "run_log": f"logs/{{stage}}/{_RUN}.log",
    "benchmark": "benchmarks/{stage}.tsv",
    "run_benchmark": f"benchmarks/{{stage}}/{_RUN}.tsv",
    "block_log": f"logs/blocks/{_BLOCK}.log",
    "block_benchmark": f"benchmarks/blocks/{_BLOCK}.tsv",
}
"""Every file of a study, under its results folder."""


@dataclass(frozen=True, order=True)
class Run:
    """One training.

    Attributes
    ----------
    protocol, dataset, model
        As in the configuration.
    held_out
        Label of the class left out of training; None: trained on all.
    seed
        Seed of everything random in it.
    """

    protocol: str
    dataset: str
    model: Model
    held_out: int | None
    seed: int

    @classmethod
    def from_wildcards(cls, wildcards: Any) -> "Run":
        """Build a run from a path's wildcards: a mapping, or an object with attributes."""
        if not isinstance(wildcards, Mapping):
            wildcards = {field.name: getattr(wildcards, field.name) for field in fields(cls)}
        held_out = wildcards["held_out"]
        return cls(
            protocol=str(wildcards["protocol"]),
            dataset=str(wildcards["dataset"]),
            model=wildcards["model"],
            held_out=None if held_out in (WHOLE, None) else int(held_out),
            seed=int(wildcards["seed"]),
        )

    @property
    def name(self) -> str:
        """The run's folder, under `runs`."""
        return _RUN.format_map(self.wildcards)

    @property
    def wildcards(self) -> dict[str, str]:
        """What a path's wildcards say of this run."""
        held_out = WHOLE if self.held_out is None else self.held_out
        return {key: str(value) for key, value in {**self.keys, "held_out": held_out}.items()}

    @property
    def keys(self) -> dict[str, Any]:
        """The five keys by name."""
        return asdict(self)
