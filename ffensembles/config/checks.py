"""What one key demands of another: checked on those groups that are right by themselves."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ffensembles.config.problems import Path, Problem, translate, wrong
from ffensembles.config.schema import (
    Data,
    Ensembles,
    Example,
    Figure8,
    Figures,
    HeldOut,
    Mathematics,
    OwnSeeds,
    Protocol,
    Setting,
    Sweep,
    Tables,
)
from ffensembles.runtime.keys import Group, shown

OF_CUT = "ensembles.method2."
"""How the sweep's keys of Method 2's cut begin; they change what is found, not what is learnt."""

_PROTOCOL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")


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


def for_dataset(protocol: Protocol, dataset: str) -> Mathematics:
    """Return a protocol's mathematics for one data set; raises pydantic's ValidationError."""
    base = protocol.model_dump(exclude={"per_dataset"})
    return Mathematics.model_validate(merged(base, protocol.per_dataset.get(dataset, {})))


def varied(mathematics: Mathematics, key: str, value: Any) -> Mathematics:
    """Return a recipe with one key changed; raises pydantic's ValidationError.

    Examples
    --------
    >>> from ffensembles.config import load_config
    >>> protocol = load_config("config.yaml").recipes["sigmoid-linf"]
    >>> varied(for_dataset(protocol, "mnist"), "FF.theta", 0.4).FF.theta
    0.4
    """
    return Mathematics.model_validate(_changed(mathematics, key, value))


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
    entry = _registry().get(dataset)
    return None if entry is None else len(entry.classes)


def _registry() -> Mapping[str, Any]:
    from ffensembles.datasets import DATASETS

    return DATASETS


def _grid(protocols: list[str], recipes: dict[str, Protocol]) -> Iterator[Problem]:
    for place, protocol in enumerate(protocols):
        if protocol not in recipes:
            yield wrong(("protocols", place), protocol, recipes)
    for name in recipes:
        if not _PROTOCOL_NAME.fullmatch(name):
            yield wrong(("recipes", name), name, "letters, digits, points and hyphens")


def _datasets(datasets: list[str]) -> Iterator[Problem]:
    for place, dataset in enumerate(datasets):
        if dataset not in _registry():
            yield wrong(("datasets", place), dataset, _registry())


def _images(data: Data, datasets: list[str]) -> Iterator[Problem]:
    most = max((_classes(dataset) or 0 for dataset in datasets), default=0)
    for key in ("train_images", "test_images"):
        found = getattr(data, key)
        if found is not None and found < most:
            yield wrong(("data", key), found, f"null or a whole number from {most}, one per class")


def _per_dataset(recipes: dict[str, Protocol]) -> Iterator[Problem]:
    for name, protocol in recipes.items():
        for dataset, over in protocol.per_dataset.items():
            path: Path = ("recipes", name, "per_dataset", dataset)
            if dataset not in _registry():
                yield wrong(path, dataset, _registry())
                continue
            try:
                for_dataset(protocol, dataset)
            except ValidationError as error:
                base = protocol.model_dump(exclude={"per_dataset"})
                yield from translate(error, Mathematics, merged(base, over), path)


def _own_seeds(
    own_seeds: list[OwnSeeds], datasets: list[str], models: list[str]
) -> Iterator[Problem]:
    seen: dict[tuple[str, str], int] = {}
    for place, entry in enumerate(own_seeds):
        path: Path = ("own_seeds", place)
        if entry.model not in models:
            yield wrong((*path, "model"), entry.model, models)
        if entry.dataset not in datasets:
            yield wrong((*path, "dataset"), entry.dataset, datasets)
        first = seen.setdefault((entry.model, entry.dataset), place)
        if first != place:
            said = f"{entry.model} on {entry.dataset}"
            yield Problem(
                path, f"found {said}, which own_seeds[{first}] has too; allowed: each once"
            )


def _held_out(
    held_out: list[HeldOut], datasets: list[str], models: list[str], seeds: list[int]
) -> Iterator[Problem]:
    seen: dict[tuple[Any, ...], int] = {}
    for place, entry in enumerate(held_out):
        path: Path = ("held_out", place)
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
        chosen = seeds if entry.seeds == "all" else entry.seeds
        for seed in chosen:
            if seed not in seeds:
                yield wrong((*path, "seeds"), seed, seeds)
        for run in (
            (entry.model, entry.dataset, label, seed) for label in classes for seed in chosen
        ):
            if seen.setdefault(run, place) != place:
                yield Problem(
                    path,
                    f"found class {run[2]} with seed {run[3]}, which held_out[{seen[run]}] has "
                    "too; allowed: each run once",
                )
                break


def _shown(figures: Figures, seeds: list[int], datasets: list[str]) -> Iterator[Problem]:
    if figures.seed != "first" and figures.seed not in seeds:
        yield wrong(("figures", "seed"), figures.seed, ["first", *seeds])
    for name, figure in figures:
        if not isinstance(figure, Example | Figure8):
            continue
        if figure.dataset not in _registry():
            yield wrong(("figures", name, "dataset"), figure.dataset, _registry())
            continue
        labels = {"categories": getattr(figure, "categories", [])}
        labels["held_out"] = [figure.held_out] if hasattr(figure, "held_out") else []
        known = [name for name in (figure.dataset, *datasets) if name in _registry()]
        fewest = min(known, key=lambda name: len(_registry()[name].classes))
        n_classes = len(_registry()[fewest].classes)
        for key, found in labels.items():
            for label in found:
                if label >= n_classes:
                    yield wrong(("figures", name, key), label, _labels(fewest, n_classes))


def _quantiles(tables: Tables, figures: Figures, ensembles: Ensembles) -> Iterator[Problem]:
    computed = ensembles.method1.quantiles
    for group, parts in (("tables", tables), ("figures", figures)):
        for name, part in parts:
            quantile = getattr(part, "quantile", None)
            if quantile is not None and quantile not in computed:
                text = f"{', '.join(map(shown, computed))} (ensembles.method1.quantiles)"
                yield wrong((group, name, "quantile"), quantile, text)


def _layers(
    figures: Figures, protocols: list[str], datasets: list[str], recipes: dict[str, Protocol]
) -> Iterator[Problem]:
    depths = []
    for protocol in protocols:
        for dataset in datasets if protocol in recipes else []:
            try:
                depths.append((len(for_dataset(recipes[protocol], dataset).widths), protocol))
            except ValidationError:  # said by _per_dataset
                continue
    if not depths:
        return
    depth, protocol = min(depths)
    for name, figure in figures:
        layer = getattr(figure, "layer", None)
        if layer is not None and layer > depth:
            text = f"a layer from 1 to {depth} (recipes.{protocol}.widths)"
            yield wrong(("figures", name, "layer"), layer, text)


def _sweep(
    sweep: Sweep, protocols: list[str], recipes: dict[str, Protocol], ensembles: Ensembles
) -> Iterator[Problem]:
    base = recipes.get(protocols[0])
    if base is None:  # said by _grid
        return
    mathematics = Mathematics.model_validate(base.model_dump(exclude={"per_dataset"}))
    # where each key that can be varied stands, and what it is called there
    known: dict[str, tuple[Group, str]] = {
        key: (mathematics, key) for key, _ in _leaves(mathematics.model_dump())
    }
    known |= {f"{OF_CUT}{side}": (ensembles.method2, side) for side in ("max_rho", "max_n_h")}
    for place, setting in enumerate(sweep.settings):
        yield from _setting(setting, ("sweep", "settings", place), known)


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


def _leaves(group: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in group.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{under}{name}.")
        else:
            yield f"{under}{name}", value


def _labels(dataset: str, n_classes: int) -> str:
    return f"0 to {n_classes - 1}, the classes of {dataset}"


_CHECKS: tuple[Callable[..., Iterator[Problem]], ...] = (
    _grid,
    _datasets,
    _images,
    _per_dataset,
    _own_seeds,
    _held_out,
    _shown,
    _quantiles,
    _layers,
    _sweep,
)
