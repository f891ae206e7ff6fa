"""The workflow's rules as Snakemake reads them, without a run of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.rules import Rule
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings
from workplace import ROOT


@contextmanager
def loaded(**overlay: Any) -> Iterator[Mapping[str, Rule]]:
    """Yield the rules by name, with `overlay` laid over config.yaml; inputs are never made."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        read = api.workflow(
            resource_settings=ResourceSettings(),
            config_settings=ConfigSettings(config=overlay),
            snakefile=ROOT / "Snakefile",
        )
        yield {rule.name: rule for rule in read._workflow.rules}


def given(item: Any, **wildcards: str) -> Any:
    """Return an input or a parameter of a rule for a job with some wildcards."""
    return item(SimpleNamespace(**wildcards)) if callable(item) else item
