"""The JSON schema of the configuration: editors complete and check `config.yaml` with it."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ffensembles.config.schema import Config, Edition, HeldOut, Mathematics, OwnSeeds, Setting
from ffensembles.datasets import DATASETS
from ffensembles.plotting.registry import KINDS
from ffensembles.publication.tables import TABLE_KINDS

FILE = "config.schema.json"
"""Its file, beside `config.yaml`."""

_WHOLE = (OwnSeeds, HeldOut, Setting)
"""Groups in lists: a profile replaces a list as a whole, so each of their keys must be there."""

_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_REFERENCE = "#/$defs/{model}"


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of `config.yaml` and of a profile's `study.yaml`.

    It is made of the pydantic models of `schema`. The tables and figures of an edition come from
    their registries, and so do the names of data sets. No key outside of a list is required, since
    a profile gives only the keys that it changes. What one key demands of another is not in it:
    `load_config` checks that.
    """
    tables = [kind.parameters for kind in TABLE_KINDS.values()]
    figures = [kind.parameters for kind in KINDS.values()]
    models: list[type[BaseModel]] = [Config, Edition, Mathematics, *_WHOLE, *tables, *figures]
    names, parts = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template=_REFERENCE
    )
    reference = {model: names[model, "validation"]["$ref"] for model in models}
    groups = _translated(parts["$defs"])
    whole = {reference[model].rpartition("/")[2] for model in _WHOLE}
    for name, group in groups.items():
        if name not in whole:
            group.pop("required", None)

    def properties(model: type[BaseModel]) -> Any:
        return groups[reference[model].rpartition("/")[2]]["properties"]

    for part, kinds in (("tables", tables), ("figures", figures)):
        entries = [{"$ref": reference[model]} for model in kinds]
        properties(Edition)[part]["additionalProperties"] = {"anyOf": [*entries, {"type": "null"}]}
    for group in ("Protocol", "Sweep"):
        groups[group]["properties"]["per_dataset"] |= {
            "additionalProperties": {"$ref": reference[Mathematics]},
            "propertyNames": {"enum": list(DATASETS)},
        }
    properties(Config)["datasets"]["items"]["enum"] = list(DATASETS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of ffensembles",
        "$ref": reference[Config],
        "$defs": groups,
    }


def text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(json_schema(), indent=1) + "\n"


def _translated(part: Any) -> Any:
    """Return a schema with JSON Schema's words for bounds, where pydantic left its own."""
    if isinstance(part, Mapping):
        return {
            _BOUNDS.get(key, key) if isinstance(value, int | float) else key: _translated(value)
            for key, value in part.items()
        }
    return [_translated(one) for one in part] if isinstance(part, list) else part
