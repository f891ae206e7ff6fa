"""A run: one training of a study, named by five keys."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

WHOLE = "none"
"""What a path says where no class is held out."""

UNTRAINED = "untrained"
"""The protocol, by name, of nets as they are before training."""


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
    model: str
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
            model=str(wildcards["model"]),
            held_out=None if held_out in (WHOLE, None) else int(held_out),
            seed=int(wildcards["seed"]),
        )

    @property
    def name(self) -> str:
        """The run's folder, under `runs`."""
        return FOLDER.format_map(self.wildcards)

    @property
    def wildcards(self) -> dict[str, str]:
        """What a path's wildcards say of this run."""
        held_out = WHOLE if self.held_out is None else self.held_out
        return {key: str(value) for key, value in {**self.keys, "held_out": held_out}.items()}

    @property
    def keys(self) -> dict[str, Any]:
        """The five keys by name."""
        return asdict(self)


FOLDER = "{protocol}/{dataset}/{model}/held-out-{held_out}/seed-{seed}"
"""Pattern of a run's folder, under `runs`."""
