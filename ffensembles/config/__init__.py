"""The configuration of a study: read, checked as a whole before anything runs.

`config.yaml` at the root holds every default; `schema` says what each key is. A profile's
`study.yaml` is laid over it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, create_model

from ffensembles.config.checks import (
    OF_CUT,
    cross_checked,
    for_dataset,
    merged,
    seeds_of,
    setting_text,
    varied,
)
from ffensembles.config.problems import Path as Place
from ffensembles.config.problems import translate
from ffensembles.config.schema import Config
from ffensembles.errors import ConfigError
from ffensembles.runtime.keys import Group

Source = Mapping[str, Any] | str | Path

__all__ = [
    "OF_CUT", "Config", "for_dataset", "load_config", "load_merged", "merged", "seeds_of",
    "setting_text", "varied",
]  # fmt: skip


def load_config(source: Source, *overlays: Source, name: str = "config.yaml") -> Config:
    """Read a configuration and check all of it.

    Parameters
    ----------
    source
        A YAML file, or what it holds.
    overlays
        Files or mappings laid over it, key by key, as Snakemake's `--configfile` does.
    name
        What mappings are called in messages.

    Raises
    ------
    ConfigError
        With one line for every problem: file, key, what was found and what is allowed.
    """
    layers = [_read(layer, name) for layer in (source, *overlays)]
    whole: dict[str, Any] = {}
    for _, content in layers:
        whole = merged(whole, content)
    try:
        config = Config.model_validate(whole)
        problems = list(cross_checked(dict(config)))
    except ValidationError as error:
        problems = translate(error, Config, whole)
        problems += cross_checked(_right_by_themselves(error, whole))
    if problems:
        raise ConfigError("\n".join(f"{_origin(one.path, layers)}: {one}" for one in problems))
    return config


def load_merged(content: Mapping[str, Any], files: Sequence[str | Path]) -> Config:
    """Read what Snakemake laid together from files and its command line, and check all of it.

    Raises
    ------
    ConfigError
        As `load_config`. A problem is said of the file that it is in.
    """
    try:
        return load_config(content, name="--config")
    except ConfigError:
        load_config(*files)  # tells which file has a problem
        raise


def _read(source: Source, name: str) -> tuple[str, Mapping[str, Any]]:
    """Return a layer's name and content."""
    if isinstance(source, Mapping):
        return name, source
    try:
        content = yaml.safe_load(Path(source).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        said = getattr(error, "problem", None) or "not a text file"
        raise ConfigError(f"{source}: is no YAML{line} ({said}).") from None
    if content is None:
        content = {}
    if not isinstance(content, Mapping):
        raise ConfigError(f"{source}: holds no keys at its top level.")
    return str(source), content


def _right_by_themselves(error: ValidationError, whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return the top-level groups that pydantic found nothing wrong with."""
    broken = {one["loc"][0] for one in error.errors(include_url=False)}
    fields: dict[str, Any] = {
        key: (field.annotation, field)
        for key, field in Config.model_fields.items()
        if key not in broken
    }
    part = create_model("Part", __base__=Group, **fields)
    return dict(part.model_validate({key: whole[key] for key in fields if key in whole}))


def _origin(place: Place, layers: list[tuple[str, Mapping[str, Any]]]) -> str:
    """Return the name of the layer that a value comes from: the last that reaches deepest."""

    def depth(layer: tuple[str, Mapping[str, Any]]) -> int:
        content: Any = layer[1]
        for reached, part in enumerate(place):
            try:
                content = content[part]
            except (KeyError, IndexError, TypeError):
                return reached
        return len(place)

    return max(reversed(layers), key=depth)[0]
