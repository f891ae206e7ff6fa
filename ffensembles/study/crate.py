"""RO-Crate metadata of exported runs: what the archive holds, for tools that do not know this one.

See https://www.researchobject.org/ro-crate; a reader needs neither this library nor PyTorch.
"""

import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from ffensembles.datasets import DATASETS
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.runs import Run

CRATE = "ro-crate-metadata.json"
"""Name that the specification asks for, at the root of the archive."""

STUDY = "https://doi.org/10.48550/arXiv.2305.18353"

_FORMATS = {".json": "application/json", ".csv": "text/csv"}
_WORDS = {
    "weights.safetensors": "Weights and biases of every layer, in the safetensors format",
    "history.csv": "Loss, goodness and accuracy while the network was trained",
    "dynamics.parquet": "What the network's ensembles were at epochs of its training",
    "run.json": "Recipe, accuracy, checksums, versions and device of the run",
}


def crate_metadata(
    runs: Iterable[tuple[Run, Mapping[str, Mapping[str, Any]], Mapping[str, Any]]],
) -> str:
    """Return the RO-Crate metadata of an archive of trained runs, as JSON-LD.

    Each run is an action (`CreateAction`) of this software that made its files. The date is
    today's, or that of the environment variable `SOURCE_DATE_EPOCH`: the same runs exported on the
    same day give the same text.

    Parameters
    ----------
    runs
        Of each run: its keys; `sha256` and `size` of its files, by their names in the archive; and
        its metadata, as `training.metadata.read_run` returns them.
    """
    from rocrate.model import ContextEntity
    from rocrate.rocrate import ROCrate

    crate = ROCrate()
    crate.name = "Trained runs of ffensembles"
    crate.description = (
        "Networks trained with the Forward-Forward algorithm (FF), with backpropagation on its "
        "goodness (BP/FF) and on cross-entropy (BP). `ffensembles import` reads this archive."
    )
    crate.datePublished = _day()
    study = {"@type": "ScholarlyArticle", "name": "The study whose method these runs follow"}
    crate.root_dataset["citation"] = crate.add(ContextEntity(crate, STUDY, properties=study))
    software: dict[str, ContextEntity] = {}
    actions = []
    for run, files, metadata in runs:
        version = metadata["provenance"].get("ffensembles", "unknown")
        if version not in software:
            known = {"@type": "SoftwareApplication", "name": "ffensembles", "version": version}
            one = ContextEntity(crate, f"#ffensembles-{version}", properties=known)
            software[version] = crate.add(one)
        made = [_add_file(crate, name, known) for name, known in files.items()]
        action = {"@type": "CreateAction", "name": _title(run), "description": _result(metadata)}
        actions.append(crate.add(ContextEntity(crate, f"#{run.name}", properties=action)))
        actions[-1]["instrument"] = software[version]
        actions[-1]["result"] = made
    crate.root_dataset["mentions"] = actions
    return json.dumps(crate.metadata.generate(), indent=2, ensure_ascii=False) + "\n"


def _add_file(crate: Any, name: str, known: Mapping[str, Any]) -> Any:
    """Add a file that lies in the archive to the crate, without reading it."""
    short = name.rpartition("/")[2]
    ending = short[short.rindex(".") :]
    properties = {
        "name": short,
        "description": _WORDS[short],
        "encodingFormat": _FORMATS.get(ending, "application/octet-stream"),
        "contentSize": str(known["size"]),
        "sha256": known["sha256"],
    }
    return crate.add_file(dest_path=name, properties=properties)


def _title(run: Run) -> str:
    """Return in words which run it is; names that this version does not know stay as they are."""
    data = DATASETS[run.dataset].title if run.dataset in DATASETS else run.dataset
    without = "" if run.held_out is None else f" without class {run.held_out}"
    model = MODEL_TITLES.get(run.model, run.model)
    return f"Training of {model} on {data}{without}, protocol {run.protocol}, seed {run.seed}"


def _result(metadata: Mapping[str, Any]) -> str:
    provenance = metadata["provenance"]
    return (
        f"Accuracy {metadata['accuracy']['network']:.4f} on {metadata['n_test']} test images after "
        f"training on {metadata['n_train']}; commit {provenance.get('git_commit', 'unknown')}, "
        f"device {provenance.get('device', 'unknown')}."
    )


def _day() -> date:
    """Return the date of the archive; packagers fix it by `SOURCE_DATE_EPOCH`."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(int(seconds), UTC)
    return now.date()
