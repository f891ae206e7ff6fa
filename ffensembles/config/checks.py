"""What one key demands of another: checked on those groups that are right by themselves."""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain, combinations, product
from typing import Any

from pydantic import ValidationError

from ffensembles.config.problems import Path, Problem, translate, wrong
from ffensembles.config.schema import (
    Edition,
    HeldOut,
    Images,
    Mathematics,
    OwnSeeds,
    Protocol,
    Setting,
    Sweep,
)
from ffensembles.datasets import DATASETS
from ffensembles.ensembles import METHODS
from ffensembles.extensions import EXTENSIONS
from ffensembles.extensions.runs import OfEnsembles
from ffensembles.models.spec import MODELS
from ffensembles.plotting.registry import KINDS
from ffensembles.publication.editions import PUBLICATIONS
from ffensembles.publication.tables import TABLE_KINDS
from ffensembles.runtime.keys import Group, leaves
from ffensembles.runtime.keys import shown as _text

OF_CUT = "ensembles.method2."
"""How the sweep's keys of Method 2's cut begin; they change what is found, not what is learnt."""

PHASES = "phases"
"""The key of a model's recipe that the runs of `sleep_wake` vary."""

# two hyphens, or one at the end, would make it the name of another protocol's variation
_PROTOCOL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.]*(?:-[A-Za-z0-9.]+)*")
_EDITION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_PART_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, key by key, as Snakemake lays configuration files.

    Examples
    --------
    >>> merged({"a": {"b": 1, "c": 2}, "d": [1, 2]}, {"a": {"b": 3}, "d": [4]})
    {'a': {'b': 3, 'c': 2}, 'd': [4]}
    """
    result = dict(under)
    for key, value in over.items():
        if not isinstance(value, Mapping):
            result[key] = value
            continue
        below = result.get(key, {})
        if value:
            result[key] = merged(below if isinstance(below, Mapping) else {}, value)
        else:  # no key to lay over anything: what is there stays
            result[key] = below
    return result


def seeds_of(
    seeds: list[int], own_seeds: Iterable[OwnSeeds], protocol: str, dataset: str, model: str
) -> list[int]:
    """Return the seeds of runs on all classes: of the first of `own_seeds` that names them."""
    run = {"protocol": protocol, "dataset": dataset, "model": model}
    for entry in own_seeds:
        if all(getattr(entry, key) in ("all", value) for key, value in run.items()):
            return entry.seeds
    return seeds


def for_dataset(protocol: Protocol, dataset: str) -> Any:
    """Return a protocol's mathematics for one data set; raises pydantic's ValidationError."""
    base = protocol.model_dump(exclude={"per_dataset"})
    return Mathematics.model_validate(merged(base, protocol.per_dataset.get(dataset, {})))


def varied(mathematics: Any, key: str, value: Any) -> Any:
    """Return a recipe with one key changed; raises pydantic's ValidationError.

    Examples
    --------
    >>> from ffensembles.config import load_config
    >>> protocol = load_config("config.yaml").recipes["sigmoid-linf"]
    >>> varied(for_dataset(protocol, "mnist"), "FF.theta", 0.4).FF.theta
    0.4
    """
    return Mathematics.model_validate(_changed(mathematics, key, value))


def setting_text(value: Any) -> str:
    """Write a value of a setting as names of runs have it, which may be paths.

    Examples
    --------
    >>> setting_text(None), setting_text(False), setting_text(0.4), setting_text([500, 300])
    ('null', 'false', '0.4', '500-300')
    """
    if isinstance(value, list):
        return "-".join(map(setting_text, value))
    return "null" if value is None else str(value).lower()


def _changed(group: Group, key: str, value: Any) -> dict[str, Any]:
    over: Any = value
    for name in reversed(key.split(".")):
        over = {name: over}
    return merged(group.model_dump(), over)


def cross_checked(groups: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong between `groups`; a check is left out where one it needs is not there."""
    for check in _CHECKS:
        needs = inspect.signature(check).parameters
        if needs.keys() <= groups.keys():
            yield from check(**{name: groups[name] for name in needs})


def _classes(dataset: str) -> int | None:
    """Return how many classes a data set has; None if there is no such data set."""
    entry = DATASETS.get(dataset)
    return None if entry is None else len(entry.classes)


