"""`ffensembles summary [FILE ...]`: what a study has found, on one screen."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ffensembles.analyses.tidy import read_frame
from ffensembles.config import load_config
from ffensembles.datasets import DATASETS
from ffensembles.errors import FFEnsemblesError, StoreError
from ffensembles.models.recipe import MODEL_TITLES
from ffensembles.publication.editions import look_up
from ffensembles.publication.tables import accuracy_table
from ffensembles.study import Study
from ffensembles.study.frames import frame_file
from ffensembles.training.metadata import read_run


def accuracies(study: Study) -> dict[str, pd.DataFrame]:
    """Return the table of accuracies of each edition, as text: this study's above the published.

    An edition without any accuracy is left out.

    Raises
    ------
    StoreError
        If the tidy frame of accuracies cannot be read.
    """
    path = Path(study.paths.one("tidy", file=frame_file("accuracy")))
    if not path.exists():
        return {}
    frame = read_frame(path)
    titles = {name: entry.title for name, entry in DATASETS.items()}
    found = {}
    for name, edition in study.editions.all.items():
        rows = frame[frame.protocol == edition.protocol]
        if len(rows):
            found[name] = accuracy_table(rows, titles=titles, look_up=look_up(name)).wide()
    return found


def cautions(study: Study) -> list[str]:
    """Say what to be wary of: classes lost, layers dead, too few seeds, few training images.

    A class is lost where no test image of it is classified correctly: it has no ensemble. A layer
    is dead where no unit ever exceeds `training.dead_floor`. Where there is nothing, that is said.
    """
    runs: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for run in study.grid.runs:
        path = Path(study.paths.one("metadata", run))
        if path.exists():
            kind = run.protocol, run.dataset, run.model
            runs.setdefault(kind, []).append(read_run(path))
    lines = [line for kind, ones in runs.items() for line in _of_kind(kind, ones)]
    alone = [
        _title(kind)
        for kind, ones in runs.items()
        if len({one["run"]["seed"] for one in ones if one["run"]["held_out"] is None}) == 1
    ]
    if alone:
        lines.append(f"one seed alone, so the spread between runs is unknown: {', '.join(alone)}")
    if not runs:
        lines = [f"no run is finished in {study.config.results}"]
    elif not lines:
        lines = ["nothing: no class was lost, no layer is dead, and there are several seeds"]
    scale = study.config.images.train_images
    if scale is not None:
        lines.append(f"only {scale:,} training images were used; published values are of all")
    return lines


def _title(kind: tuple[str, str, str]) -> str:
    protocol, dataset, model = kind
    return f"{MODEL_TITLES[model]} on {DATASETS[dataset].title} ({protocol})"


def _of_kind(kind: tuple[str, str, str], runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    for key, what in (("lost_classes", "lost classes"), ("dead_layers", "dead layers")):
        # a run that never saw a class loses that class
        found = [set(one.get(key, [])) - {one["run"]["held_out"]} for one in runs]
        hit = [one for one in found if one]
        if hit:
            which = ", ".join(map(str, sorted(set.union(*hit))))
            yield f"{_title(kind)}: {what} in {len(hit)} of {len(runs)} runs ({which})"


def summary(study: Study, files: Sequence[str] = ()) -> str:
    """Return the last screen of a study: accuracies, cautions, and where results lie.

    Parameters
    ----------
    study
        The study; of its results those are told that are there.
    files
        Its configuration files, to print the command that tells how far a longer study is.
    """
    paths = study.paths
    lines = [f"Study {study.config.name}"]
    for edition, table in accuracies(study).items():
        lines += ["", f"Accuracy on test images, edition {edition}: mean ± s.e. (runs)"]
        lines += table.to_string(index=False).splitlines()
    lines += ["", "What to be wary of:", *(f"  {line}" for line in cautions(study))]
    places = {
        "Report": Path(paths.one("report")),
        "Tables": Path(paths.results, "tables"),
        "Figures": Path(paths.results, "figures"),
        "Frames": Path(paths.results, "tidy"),
    }
    lines += [""]
    lines += [f"{f'{name}:':<9}{path}" for name, path in places.items() if path.exists()]
    lines += [f"Progress of longer studies: {' '.join(['ffensembles status', *files])}"]
    return "\n".join(lines)


def print_summary(study: Study, files: Sequence[str] = ()) -> None:
    """Print the last screen of a study that has made its accuracies; else nothing."""
    try:
        if accuracies(study):
            print(f"\n{summary(study, files)}", file=sys.stderr)
    except StoreError as error:
        print(f"The study is done, but: {error}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the summary of the study of some configuration files; return the exit status."""
    parser = argparse.ArgumentParser(prog="ffensembles summary", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="config.yaml and its overlays")
    files = parser.parse_args(arguments).files or ["config.yaml"]
    try:
        print(summary(Study.of(load_config(*files)), files))
    except FFEnsemblesError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
