"""The grid of a study: which runs there are, and the recipe of each."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import cache, cached_property
from itertools import chain
from typing import Any

from ffensembles.config import Config, for_dataset, merged, seeds_of, varied
from ffensembles.config.schema import Sweep
from ffensembles.datasets import DATASETS
from ffensembles.errors import ConfigError
from ffensembles.models.recipe import MODELS, Recipe, of_model
from ffensembles.runs import WHOLE, Run
from ffensembles.study.variations import Variation, base_of, settings, untrained

SCOPES = ("", "untrained/", "shuffled/", "sweep/", "control/")
"""What tidy frames are of: the study's runs, untrained nets, labels shuffled, sweep, control."""


SECTIONS = ("sweep", "control", "sleep_wake")
"""Sections of the configuration that have runs of their own."""


class Grid:
    """The runs of a configured study.

    Examples
    --------
    >>> from ffensembles.config import load_config
    >>> grid = Grid(load_config("config.yaml"))
    >>> grid.select(protocol="sigmoid-linf", dataset="mnist", model="BP", seed=3)[0].name
    'sigmoid-linf/mnist/BP/held-out-none/seed-3'
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Every run: those on all classes, then those without one."""
        config = self.config
        whole = [
            Run(protocol, dataset, model, None, seed)
            for protocol in config.protocols
            for dataset in config.datasets
            for model in config.models
            for seed in self.seeds(protocol, dataset, model)
        ]
        without = [run for name in config.protocols for run in self._without(name, name)]
        return tuple(dict.fromkeys(whole + without))

    def seeds(self, protocol: str, dataset: str, model: str) -> list[int]:
        """Return the seeds of the runs on all classes: of the first entry that names them."""
        return seeds_of(self.config.seeds, self.config.own_seeds, protocol, dataset, model)

    def select(self, **keys: Any) -> list[Run]:
        """Return the runs with these keys; each is a value or a collection of values.

        `held_out=None` selects the runs on all classes; without it all runs are meant.
        """
        wanted = {
            key: value if isinstance(value, Collection) and not isinstance(value, str) else (value,)
            for key, value in keys.items()
        }
        return [
            run
            for run in self.runs
            if all(getattr(run, key) in values for key, values in wanted.items())
        ]

    @cached_property
    def variations(self) -> dict[str, Variation]:
        """Every protocol that varies a configured one and is trained or measured, by name."""
        config = self.config
        models = tuple(config.models)
        found = {untrained(p): Variation(p, {}, models, trained=False) for p in config.protocols}
        for sweep in (getattr(config, section) for section in SECTIONS):
            if sweep is not None and sweep.protocol in config.protocols:
                found |= dict([base_of(sweep)] if sweep.per_dataset else [])
                found |= {name: one for name, one in settings(sweep).items() if not one.of_cut}
        return found

    def scope(self, scope: str) -> tuple[Run, ...]:
        """Return the runs that tidy frames of a scope (`SCOPES`) are of."""
        if scope in ("", "shuffled/"):
            return self.runs
        if scope == "untrained/":
            return self._untrained()
        return self.of_section(scope.removesuffix("/"))

    def some_runs(self, scope: str) -> tuple[Run, ...]:
        """Return the runs of a scope, if there are any; see `scope`.

        Raises
        ------
        ConfigError
            If there is none; it says which keys leave none.
        """
        runs = self.scope(scope)
        if not runs:
            section = scope.removesuffix("/") if scope in ("sweep/", "control/") else ""
            raise ConfigError(self.without_runs(section))
        return runs

    def without_runs(self, section: str) -> str:
        """Say which keys leave a section of the configuration, or the study, without runs."""
        if not section:
            return (
                "The study has no run on all classes, since `own_seeds` leaves none; "
                "name seeds there."
            )
        sweep = getattr(self.config, section)
        if sweep is None:
            return f"`{section}` is null, so it has no runs; give it the keys that config.yaml has."
        if sweep.protocol not in self.config.protocols:
            return (
                f"`{section}.protocol` is {sweep.protocol}, which is not run; add it to "
                f"`protocols`, or name one that is: {', '.join(self.config.protocols)}."
            )
        return (
            f"`{section}` has no run: none of its `settings` is of `models`, its `datasets` and "
            "`seeds` of `datasets` that the study has; name some there."
        )

    def of_section(self, section: str) -> tuple[Run, ...]:
        """Return the runs of a section of the configuration, a sweep; empty: the study's runs."""
        return self.of_sweep(getattr(self.config, section)) if section else self.runs

    def of_sweep(self, sweep: Sweep | None) -> tuple[Run, ...]:
        """Return the runs of a sweep and those that they are compared with."""
        if sweep is None or sweep.protocol not in self.config.protocols:
            return ()
        varied = settings(sweep)
        runs = self._bases(sweep)
        if any(setting.of_unseen or setting.of_cut for setting in varied.values()):
            runs += self._without(sweep.protocol, sweep.protocol, sweep.seeds)
        for name, setting in varied.items():
            if setting.of_unseen:
                runs += [
                    run
                    for run in self._without(sweep.protocol, name)
                    if run.model in setting.models and run.seed in setting.seeds_on(run.dataset)
                ]
            elif not setting.of_cut:
                runs += [
                    run
                    for dataset in self._datasets(sweep)
                    for run in self._varied(
                        name, setting.models, setting.seeds_on(dataset), [dataset]
                    )
                ]
        return tuple(dict.fromkeys(runs))

    def _datasets(self, sweep: Sweep) -> list[str]:
        """Return the data sets of a sweep."""
        chosen = self.config.datasets
        return [name for name in chosen if sweep.datasets == "all" or name in sweep.datasets]

    def _bases(self, sweep: Sweep) -> list[Run]:
        """Return what a sweep's runs are compared with, of the models that it concerns there.

        They are the study's own runs wherever the sweep's `per_dataset` changes nothing: those of
        the same seeds that the study has, or if it has none of these, runs of these seeds.
        The section `sweep` is compared with the publication; without settings its base, of all
        models, is all that it has.
        """
        name, _ = base_of(sweep)
        own, varied = sweep.protocol, settings(sweep).values()
        alone = sweep is self.config.sweep and not sweep.settings
        seeds = {
            dataset: dict.fromkeys(
                sweep.seeds if alone else chain(*(one.seeds_on(dataset) for one in varied))
            )
            for dataset in self._datasets(sweep)
        }
        return [
            Run(own if same else name, dataset, model, None, seed)
            for dataset in self._datasets(sweep)
            for model in self.config.models
            if alone or any(model in one.models and one.seeds_on(dataset) for one in varied)
            for same in [
                dataset not in sweep.per_dataset
                or self._recipe(own, dataset, model) == self._recipe(name, dataset, model)
            ]
            for theirs in [set(self.seeds(own, dataset, model)) & set(seeds[dataset])]
            for seed in seeds[dataset]
            if not same or not theirs or seed in theirs
        ]

    @property
    def cut_runs(self) -> list[Run]:
        """The sweep's runs whose ensembles are cut elsewhere: those with every setting as it is."""
        return [run for run in self.scope("sweep/") if run.protocol == self.config.sweep.protocol]

    def _untrained(self) -> tuple[Run, ...]:
        seeds = self.config.reproduction.untrained_seeds
        runs: list[Run] = []
        for protocol in self.config.protocols:
            name = untrained(protocol)
            runs += self._varied(name, self.config.models, seeds)
            apart = self._without(protocol, name)
            runs += [replace(run, seed=seed) for run in apart for seed in seeds]
        return tuple(dict.fromkeys(runs))

    def _without(
        self, protocol: str, name: str, seeds: Collection[int] | None = None
    ) -> Iterator[Run]:
        """Yield a protocol's runs that are trained without one class, under a name."""
        for entry in self.config.held_out:
            if entry.protocols != "all" and protocol not in entry.protocols:
                continue
            n_classes = len(DATASETS[entry.dataset].classes)
            own = self.seeds(protocol, entry.dataset, entry.model)
            for label in range(n_classes) if entry.classes == "all" else entry.classes:
                for seed in own if entry.seeds == "all" else entry.seeds:
                    if seeds is None or seed in seeds:
                        yield Run(name, entry.dataset, entry.model, label, seed)

    def _varied(
        self,
        name: str,
        models: Collection[str],
        seeds: Iterable[int],
        datasets: Iterable[str] | None = None,
    ) -> Iterator[Run]:
        for dataset in self.config.datasets if datasets is None else datasets:
            for model in self.config.models:
                if model in models:
                    yield from (Run(name, dataset, model, None, seed) for seed in seeds)

    def recipe(self, run: Run) -> Recipe:
        """Return the mathematics of a run."""
        return self._recipe(run.protocol, run.dataset, run.model)

    def images(self, run: Run) -> dict[str, Any]:
        """Return what determines a run's images, as `datasets.prepare` takes it."""
        standardisation = self._mathematics(run.protocol, run.dataset).standardisation
        return {"standardisation": standardisation, **self.config.images.model_dump()}

    def unseen_label(self, run: Run) -> str:
        """Return which label images of a held-out class carry when representations are read."""
        return str(self._mathematics(run.protocol, run.dataset).unseen_label)

    def block(self, run: Run) -> str:
        """Return the seeds of the runs that share a job with one, as a path names them: `0-1-2`.

        Runs of a block differ only in their seed. Which seeds share a block depends on the seeds
        alone, so that a new seed changes no block but its own. The study's own runs share none with
        those of a sweep, which may not be asked for.
        """
        size = self.config.training.runs_per_job
        alike = self._seeds_alike[run in self._own, replace(run, seed=0)]
        seeds = sorted(seed for seed in alike if seed // size == run.seed // size)
        return "-".join(map(str, seeds))

    @cached_property
    def _own(self) -> frozenset[Run]:
        """The study's own runs."""
        return frozenset(self.runs)

    @cached_property
    def _seeds_alike(self) -> dict[tuple[bool, Run], set[int]]:
        """The seeds of all runs, of any scope, that are alike but for it.

        Keys: whether they are the study's own, and the run with seed 0.
        """
        beside = [run for section in SECTIONS for run in self.of_section(section)]
        found: dict[tuple[bool, Run], set[int]] = {}
        for run in (*self.runs, *beside, *self._untrained()):
            found.setdefault((run in self._own, replace(run, seed=0)), set()).add(run.seed)
        return found

    def block_runs(self, wildcards: Any) -> list[Run]:
        """Return the runs of a block, from its path's wildcards."""
        seeds = wildcards.seeds.split("-")
        return [Run.from_wildcards({**wildcards, "seed": int(seed)}) for seed in seeds]

    @property
    def constraints(self) -> dict[str, str]:
        """Regular expressions of the wildcards that name runs."""
        config = self.config
        labels = range(max(len(DATASETS[name].classes) for name in config.datasets))
        return {
            "protocol": one_of([*config.protocols, *self.variations]),
            "dataset": one_of(config.datasets),
            "model": one_of(MODELS),
            "held_out": one_of([WHOLE, *labels]),
            "seed": r"\d+",
            "seeds": r"\d+(?:-\d+)*",
            "method": one_of(type(config.ensembles).model_fields),
            "scope": one_of(SCOPES),
        }

    @cache  # noqa: B019 - a study lives as long as its process
    def _mathematics(self, protocol: str, dataset: str) -> Any:
        variation = self.variations.get(protocol)
        base = variation.base if variation else protocol
        mathematics = for_dataset(self.config.recipes[base], dataset)
        if variation is None:
            return mathematics
        over = variation.per_dataset.get(dataset, {})
        mathematics = type(mathematics).model_validate(merged(mathematics.model_dump(), over))
        for key, value in variation.changes.items():
            mathematics = varied(mathematics, key, value)
        return mathematics

    @cache  # noqa: B019
    def _recipe(self, protocol: str, dataset: str, model: str) -> Recipe:
        content = self._mathematics(protocol, dataset).model_dump()
        recipe = Recipe.from_json({"model": model, "theta": None, **of_model(content, model)})
        variation = self.variations.get(protocol)
        return recipe.but(epochs=0) if variation and not variation.trained else recipe


def whole(runs: Iterable[Run]) -> list[Run]:
    """Return the runs that were trained on all classes."""
    return [run for run in runs if run.held_out is None]


def without(runs: Iterable[Run]) -> list[Run]:
    """Return the runs that were trained without one class."""
    return [run for run in runs if run.held_out is not None]


def one_of(values: Iterable[Any]) -> str:
    """Return a regular expression that matches one of some values.

    It is a group: Snakemake takes an empty expression, of nothing but "", for no constraint.
    """
    return f"(?:{'|'.join(re.escape(str(value)) for value in values)})"
