"""Protocols that are another one but for some keys: sweep, control, untrained nets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from ffensembles.config import OF_CUT, Config, setting_text
from ffensembles.config.schema import Sweep
from ffensembles.models.recipe import of_model
from ffensembles.models.spec import MODELS
from ffensembles.runs import UNTRAINED, variation_name

OF_UNSEEN = ("unseen_label", "held_out_negatives")
"""Keys of a recipe that matter only to runs without a class."""


@dataclass(frozen=True)
class Variation:
    """A protocol that is another one but for some keys.

    Attributes
    ----------
    base
        Name of the protocol it varies.
    changes
        Keys, with points between groups, and their values.
    models
        The models that it concerns.
    trained
        Whether the nets are trained at all.
    per_dataset
        Other values of any key for single data sets; `changes` are laid over them.
    seeds
        Seeds of its runs; by data set, where others than the named ones have none.
    """

    base: str
    changes: Mapping[str, Any]
    models: tuple[str, ...]
    trained: bool = True
    per_dataset: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seeds: Sequence[int] | Mapping[str, Sequence[int]] = ()

    def seeds_on(self, dataset: str) -> Sequence[int]:
        """Return the seeds of its runs on a data set."""
        return self.seeds.get(dataset, ()) if isinstance(self.seeds, Mapping) else self.seeds

    @property
    def of_unseen(self) -> bool:
        """Whether it matters only to runs without a class."""
        return bool(self.changes) and all(key in OF_UNSEEN for key in self.changes)

    @property
    def of_cut(self) -> bool:
        """Whether it changes Method 2's cut, and nothing that is learnt."""
        return bool(self.changes) and all(key.startswith(OF_CUT) for key in self.changes)


def untrained(protocol: str) -> str:
    """Return the name of a protocol's untrained nets.

    Examples
    --------
    >>> untrained("relu-l2")
    'relu-l2--untrained'
    """
    return variation_name(protocol, UNTRAINED)


def base_of(sweep: Sweep) -> tuple[str, Variation]:
    """Return the name and the recipe of what a sweep varies, where that is not the protocol's own.

    It is the protocol with the sweep's `per_dataset` laid over it, `relu-l2--base` for example.
    """
    changed = Variation(sweep.protocol, {}, concerned(sweep), per_dataset=sweep.per_dataset)
    return variation_name(sweep.protocol, "base"), changed


def concerned(sweep: Sweep) -> tuple[str, ...]:
    """Return the models that some setting of a sweep concerns."""
    return tuple(dict.fromkeys(model for setting in sweep.settings for model in setting.models))


def settings(sweep: Sweep) -> dict[str, Variation]:
    """Return a sweep's variations by the names of their protocols; those of a cut among them."""
    return {
        variation_name(sweep.protocol, setting.key, setting_text(value)): Variation(
            sweep.protocol,
            {setting.key: value},
            tuple(setting.models),
            per_dataset=sweep.per_dataset,
            seeds=setting.seeds or sweep.seeds,
        )
        for setting in sweep.settings
        for value in setting.values
    }


def setting_texts(sweep: Sweep) -> dict[str, tuple[str, str]]:
    """Return a sweep's variations by name: the key that each changes, and its value as text."""
    return {
        name: (key, setting_text(value))
        for name, variation in settings(sweep).items()
        for key, value in variation.changes.items()
    }


def cuts(sweep: Sweep) -> dict[str, dict[str, float]]:
    """Return a sweep's cuts of Method 2 by name, as `method2.recut` takes them."""
    return {
        name: {key.removeprefix(OF_CUT): value for key, value in variation.changes.items()}
        for name, variation in settings(sweep).items()
        if variation.of_cut
    }


def configured(config: Config, sweep: Sweep) -> dict[str, str]:
    """Return the configured value of each setting that a sweep varies, as text.

    Of a model's own key that is null it is the protocol's.
    """
    mathematics = config.recipes[sweep.protocol].model_dump()
    mathematics |= {model: of_model(mathematics, model) for model in MODELS}
    mathematics["ensembles"] = config.ensembles.model_dump()
    return {
        setting.key: setting_text(
            reduce(lambda group, name: group[name], setting.key.split("."), mathematics)
        )
        for setting in sweep.settings
    }