def _grid(protocols: list[str], recipes: dict[str, Protocol]) -> Iterator[Problem]:
    for place, protocol in enumerate(protocols):
        if protocol not in recipes:
            yield wrong(("protocols", place), protocol, recipes)
    for name in recipes:
        if not _PROTOCOL_NAME.fullmatch(name):
            yield wrong(
                ("recipes", name), name, "letters, digits, points, and single hyphens between them"
            )


def _datasets(datasets: list[str]) -> Iterator[Problem]:
    for place, dataset in enumerate(datasets):
        if dataset not in DATASETS:
            yield wrong(("datasets", place), dataset, DATASETS)


def _images(images: Images, datasets: list[str]) -> Iterator[Problem]:
    known = [DATASETS[dataset] for dataset in datasets if dataset in DATASETS]
    if not known:  # said by _datasets
        return
    least = max(len(entry.classes) for entry in known)
    for split, what in enumerate(("train", "test")):
        found = getattr(images, f"{what}_images")
        fewest = min(known, key=lambda entry: entry.images[split])
        most = fewest.images[split]
        if found is not None and not least <= found <= most:
            yield wrong(
                ("images", f"{what}_images"),
                found,
                f"null or a whole number from {least}, as many as classes, to {most}, all that "
                f"{fewest.name} has",
            )


def _per_dataset(recipes: dict[str, Protocol]) -> Iterator[Problem]:
    for name, protocol in recipes.items():
        yield from _overrides(protocol.per_dataset, protocol, ("recipes", name, "per_dataset"))


def _overrides(
    per_dataset: Mapping[str, dict[str, Any]], protocol: Protocol, path: Path
) -> Iterator[Problem]:
    """Yield what is wrong with other values of a protocol's keys for single data sets."""
    base = protocol.model_dump(exclude={"per_dataset"})
    for dataset, over in per_dataset.items():
        if dataset not in DATASETS:
            yield wrong((*path, dataset), dataset, DATASETS)
            continue
        whole = merged(base, over)
        try:
            Mathematics.model_validate(whole)
        except ValidationError as error:
            yield from translate(error, Mathematics, whole, (*path, dataset))


def _own_seeds(
    own_seeds: list[OwnSeeds],
    recipes: dict[str, Protocol],
    datasets: list[str],
    models: list[str],
) -> Iterator[Problem]:
    known = {"protocol": list(recipes), "dataset": list(DATASETS), "model": list(MODELS)}
    seen: dict[tuple[str, ...], int] = {}
    for place, entry in enumerate(own_seeds):
        path: Path = ("own_seeds", place)
        named = {key: getattr(entry, key) for key in known}
        for key, value in named.items():
            if value not in (*known[key], "all"):
                yield wrong((*path, key), value, [*known[key], "all"])
        first = seen.setdefault(tuple(named.values()), place)
        if first != place:
            said = ", ".join(named.values())
            yield Problem(
                path, f"found {said}, which own_seeds[{first}] has too; allowed: each once"
            )


def _held_out(
    held_out: list[HeldOut],
    recipes: dict[str, Protocol],
    datasets: list[str],
    models: list[str],
    seeds: list[int],
    own_seeds: list[OwnSeeds],
) -> Iterator[Problem]:
    seen: dict[tuple[Any, ...], int] = {}
    for place, entry in enumerate(held_out):
        path: Path = ("held_out", place)
        protocols = list(recipes) if entry.protocols == "all" else entry.protocols
        for protocol in protocols:
            if protocol not in recipes:
                yield wrong((*path, "protocols"), protocol, recipes)
        if entry.model not in models:
            yield wrong((*path, "model"), entry.model, models)
        if entry.dataset not in datasets:
            yield wrong((*path, "dataset"), entry.dataset, datasets)
        n_classes = _classes(entry.dataset)
        if n_classes is None:
            continue
        classes = range(n_classes) if entry.classes == "all" else entry.classes
        for label in classes:
            if label >= n_classes:
                yield wrong((*path, "classes"), label, _labels(entry.dataset, n_classes))
        if n_classes < 3:
            said = f"found {entry.dataset}, without a class of which no wrong label is left"
            yield Problem((*path, "dataset"), f"{said}; allowed: a data set of 3 classes or more")
        own = [seeds_of(seeds, own_seeds, p, entry.dataset, entry.model) for p in protocols]
        known = sorted({*seeds, *chain(*own)})
        chosen = known if entry.seeds == "all" else entry.seeds
        yield from (wrong((*path, "seeds"), one, known) for one in chosen if one not in known)
        for run in product(protocols, [entry.model], [entry.dataset], classes, chosen):
            if seen.setdefault(run, place) != place:
                yield Problem(
                    path,
                    f"found class {run[3]} with seed {run[4]}, which held_out[{seen[run]}] has "
                    "too; allowed: each run once",
                )
                break


