"""Every key there is, in words."""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from ffensembles.config.problems import annotated, in_words
from ffensembles.config.schema import Config
from ffensembles.runtime.keys import Group


def keys(group: type[Group] = Config, under: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield each key: its path, what it is for, what is allowed; groups before their keys.

    Examples
    --------
    >>> next(keys())
    ('name', "the study's name in its report", 'a text that is not empty')
    """
    for name, field in group.model_fields.items():
        path, inner = f"{under}{name}", _group_in(field.annotation)
        origin = get_origin(field.annotation)
        own_names = {"recipes": ".<protocol>", "editions": ".<edition>"}
        addition = own_names[name] if origin is dict and inner else "[]" if origin is list else ""
        if inner is None:
            yield path, field.description or "", in_words(annotated(field))
        else:
            yield path, field.description or "", ""
            yield from keys(inner, f"{path}{addition}.")


def _group_in(annotation: Any) -> type[Group] | None:
    candidates = [annotation, *get_args(annotation)]
    return next(
        (one for one in candidates if isinstance(one, type) and issubclass(one, Group)), None
    )


def text() -> str:
    """Return all keys, one line each."""
    return "\n".join(
        f"{path}: {description}{f' ({allowed})' if allowed else ''}"
        for path, description, allowed in keys()
    )
