"""What is wrong with a configuration, each thing in one line that a user can act on."""

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, MinLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ffensembles.runtime.keys import Allowed, shown

Path = tuple[str | int, ...]
"""Where a value stands: keys of groups and places in lists."""

_PLAIN = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    dict: "a group of keys",
    type(None): "null",
    Any: "any value",
}
_BOUNDS = ((Gt, "gt", "above"), (Ge, "ge", "from"), (Lt, "lt", "below"), (Le, "le", "up to"))


@dataclass(frozen=True)
class Problem:
    """One thing wrong: where, and what is to be said about it."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.text}"


def dotted(path: Path) -> str:
    """Write a path as users do.

    Examples
    --------
    >>> dotted(("held_out", 0, "classes"))
    'held_out[0].classes'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "the whole file"


def wrong(path: Path, found: Any, allowed: Iterable[Any] | str) -> Problem:
    """Say that a value is not one of those `allowed`, and name the nearest that is."""
    if isinstance(allowed, str):
        return Problem(path, f"found {shown(found)}; allowed: {allowed}")
    names = [name if isinstance(name, str) else shown(name) for name in allowed]
    text = f"found {shown(found)}; allowed: {', '.join(names) or 'nothing'}"
    return Problem(path, text + _hint(near_names(found, names) if isinstance(found, str) else []))


def near_names(found: Any, names: Iterable[str]) -> list[str]:
    """Return the name that resembles what was found, if there is one."""
    return difflib.get_close_matches(str(found), list(names), n=1, cutoff=0.7)


def _hint(near: list[str]) -> str:
    return f"; did you mean {near[0]!r}?" if near else ""


def in_words(annotation: Any) -> str:
    """Say what values a type has."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _constrained(arguments[0], arguments[1:])
    if origin in (Union, types.UnionType):
        return " or ".join(map(in_words, arguments))
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if origin is list:
        return f"a list, each {in_words(arguments[0])}"
    keys = _keys(annotation)
    return f"a group of the keys {', '.join(keys)}" if keys else _PLAIN[origin or annotation]


def _constrained(base: Any, metadata: Sequence[Any]) -> str:
    for item in metadata:
        if isinstance(item, Allowed):
            return item.text
    text = in_words(base)
    for item in metadata:
        if isinstance(item, MinLen) and base is str:
            text = "a text that is not empty"
        elif isinstance(item, Len) and item.min_length == item.max_length:
            text = text.replace("a list", f"a list of {item.min_length}", 1)
        elif isinstance(item, Len | MinLen) and item.min_length:
            text = text.replace("a list", f"a list of at least {item.min_length}", 1)
    bounds = [
        f"{word} {getattr(item, name)}"
        for kind, name, word in _BOUNDS
        for item in metadata
        if isinstance(item, kind)
    ]
    return " ".join([text, " and ".join(bounds)]).strip()


def translate(
    error: ValidationError, model: type[BaseModel], data: Any, base: Path = ()
) -> list[Problem]:
    """Turn what pydantic found in `data` into problems, one per place, deepest places only."""
    problems: dict[Path, Problem] = {}
    missing: dict[Path, list[str]] = {}
    meant: set[Path] = set()  # missing only because they are misspelt
    for one in error.errors(include_url=False):
        path, annotation = _resolve(model, data, one["loc"])
        if one["type"] == "missing":
            missing.setdefault(path, []).append(str(one["loc"][-1]))
            continue
        if one["type"] == "extra_forbidden":
            known = _keys(annotation)
            absent = [key for key in known if key not in _at(data, path[:-1])]
            near = near_names(path[-1], absent) or near_names(path[-1], known)
            meant.update((*path[:-1], key) for key in near)
            text = f"unknown key; allowed: {', '.join(known)}{_hint(near)}"
            problem = Problem(path, text)
        elif one["type"] == "invalid_key" or one["loc"][-1] == "[key]":
            text = f"found the key {shown(path[-1])}, which is no text; write it in quotes"
            problems[path] = problem = Problem(path, f"{text}: '{shown(path[-1])}'")
        elif one["type"] == "problem":  # says more than what another type of a union has to say
            problems[path] = problem = Problem(path, one["msg"])
        else:
            found = _at(data, path)
            problem = wrong(path, found, in_words(annotation))
            if isinstance(found, str):
                text = problem.text + _hint(near_names(found, _names(annotation)))
                problem = Problem(path, text)
        problems.setdefault(path, problem)
    for path, names in missing.items():
        names = [name for name in names if (*path, name) not in meant]  # noqa: PLW2901
        if names:
            problems.setdefault(path, _missing(path, names, model, data))
    deepest = [
        problem
        for path, problem in problems.items()
        if not any(other != path and other[: len(path)] == path for other in problems)
        or path in missing
    ]
    return [Problem(base + problem.path, problem.text) for problem in deepest]


def _missing(path: Path, names: list[str], model: type[BaseModel], data: Any) -> Problem:
    """Say which keys a group lacks; of one that is missing, what it may be."""
    if len(names) == 1:
        annotation = _field(_resolve(model, data, path)[1], names[0])
        return Problem((*path, names[0]), f"missing; allowed: {in_words(annotation)}")
    text = f"keys missing: {', '.join(names)}"
    if path and get_origin(_resolve(model, data, path[:-1])[1]) is dict:  # names of the user's own
        others = [str(key) for key in _at(data, path[:-1]) if key != path[-1]]
        text += _hint(near_names(path[-1], others))
    return Problem(path, text)


def _resolve(model: Any, data: Any, loc: Path) -> tuple[Path, Any]:
    """Follow pydantic's place through data and types; what names no place in data is skipped.

    Of an unknown key the type returned is that of the group it stands in.
    """
    path: Path = ()
    annotation = model
    for part in loc:
        inside = isinstance(data, Mapping) and part in data
        inside = inside or (isinstance(data, list) and isinstance(part, int) and part < len(data))
        if not inside:
            continue
        data, path = data[part], (*path, part)
        annotation = next(
            (
                _field(option, part)
                for option in _options(annotation)
                if _field(option, part) is not None
            ),
            annotation,
        )
    return path, annotation


def _options(annotation: Any) -> Iterator[Any]:
    """Yield the types a value may have, without metadata."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _options(arguments[0])
    elif origin in (Union, types.UnionType):
        for option in arguments:
            yield from _options(option)
    else:
        yield annotation


def _field(annotation: Any, part: str | int) -> Any:
    """Return the type of what stands at `part` in a value of a type; None if nothing can."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is list and isinstance(part, int):
        return arguments[0]
    if origin is dict:
        return arguments[1]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        if field is not None:
            return annotated(field)
    return None


def annotated(field: FieldInfo) -> Any:
    """Return a field's type with its metadata, which pydantic keeps apart."""
    metadata = tuple(field.metadata)
    return Annotated[field.annotation, *metadata] if metadata else field.annotation


def _keys(annotation: Any) -> list[str]:
    return [
        name
        for option in _options(annotation)
        if isinstance(option, type) and issubclass(option, BaseModel)
        for name in option.model_fields
    ]


def _names(annotation: Any) -> list[str]:
    """Return the words among a type's values."""
    return [
        name
        for option in _options(annotation)
        if get_origin(option) is Literal
        for name in get_args(option)
    ]


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = data[part]
    return data