def _editions(
    editions: dict[str, Edition],
    protocols: list[str],
    recipes: dict[str, Protocol],
    seeds: list[int],
    own_seeds: list[OwnSeeds],
    datasets: list[str],
    ensembles: Any,
) -> Iterator[Problem]:
    for name, edition in editions.items():
        path: Path = ("editions", name)
        if not _EDITION_NAME.fullmatch(name):
            yield wrong(path, name, "letters, digits and hyphens")
        if edition.protocol not in recipes:
            yield wrong((*path, "protocol"), edition.protocol, recipes)
        known = PUBLICATIONS.get(name)
        if known is not None and edition.protocol != known.protocol:
            text = f"{known.protocol}, as it was published; an edition of your own has another name"
            yield wrong((*path, "protocol"), edition.protocol, text)
        of_protocol = _seeds_of_any_run(edition.protocol, seeds, own_seeds)
        if edition.seed != "first" and edition.seed not in of_protocol:
            yield wrong((*path, "seed"), edition.seed, ["first", *of_protocol])
        depth = _depth(edition.protocol, datasets, recipes)
        for group, registry in (("tables", TABLE_KINDS), ("figures", KINDS)):
            for part, content in getattr(edition, group).items():
                if content is None:
                    continue
                where = (*path, group, part)
                if not _PART_NAME.fullmatch(part):
                    yield wrong(where, part, "letters, digits and underscores")
                if part in EXTENSIONS:
                    yield wrong(where, part, "a name that no extension has")
                found = list(_entry(content, registry, where))
                yield from found
                if not found:
                    shown = registry[content["kind"]].parameters(**content)
                    yield from _parameters(shown, where, datasets, ensembles, depth)


def _seeds_of_any_run(protocol: str, seeds: list[int], own_seeds: list[OwnSeeds]) -> list[int]:
    """Return the seeds that any run of a protocol on all classes has."""
    entries = [entry for entry in own_seeds if entry.protocol in (protocol, "all")]
    of_all = any(entry.dataset == entry.model == "all" for entry in entries)
    found = {seed for entry in entries for seed in entry.seeds}
    return sorted(found if of_all else found.union(seeds))


