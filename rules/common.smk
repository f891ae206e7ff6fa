# Reads the configuration once into a Study; what several rules need to say of it.
import os
import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(workflow.basedir))

from ffensembles.config import load_config
from ffensembles.datasets import DATASETS
from ffensembles.errors import ConfigError
from ffensembles.runtime.dependencies import library_files
from ffensembles.runs import Run
from ffensembles.runtime.jobs import importable
from ffensembles.study.grid import METHODS, TABLES, Study

importable(
    workflow.basedir
)  # by jobs too, whether or not it is installed where they run

try:
    study = Study(load_config(config))
except ConfigError as error:
    sys.exit(str(error))


wildcard_constraints:
    **study.constraints,


@cache
def code(*modules):
    """Return the library's files that some modules rest on: results follow the science."""
    return [os.path.relpath(path) for path in library_files(*modules)]


def code_for_data(*modules):
    """Return an input function: the same, and the module that reads a job's data set."""
    return lambda wildcards: code(
        *modules, f"ffensembles.datasets.{DATASETS[wildcards.dataset].loader}"
    )


def grow(base):
    """Return a resource that grows with every attempt at a job."""
    return lambda wildcards, attempt: base * attempt


def of_run(quantity):
    """Return a parameter function: something that the study says of a job's run."""
    return lambda wildcards: quantity(Run.from_wildcards(wildcards))


def keys(runs):
    """Return the keys of runs, in the order in which their files are inputs."""
    return [run.keys for run in runs]


# whether runs that differ in their seed alone train in one job
together = study.config.training.runs_per_job > 1


def of_block(quantity):
    """Return a parameter function: something that the study says of the runs that share a job."""
    return lambda wildcards: quantity(study.block_runs(wildcards))


def block(wildcards):
    """Return the file that says that a run's block is trained, where runs share jobs."""
    run = Run.from_wildcards(wildcards)
    return study.path("block", run, seeds=study.block(run)) if together else []


def whole(runs):
    """Return those runs that were trained on all classes."""
    return [run for run in runs if run.held_out is None]


def without(runs):
    """Return those runs that were trained without one class."""
    return [run for run in runs if run.held_out is not None]


def of_scope(quantity):
    """Return a parameter function of a scope's runs and of the kind of its ensembles' files."""
    return lambda wildcards: quantity(
        study.scope(wildcards.scope),
        "shuffled" if wildcards.scope == "shuffled/" else "ensembles",
    )


def images(run):
    """Return what determines a run's images; where their files lie does not."""
    data = study.data_settings(run)
    return {key: data[key] for key in data if key not in ("source", "folder")}


def figure_files(figure):
    """Return the three files of a figure, wildcard `variant` left open."""
    return {
        ending: study.pattern("figure", figure=figure, ending=ending)
        for ending in ("pdf", "png", "rst")
    }


def example(figure, kind, **known):
    """Return an input function: a file of the run that a figure shows as its example."""
    return lambda wildcards: study.path(
        kind, study.figure_variants(figure)[wildcards.variant].run, **known
    )


def protocol(figure):
    """Return a parameter function: the protocol of the runs that a figure shows."""
    return lambda wildcards: study.figure_variants(figure)[wildcards.variant].protocol


def labels(figure):
    """Return a parameter function: what the data sets of a figure are called."""
    return lambda wildcards: {
        name: study.label(name)
        for name in study.figure_variants(figure)[wildcards.variant].datasets
    }


def shown(figure, *names):
    """Return what the configuration says that a figure shows."""
    settings = getattr(study.config.figures, figure).model_dump()
    return {name: settings[name] for name in names}


# the results that are laid beside the publication
judged = study.config.reproduction.results or study.config.results


def judged_frames():
    """Return the frames that are judged, by their parts: of results made elsewhere, those there are."""
    own = study.config.reproduction.results is None
    frames = {
        name: {
            part: f"{judged}/{study.inside('tidy', frame=frame)}"
            for part, frame in parts.items()
        }
        for name, parts in study.judged.items()
    }
    if own:
        return frames
    there = {
        name: {part: path for part, path in parts.items() if Path(path).exists()}
        for name, parts in frames.items()
    }
    return {name: parts for name, parts in there.items() if parts}
