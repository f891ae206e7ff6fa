"""The grid of a study: which runs there are, what is made of them, and where it lies.

Whatever reads the Snakefile reads this, so nothing slow is imported.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, reduce
from typing import Any

from ffensembles.config import OF_CUT, Config, for_dataset, varied
from ffensembles.config.schema import Mathematics
from ffensembles.models.recipe import MODELS, UNTRAINED, Model, Recipe
from ffensembles.runs import PATTERNS, WHOLE, Run

TABLES = ("table1", "table2", "table3")
FIGURES = tuple(f"figure{number}" for number in range(1, 9))
FRAMES = (
    "accuracy",
    "sizes",
    "positive_weights",
    "positive_weights_by_unit",
    "sharing",
    "regression",
    "unseen",
)
"""Tidy frames; `unseen` is of runs with a held-out class."""

SCOPES = ("", "untrained/", "shuffled/", "sweep/")
"""What tidy frames are of: the study's runs, untrained nets, labels shuffled, or the sweep."""

METHODS = ("method1", "method2")
"""Methods whose ensembles the study's tables and figures ask for."""

OF_UNSEEN = ("unseen_label", "held_out_negatives")
"""Keys of a recipe that matter only to runs without a class."""

_TABLE_ENDINGS, _FIGURE_ENDINGS = ("csv", "md", "tex", "rst"), ("pdf", "png", "rst")

BY_DATASET = ("figure1", "figure3", "figure4", "figure5", "figure6")
"""Figures of one run, made for each data set; the others show all data sets at once."""


@dataclass(frozen=True)
class Variant:
    """One of the files of a figure: what it shows.

    Attributes
    ----------
    protocol
        The protocol of all its runs.
    datasets
        The data sets it shows.
    run
        The run shown as an example; None where the figure shows only numbers of all runs.
    """

    protocol: str
    datasets: tuple[str, ...]
    run: Run | None


@dataclass(frozen=True)
class Variation:
    """A protocol that is the first one but for some keys.

    Attributes
    ----------
    changes
        Keys, with points between groups, and their values.
    models
        The models that it concerns.
    """

    changes: Mapping[str, Any]
    models: tuple[Model, ...]

    @property
    def of_unseen(self) -> bool:
        """Whether it matters only to runs without a class."""
        return bool(self.changes) and all(key in OF_UNSEEN for key in self.changes)

    @property
    def of_cut(self) -> bool:
        """Whether it changes Method 2's cut, and nothing that is learnt."""
        return bool(self.changes) and all(key.startswith(OF_CUT) for key in self.changes)


class _Open(dict[str, str]):
    """Values of some wildcards; the others stay as they are."""

    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