def _entry(content: dict[str, Any], registry: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    """Yield what is wrong with the kind and parameters of a table or figure by themselves."""
    kind = str(content.get("kind"))
    if kind not in registry:
        yield wrong((*path, "kind"), kind, registry)
        return
    try:
        registry[kind].parameters(**content)
    except ValidationError as error:
        yield from translate(error, registry[kind].parameters, content, path)


def _parameters(
    shown: Any, path: Path, datasets: list[str], ensembles: Any, depth: tuple[int, str] | None
) -> Iterator[Problem]:
    """Yield what a figure or table asks for that the study does not have."""
    own = getattr(shown, "dataset", None)
    if own is not None and own not in DATASETS:
        yield wrong((*path, "dataset"), own, DATASETS)
        return
    if getattr(shown, "model", None) not in (None, *MODELS):
        yield wrong((*path, "model"), shown.model, MODELS)
    known = [name for name in (own, *datasets) if name in DATASETS]
    fewest = min(known, key=lambda name: len(DATASETS[name].classes), default=None)
    labels = {"categories": list(getattr(shown, "categories", []))}
    labels["held_out"] = [shown.held_out] if hasattr(shown, "held_out") else []
    for key, found in labels.items():
        for label in found:
            if fewest is not None and label >= len(DATASETS[fewest].classes):
                n_classes = len(DATASETS[fewest].classes)
                yield wrong((*path, key), label, _labels(fewest, n_classes))
    method = getattr(shown, "method", None)
    if method not in (None, *METHODS):
        yield wrong((*path, "method"), method, METHODS)
        return
    if method is None or METHODS[method].has_quantiles:
        of, quantile = method or "method1", getattr(shown, "quantile", None)
        computed = getattr(ensembles, of).quantiles
        # an extension without one takes that of the edition's table
        needed = method is not None and hasattr(shown, "quantile")
        needed = needed and not isinstance(shown, OfEnsembles)
        if quantile not in computed and (quantile is not None or needed):
            text = f"{', '.join(map(_text, computed))} (ensembles.{of}.quantiles)"
            yield wrong((*path, "quantile"), quantile, text)
    layer = getattr(shown, "layer", None)
    if layer is not None and depth is not None and layer > depth[0]:
        yield wrong((*path, "layer"), layer, f"a layer from 1 to {depth[0]} ({depth[1]})")


def _depth(
    protocol: str, datasets: list[str], recipes: dict[str, Protocol]
) -> tuple[int, str] | None:
    """Return the fewest layers of a protocol's nets, and the key that says so."""
    depths = []
    for dataset in datasets if protocol in recipes else []:
        with suppress(ValidationError):  # said by _per_dataset
            depths.append(len(for_dataset(recipes[protocol], dataset).widths))
    return (min(depths), f"recipes.{protocol}.widths") if depths else None


def _extension_settings(
    extension_settings: Any, datasets: list[str], ensembles: Any
) -> Iterator[Problem]:
    for name in type(extension_settings).model_fields:
        given, path = getattr(extension_settings, name), ("extension_settings", name)
        yield from _parameters(given, path, datasets, ensembles, None)


def _sweep(sweep: Sweep, recipes: dict[str, Protocol], ensembles: Any) -> Iterator[Problem]:
    yield from _settings("sweep", sweep, recipes, ensembles)
    yield from _of_datasets("sweep", sweep, recipes)


def _control(control: Sweep, recipes: dict[str, Protocol], ensembles: Any) -> Iterator[Problem]:
    yield from _settings("control", control, recipes, ensembles)
    yield from _of_datasets("control", control, recipes)


def _sleep_wake(
    sleep_wake: Sweep | None, recipes: dict[str, Protocol], ensembles: Any
) -> Iterator[Problem]:
    if sleep_wake is None:
        return
    yield from _settings("sleep_wake", sleep_wake, recipes, ensembles)
    yield from _of_datasets("sleep_wake", sleep_wake, recipes)
    for place, setting in enumerate(sleep_wake.settings):
        if not setting.key.endswith(f".{PHASES}"):
            path: Path = ("sleep_wake", "settings", place, "key")
            yield wrong(path, setting.key, f"the phases of a model: FF.{PHASES}")


def _sweep_and_control(sweep: Sweep, control: Sweep, sleep_wake: Sweep | None) -> Iterator[Problem]:
    """All name their runs by protocol and setting alone.

    Those of `sleep_wake` without values for single data sets are beside the study's own runs, so
    that only a setting which another section has too can have the same name.
    """
    known = [("sweep", sweep), ("control", control)]
    if sleep_wake is not None:
        known.append(("sleep_wake", sleep_wake))
    for (earlier, one), (name, other) in combinations(known, 2):
        shared = name != "sleep_wake" or bool(other.per_dataset)  # a base of its own
        shared = shared or not _setting_names(one).isdisjoint(_setting_names(other))
        if shared and one.protocol == other.protocol and one.per_dataset != other.per_dataset:
            yield Problem(
                (name, "per_dataset"),
                f"found other values than in {earlier}.per_dataset, although both vary "
                f"{one.protocol}; allowed: the same, since their runs have the same names",
            )


def _setting_names(sweep: Sweep) -> set[tuple[str, str]]:
    """Return key and value of every setting, as names of runs have them."""
    return {(one.key, setting_text(value)) for one in sweep.settings for value in one.values}


def _of_datasets(section: str, sweep: Sweep, recipes: dict[str, Protocol]) -> Iterator[Problem]:
    """Yield what is wrong with a sweep's data sets and its values for single ones."""
    for place, dataset in enumerate([] if sweep.datasets == "all" else sweep.datasets):
        if dataset not in DATASETS:
            yield wrong((section, "datasets", place), dataset, DATASETS)
    for place, setting in enumerate(sweep.settings):
        for dataset in setting.seeds if isinstance(setting.seeds, dict) else ():
            if dataset not in DATASETS:
                yield wrong((section, "settings", place, "seeds"), dataset, DATASETS)
    if sweep.protocol in recipes:
        yield from _overrides(sweep.per_dataset, recipes[sweep.protocol], (section, "per_dataset"))


def _settings(
    section: str, sweep: Sweep, recipes: dict[str, Protocol], ensembles: Any
) -> Iterator[Problem]:
    base = recipes.get(sweep.protocol)
    if base is None:
        yield wrong((section, "protocol"), sweep.protocol, recipes)
        return
    mathematics = Mathematics.model_validate(base.model_dump(exclude={"per_dataset"}))
    # where each key that can be varied stands, and what it is called there
    known: dict[str, tuple[Group, str]] = {
        key: (mathematics, key) for key, _ in leaves(mathematics.model_dump())
    }
    known |= {f"{OF_CUT}{key}": (ensembles.method2, key) for key in ("cut", "max_rho", "max_n_h")}
    named: dict[tuple[str, str], int] = {}
    for place, setting in enumerate(sweep.settings):
        path = (section, "settings", place)
        yield from _setting(setting, path, known)
        for at, value in enumerate(setting.values):
            first = named.setdefault((setting.key, setting_text(value)), place)
            if first != place:  # their runs have the same names
                said = f"found {_text(value)}, which {section}.settings[{first}] gives "
                said += f"{setting.key} too; allowed: each value once, for all its models"
                yield Problem((*path, "values", at), said)
        yield from _unconcerned(setting, path)
        fixed = _fixed(setting, mathematics, ensembles)
        if fixed:
            said = f"found {setting.key}, which changes nothing while {fixed}"
            yield Problem((*path, "key"), f"{said}. Change that, or vary it instead.")


def _unconcerned(setting: Setting, path: Path) -> Iterator[Problem]:
    """Yield a problem for each model that a setting changes nothing of."""
    group = setting.key.partition(".")[0]
    for place, name in enumerate(setting.models):
        if name in MODELS and (
            setting.key in MODELS[name].unread or (group in MODELS and group != name)
        ):
            said = f"found {name}, of which {setting.key} changes nothing"
            yield Problem((*path, "models", place), f"{said}. Leave it out.")


def _fixed(setting: Setting, mathematics: Any, ensembles: Any) -> str:
    """Say which other key leaves a setting without effect, if one does."""
    of_box = [f"{OF_CUT}max_rho", f"{OF_CUT}max_n_h"]
    if setting.key in of_box and ensembles.method2.cut == "gap":
        return f"{OF_CUT}cut is gap"
    for model in setting.models:
        negatives = getattr(getattr(mathematics, model), "negatives", None) or mathematics.negatives
        if setting.key == "held_out_negatives" and negatives == "permuted":
            return f"{model}.negatives is permuted"
        own = getattr(getattr(mathematics, model), setting.key, None)
        if own is not None:
            return f"{model}.{setting.key} is {own}"
    return ""


def _setting(
    setting: Setting, path: Path, known: Mapping[str, tuple[Group, str]]
) -> Iterator[Problem]:
    if setting.key not in known:
        yield wrong((*path, "key"), setting.key, known)
        return
    group, key = known[setting.key]
    for place, value in enumerate(setting.values):
        content = _changed(group, key, value)
        try:
            type(group).model_validate(content)
        except ValidationError as error:
            for problem in translate(error, type(group), content):
                yield Problem((*path, "values", place), problem.text)


def _labels(dataset: str, n_classes: int) -> str:
    return f"0 to {n_classes - 1}, the classes of {dataset}"


_CHECKS: tuple[Callable[..., Iterator[Problem]], ...] = (
    _grid,
    _datasets,
    _images,
    _per_dataset,
    _own_seeds,
    _held_out,
    _editions,
    _extension_settings,
    _sweep,
    _control,
    _sleep_wake,
    _sweep_and_control,
)
