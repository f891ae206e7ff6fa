"""What keys of the configuration are made of: groups, and types with what they allow in words.

Every package that has parameters of its own describes them with these, beside the code that they
are for.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Len, Lt, MinLen
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

__all__ = [
    "Allowed", "Count", "Field", "Folder", "Ge", "Group", "Label", "Le", "Len", "MinLen",
    "Number", "Positive", "Quantile", "Seed", "Share", "Some", "Unique", "Whole", "leaves", "shown",
]  # fmt: skip


@dataclass(frozen=True)
class Allowed:
    """Metadata of a type: what its values are, in words, where the type alone does not say."""

    text: str


def leaves(group: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested groups with their dotted keys.

    Examples
    --------
    >>> dict(leaves({"negatives": "once", "FF": {"theta": 0.5}}))
    {'negatives': 'once', 'FF.theta': 0.5}
    """
    for name, value in group.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{under}{name}.")
        else:
            yield f"{under}{name}", value


def shown(value: Any) -> str:
    """Write a value as YAML does, shortened.

    Examples
    --------
    >>> shown(None), shown(True), shown("a"), shown([1, "b"])
    ('null', 'true', "'a'", "[1, 'b']")
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return f"a group of keys ({', '.join(map(str, value)) or 'empty'})"
    text = f"[{', '.join(map(shown, value))}]" if isinstance(value, list) else repr(value)
    return text if len(text) <= 60 else f"{text[:56]} ..."


def _number(value: Any) -> Any:
    """Read 1e-4 as the number it means: YAML 1.1 takes an exponent without a point for text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _whole(value: Any) -> Any:
    """Read "3" as the number it means: Snakemake takes those in a list of --config for text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _unique(values: list[Any]) -> list[Any]:
    repeated = [value for place, value in enumerate(values) if value in values[:place]]
    if repeated:
        text = f"found {shown(repeated[0])} twice; allowed: each value once"
        raise PydanticCustomError("problem", "{text}", {"text": text})
    return values


def _plain_path(text: str) -> str:
    """Refuse what Snakemake takes for a wildcard, and what only a shell would replace.

    What is left is written as Snakemake compares paths: without `./`, `//` or a `/` at the end.
    """
    if set(text) & set("{}$") or text.startswith("~") or not text.strip():
        raise ValueError
    return os.path.normpath(text)


Number = Annotated[float, BeforeValidator(_number)]
Positive = Annotated[Number, Gt(0)]
Share = Annotated[Number, Ge(0), Le(1)]
Quantile = Annotated[Number, Gt(0), Lt(1)]
Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Whole, Ge(1)]
Width = Annotated[Whole, Ge(2)]  # of one unit there is no sparsity
Seed = Annotated[Whole, Ge(0)]
Label = Annotated[Whole, Ge(0)]
Folder = Annotated[
    str, AfterValidator(_plain_path), Allowed("a folder's path, written out: no braces, ~ or $")
]
Unique = AfterValidator(_unique)
Some = MinLen(1)


class Group(BaseModel):
    """Keys that stand together; no other key may stand beside them."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