class Study:
    """A configured study.

    Examples
    --------
    >>> from ffensembles.config import load_config
    >>> study = Study(load_config("config.yaml"))
    >>> study.path("weights", study.select(model="BP", seed=3)[0])
    'results/runs/sigmoid-linf/mnist/BP/held-out-none/seed-3/weights.safetensors'
    >>> study.pattern("figure", figure="figure3", ending="pdf")
    'results/figures/figure3{variant}.pdf'
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
            for seed in self.seeds(model, dataset)
        ]
        without = [run for protocol in config.protocols for run in self._without(protocol)]
        return tuple(dict.fromkeys(whole + without))

    def seeds(self, model: Model, dataset: str) -> list[int]:
        """Return the seeds of a model's runs on all classes of a data set."""
        for entry in self.config.own_seeds:
            if (entry.model, entry.dataset) == (model, dataset):
                return entry.seeds
        return self.config.seeds

    def _without(self, protocol: str) -> Iterator[Run]:
        """Yield the runs of a protocol that are trained without one class."""
        for entry in self.config.held_out:
            n_classes = len(_categories(entry.dataset))
            for label in range(n_classes) if entry.classes == "all" else entry.classes:
                for seed in self.config.seeds if entry.seeds == "all" else entry.seeds:
                    yield Run(protocol, entry.dataset, entry.model, label, seed)

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

    @property
    def whole_runs(self) -> list[Run]:
        """The runs on all classes."""
        return self.select(held_out=None)

    @property
    def held_out_runs(self) -> list[Run]:
        """The runs without one class."""
        return [run for run in self.runs if run.held_out is not None]

    @cached_property
    def settings(self) -> dict[str, Variation]:
        """The sweep's variations, by the names of their protocols; those of a cut among them."""
        first = self.config.protocols[0]
        return {
            f"{first}--{setting.key}-{setting_text(value)}": Variation(
                {setting.key: value}, tuple(setting.models)
            )
            for setting in self.config.sweep.settings
            for value in setting.values
        }

    @property
    def setting_texts(self) -> dict[str, tuple[str, str]]:
        """The sweep's variations by name: the key that each changes, and its value as text."""
        return {
            name: (key, setting_text(value))
            for name, setting in self.settings.items()
            for key, value in setting.changes.items()
        }

    @property
    def cuts(self) -> dict[str, dict[str, float]]:
        """The sweep's cuts of Method 2 by name, as `ensembles.recut` takes them."""
        return {
            name: {key.removeprefix(OF_CUT): value for key, value in setting.changes.items()}
            for name, setting in self.settings.items()
            if setting.of_cut
        }

    @property
    def cut_runs(self) -> list[Run]:
        """The sweep's runs whose ensembles are cut anew: those with every setting as it is."""
        return [run for run in self.scope("sweep/") if run.protocol == self.config.protocols[0]]

    @property
    def settings_as_they_are(self) -> dict[str, str]:
        """What is configured of each setting that the sweep varies, as text."""
        mathematics = self.config.recipes[self.config.protocols[0]].model_dump()
        mathematics["ensembles"] = self.config.ensembles.model_dump()
        keys = [setting.key for setting in self.config.sweep.settings]
        return {
            key: setting_text(reduce(lambda group, name: group[name], key.split("."), mathematics))
            for key in keys
        }

    @cached_property
    def _variations(self) -> dict[str, Variation]:
        learnt = {name: one for name, one in self.settings.items() if not one.of_cut}
        return {UNTRAINED: Variation({}, tuple(self.config.models)), **learnt}

    def scope(self, scope: str) -> tuple[Run, ...]:
        """Return the runs that tidy frames of a scope (`SCOPES`) are of."""
        if scope in ("", "shuffled/"):
            return self.runs
        if scope == "untrained/":
            seeds = self.config.reproduction.untrained_seeds
            apart = (replace(run, seed=seed) for run in self._without(UNTRAINED) for seed in seeds)
            return tuple(dict.fromkeys([*self._varied(UNTRAINED, seeds), *apart]))
        first, seeds = self.config.protocols[0], self.config.sweep.seeds
        base = Run(first, "", "FF", None, 0)
        runs = [
            replace(base, dataset=dataset, model=model, seed=seed)
            for dataset in self.config.datasets
            for model in self.config.models
            for seed in seeds
        ]
        runs += [run for run in self._without(first) if run.seed in seeds]
        for name, setting in self._variations.items():
            if setting.of_unseen:
                here = (run for run in self._without(name) if run.model in setting.models)
                runs += [run for run in here if run.seed in seeds]
            elif name != UNTRAINED:
                runs += self._varied(name, seeds)
        return tuple(dict.fromkeys(runs))

    def _varied(self, name: str, seeds: Iterable[int]) -> Iterator[Run]:
        for dataset in self.config.datasets:
            for model in self.config.models:
                if model in self._variations[name].models:
                    yield from (Run(name, dataset, model, None, seed) for seed in seeds)

    @property
    def methods(self) -> list[str]:
        """The methods that find ensembles."""
        return list(type(self.config.ensembles).model_fields)

    def recipe(self, run: Run) -> Recipe:
        """Return the mathematics of a run."""
        return self._recipe(run.protocol, run.dataset, run.model)

    def data_settings(self, run: Run) -> dict[str, Any]:
        """Return what `datasets.prepare` wants beside the data set's name."""
        standardisation = self._mathematics(run.protocol, run.dataset).standardisation
        return {"standardisation": standardisation, **self.config.data.model_dump()}

    def unseen_label(self, run: Run) -> str:
        """Return which label images of a held-out class carry when representations are read."""
        return self._mathematics(run.protocol, run.dataset).unseen_label

    def block(self, run: Run) -> str:
        """Return the seeds of the runs that share a job with one, as a path names them: `0-1-2`.

        They lie together and all else is alike. Which they are depends on the seeds alone, so that
        a new seed makes its own block anew and no other.
        """
        size = self.config.training.runs_per_job
        alike = self.select(**{key: value for key, value in run.keys.items() if key != "seed"})
        seeds = sorted(other.seed for other in alike if other.seed // size == run.seed // size)
        return "-".join(map(str, seeds))

    def block_runs(self, wildcards: Any) -> list[Run]:
        """Return the runs of a block, from its path's wildcards."""
        seeds = wildcards.seeds.split("-")
        return [Run.from_wildcards({**wildcards, "seed": int(seed)}) for seed in seeds]

    def pattern(self, kind: str, **known: Any) -> str:
        """Return the pattern of a kind of file; wildcards not `known` stay open."""
        known = {key: str(value) for key, value in known.items()}
        return f"{self.config.results}/{PATTERNS[kind].format_map(_Open(known))}"

    def inside(self, kind: str, **wildcards: Any) -> str:
        """Return one file's path inside any results folder."""
        return PATTERNS[kind].format_map(wildcards)

    def path(self, kind: str, run: Run | None = None, **wildcards: Any) -> str:
        """Return one file's path.

        Raises
        ------
        KeyError
            If the path has a wildcard of which nothing is said.
        """
        known = {**(run.wildcards if run else {}), **wildcards}
        return f"{self.config.results}/{PATTERNS[kind].format_map(known)}"

    def paths(self, kind: str, runs: Iterable[Run], **wildcards: Any) -> list[str]:
        """Return the path of a kind of file for each run."""
        return [self.path(kind, run, **wildcards) for run in runs]

    @cached_property
    def constraints(self) -> dict[str, str]:
        """Regular expressions of all wildcards whose values the configuration knows."""
        config = self.config
        labels = range(max((len(_categories(name)) for name in config.datasets), default=0))
        variants = dict.fromkeys(v for name in FIGURES for v in self.figure_variants(name))
        return {
            "protocol": _one_of([*config.protocols, *self._variations]),
            "dataset": _one_of(config.datasets),
            "model": _one_of(MODELS),
            "held_out": _one_of([WHOLE, *labels]),
            "seed": r"\d+",
            "seeds": r"\d+(?:-\d+)*",
            "method": _one_of(self.methods),
            "scope": _one_of(SCOPES),
            "table": _one_of(TABLES),
            "figure": _one_of(FIGURES),
            "variant": _one_of(variants),
            "frame": r"[a-z0-9_]+",
            "ending": r"[a-z]+",
        }

    def figure_variants(self, figure: str) -> dict[str, Variant]:
        """Return the files of a figure, by what their names have after `figure3`.

        The study's own data set and the first protocol carry no addition: `""`; the others
        `-digits`, `-relu-l2` or `-relu-l2-digits`. Where the data set of the study's figure is
        not configured the first that is takes its place, as does the first model; and in figure
        4 the first class that was left out. A figure without any run is not made.
        """
        shown = getattr(self.config.figures, figure)
        by_dataset = figure in BY_DATASET
        variants: dict[str, Variant] = {}
        for protocol in self.config.protocols:
            examples = {
                dataset: run
                for dataset in self.config.datasets
                if (run := self._example(shown, protocol, dataset)) is not None
            }
            addition = "" if protocol == self.config.protocols[0] else f"-{protocol}"
            own = getattr(shown, "dataset", None)
            own = own if own in examples else next(iter(examples), None)
            if not by_dataset:
                run = examples.get(own) if own is not None and hasattr(shown, "dataset") else None
                variants[addition] = Variant(protocol, tuple(self.config.datasets), run)
                continue
            for dataset, run in sorted(examples.items(), key=lambda item: item[0] != own):
                name = addition if dataset == own else f"{addition}-{dataset}"
                variants[name] = Variant(protocol, (dataset,), run)
        return variants

    @property
    def figures(self) -> list[str]:
        """The figures that can be drawn: the fourth needs a run without one class."""
        return [name for name in FIGURES if self.figure_variants(name)]

    @property
    def frames(self) -> list[str]:
        """The tidy frames that can be made."""
        return [name for name in FRAMES if name != "unseen" or self.held_out_runs]

    @property
    def judged(self) -> dict[str, dict[str, str]]:
        """What the publication is compared with: each frame's parts by name, as tidy frames."""
        frames = {name: {name: name} for name in (*self.frames, "similarity", "costs")}
        for name in set(frames) & {"sizes", "positive_weights", "sharing", "unseen"}:
            frames[name][f"untrained_{name}"] = f"untrained/{name}"
        for name in ("sizes", "sharing"):
            frames[f"shuffled_{name}"] = {f"shuffled_{name}": f"shuffled/{name}"}
        return frames

    def label(self, dataset: str) -> dict[str, Any]:
        """Return what captions call a data set, and the scale at which it was learnt."""
        from ffensembles.datasets import DATASETS

        runs = self.select(dataset=dataset, protocol=self.config.protocols[0])
        return {
            "title": DATASETS[dataset].title,
            "categories": _categories(dataset),
            "n_train": self.config.data.train_images,
            "epochs": {run.model: self.recipe(run).epochs for run in runs},
        }

    def stage(self, name: str) -> list[str]:
        """Return every file of a table, of a figure, or of a stage: tidy, tables, figures."""
        if name in TABLES:
            return [self.path("table", table=name, ending=ending) for ending in _TABLE_ENDINGS]
        if name in FIGURES:
            return [
                self.path("figure", figure=name, variant=variant, ending=ending)
                for variant in self.figure_variants(name)
                for ending in _FIGURE_ENDINGS
            ]
        if name == "tidy":
            return [self.path("tidy", frame=frame) for frame in self.frames]
        parts = {"tables": TABLES, "figures": self.figures}[name]
        return [path for part in parts for path in self.stage(part)]

    def _example(self, shown: Any, protocol: str, dataset: str) -> Run | None:
        """Return the run of a data set that a figure shows."""
        runs = self.select(protocol=protocol, dataset=dataset)
        seed = self.config.figures.seed
        preferences = {
            "seed": None if seed == "first" else seed,
            "model": getattr(shown, "model", None),
            "held_out": getattr(shown, "held_out", None),
        }
        unseen = hasattr(shown, "held_out")
        runs = [run for run in runs if (run.held_out is not None) == unseen]
        for key in ("held_out", "model", "seed"):
            preferred = [run for run in runs if getattr(run, key) == preferences[key]]
            runs = preferred or runs
        return runs[0] if runs else None

    @cache  # noqa: B019 - a study lives as long as its process
    def _mathematics(self, protocol: str, dataset: str) -> Mathematics:
        variation = self._variations.get(protocol)
        first = self.config.protocols[0] if variation else protocol
        mathematics = for_dataset(self.config.recipes[first], dataset)
        for key, value in (variation.changes if variation else {}).items():
            mathematics = varied(mathematics, key, value)
        return mathematics

    @cache  # noqa: B019
    def _recipe(self, protocol: str, dataset: str, model: Model) -> Recipe:
        content = self._mathematics(protocol, dataset).model_dump()
        recipe = Recipe.from_json({"model": model, "theta": None, **content, **content[model]})
        return recipe.but(epochs=0) if protocol == UNTRAINED else recipe


@cache
def _categories(dataset: str) -> tuple[str, ...]:
    from ffensembles.datasets import DATASETS

    return tuple(DATASETS[dataset].classes)


def setting_text(value: Any) -> str:
    """Write a value of a setting as the configuration does.

    Examples
    --------
    >>> setting_text(None), setting_text(False), setting_text(0.4)
    ('null', 'false', '0.4')
    """
    return "null" if value is None else str(value).lower()


def _one_of(values: Iterable[Any]) -> str:
    # in a group of its own: Snakemake takes an empty expression, of nothing but "", for none at all
    return f"(?:{'|'.join(re.escape(str(value)) for value in values)})"
