"""A run: one training of a study, named by five keys."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

WHOLE = "none"
"""What a path says where no class is held out."""

UNTRAINED = "untrained"
"""The protocol, by name, of nets as they are before training."""


_VARIED = "--"


def variation_name(protocol: str, key: str, value: str = "") -> str:
    """Name a protocol that is another one but for one key, or for what `key` says.

    Examples
    --------
    >>> variation_name("relu-l2", "BP.learning_rate", "0.01"), variation_name("relu-l2", "base")
    ('relu-l2--BP.learning_rate-0.01', 'relu-l2--base')
    """
    return f"{protocol}{_VARIED}{key}{f'-{value}' if value else ''}"


def variation_of(name: str) -> tuple[str, str, str]:
    """Return the protocol, the key and the value of what `variation_name` named.

    Examples
    --------
    >>> variation_of("relu-l2--BP.l1_penalty-1e-07"), variation_of("relu-l2")
    (('relu-l2', 'BP.l1_penalty', '1e-07'), ('relu-l2', '', ''))
    """
    protocol, _, rest = name.partition(_VARIED)
    key, _, value = rest.partition("-")
    return protocol, key, value


def is_of(name: str, protocol: str) -> bool:
    """Say whether a protocol is another one, or varies it.

    Examples
    --------
    >>> is_of("relu-l2--base", "relu-l2"), is_of("relu-l2-wide", "relu-l2")
    (True, False)
    """
    return name == protocol or name.startswith(f"{protocol}{_VARIED}")


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

    def of(self, protocol: str) -> bool:
        """Say whether it is of a protocol, or of a variation of it.

        Examples
        --------
        >>> Run("relu-l2--BP.learning_rate-0.01", "mnist", "BP", None, 0).of("relu-l2")
        True
        """
        return is_of(self.protocol, protocol)

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
