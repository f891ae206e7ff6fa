# Reads the configuration once into a Study; helpers that several rules use.
import os
import re
import sys
from functools import cache
from pathlib import Path

ROOT = Path(str(workflow.current_basedir)).parent
sys.path.insert(0, str(ROOT))

from ffensembles.analyses import RUN_FRAMES
from ffensembles.config import load_merged
from ffensembles.datasets import DATASETS
from ffensembles.errors import ConfigError
from ffensembles.extensions import EXTENSIONS
from ffensembles.plotting.registry import KINDS
from ffensembles.plotting.style import FIGURE_ENDINGS
from ffensembles.publication.editions import PUBLICATIONS
from ffensembles.publication.tables import ENDINGS, TABLE_KINDS
from ffensembles.runs import Run
from ffensembles.runtime.dependencies import library_files
from ffensembles.runtime.jobs import check_surroundings, importable
from ffensembles.study import Study
from ffensembles.study.checkout import date_alike
from ffensembles.study.code import files_of_run
from ffensembles.study.frames import (
    applies,
    frame_file,
    in_scope,
    measured,
    rows_of,
    scope_frames,
)
from ffensembles.study.grid import one_of, whole, without
from ffensembles.study.paths import Paths
from ffensembles.study.progress import shorten
from ffensembles.study.summary import print_summary
from ffensembles.study.variations import configured, cuts, setting_texts
from ffensembles.training.budget import GPUS, resources, shape_of
from ffensembles.training.metadata import fingerprint


def configuration_files():
    """Return the files that the configuration was read from: config.yaml, then its overlays."""
    *overlays, base = map(os.path.abspath, workflow.configfiles)
    return [min(path, os.path.relpath(path), key=len) for path in (base, *overlays)]


importable(ROOT)  # by jobs too, whether or not the library is installed where they run

try:
    check_surroundings()
    study = Study.of(load_merged(config, configuration_files()))
except ConfigError as error:
    sys.exit(str(error))

# jobs get what was checked, since YAML reads 1e-2 as text and a key may have been left out
config.update(
    study.config.model_dump(mode="json", include={"data", "training", "ensembles"})
)

shorten(logger, workflow.output_settings.dryrun, workflow._localrules)

grid, paths, editions = study.grid, study.paths, study.editions

if study.config.keep:
    date_alike(ROOT, [study.config.results, "config.yaml", "profiles"])


wildcard_constraints:
    **grid.constraints,
    **editions.constraints,
    **study.extensions.constraints,
    frame=r"[a-z0-9_]+",
    ending=r"[a-z]+",


def kept(files):
    """Return input files whose date does not matter where results are kept."""
    return ancient(files) if study.config.keep else files


def runs_listed():
    """Return the files that list the runs, where results are kept.

    Snakemake's own record of what a result was made from is not in a checkout: there an edit of
    these files shows that runs may have been added.
    """
    return configuration_files() if study.config.keep else []


def as_inputs(files):
    """Return some of the library's files as inputs of a rule."""
    return [kept(os.path.relpath(ROOT / path)) for path in files]


@cache
def code(*modules):
    """Return the library's files that some modules import: results follow the science."""
    return as_inputs(library_files(*modules, root=ROOT))


@cache
def code_of_run(dataset, model, *modules):
    """Return the same for a run: of data sets and models its own alone."""
    return as_inputs(files_of_run(dataset, model, *modules))


def code_for_run(*modules):
    """Return an input function: the library's files for a job's run."""
    return lambda wildcards: code_of_run(wildcards.dataset, wildcards.model, *modules)


def grow(base):
    """Return a resource that grows with every attempt at a job."""
    return lambda wildcards, attempt: base * attempt


def training_resource(name, runs_of_job):
    """Return a resource of a training job: computed from its runs, more with every attempt.

    Time is computed for a GPU; on a processor a job asks for two hours.
    """

    def needed(wildcards, attempt):
        runs, training = runs_of_job(wildcards), study.config.training
        if name == "runtime" and training.device == "cpu":
            return 120 * attempt
        shape = shape_of(runs[0].dataset, grid.images(runs[0]))
        asked = resources(
            grid.recipe(runs[0]), shape, len(runs), GPUS["A100"], training.block_size
        )
        return asked[name] * attempt

    return needed


def one_run(wildcards):
    """Return the run of a job, as a list."""
    return [Run.from_wildcards(wildcards)]


def of_run(quantity):
    """Return a parameter function: something of the job's run."""
    return lambda wildcards: quantity(Run.from_wildcards(wildcards))


def keys(runs):
    """Return the keys of runs, in the order in which their files are inputs."""
    return [run.keys for run in runs]


def fingerprints(runs):
    """Return what determines each run: results of another recipe are not taken for this study's."""
    return [fingerprint([run.keys], grid.recipe(run), grid.images(run)) for run in runs]


# where a GPU is asked for, conda must not quietly install PyTorch for the CPU
training_environment = (
    "../envs/training-cuda.yaml"
    if study.config.training.device == "cuda"
    else "../envs/training.yaml"
)

# whether runs that differ in their seed alone train in one job
together = study.config.training.runs_per_job > 1


def of_block(quantity):
    """Return a parameter function: something of the runs that share a job."""
    return lambda wildcards: quantity(grid.block_runs(wildcards))


def block(wildcards):
    """Return the file that says that a run's block is trained, where runs share jobs."""
    run = Run.from_wildcards(wildcards)
    return paths.one("block", run, seeds=grid.block(run)) if together else []


def methods(kind="ensembles"):
    """Return the pattern of the ensembles' file of each method, by the method's name."""
    return {
        name: paths.pattern(kind, method=name)
        for name in type(study.config.ensembles).model_fields
    }


def tidy(frame, scope=""):
    """Return the file of a frame across the runs of a scope."""
    return paths.one("tidy", file=f"{scope}{frame_file(frame)}")


def tidy_files(scope=""):
    """Return the files of every frame across the runs of a scope."""
    return [tidy(frame, scope) for frame in scope_frames(scope, grid.scope(scope))]


def asked(files, scope=""):
    """Return an input function: some files of a scope, which must have runs."""
    return lambda wildcards: grid.some_runs(scope) and files


# frames of other cuts of Method 2: by name, those of which there are runs
cut_files = {
    name: paths.one("tidy", file=f"sweep/cut_{name}.csv")
    for name, runs in (
        ("sizes", whole(grid.cut_runs)),
        ("unseen", without(grid.cut_runs)),
    )
    if runs and cuts(study.config.sweep)
}


def with_cuts(frame):
    """Return the files of a frame of the sweep, that of other cuts of Method 2 among them."""
    return [tidy(frame, "sweep/"), *([cut_files[frame]] if frame in cut_files else [])]


def titles():
    """Return the data sets' titles."""
    return {name: DATASETS[name].title for name in study.config.datasets}


def runs_of(wildcards):
    """Return the runs of a frame across the runs of a scope."""
    frame = measured(wildcards.file)
    if frame in RUN_FRAMES and RUN_FRAMES[frame].on_demand:
        return editions.showing(frame)
    return applies(frame, grid.some_runs(wildcards.scope))


def table_frame(wildcards):
    """Return the frame that a table is made from."""
    return TABLE_KINDS[table_entry(wildcards).kind].frame


def table_entry(wildcards):
    """Return a table's kind and parameters."""
    return editions.every_table(wildcards.edition)[wildcards.table]


# the results that are compared with the publication, and the sweeps beside them
compared = Paths(study.config.reproduction.results or study.config.results)
compared_sweeps = [Paths(folder) for folder in study.config.reproduction.sweeps]


def compared_frames():
    """Return the frames that are compared, by name: of results made elsewhere, those there are."""
    nulls = {
        "untrained/": "untrained_",
        "shuffled/": "shuffled_",
        "control/": "control_",
    }
    names = {
        f"{prefix}{frame}": f"{scope}{frame_file(frame)}"
        for scope, prefix in {"": "", **nulls}.items()
        for frame in scope_frames(scope, grid.scope(scope))
        if frame != "history"
    }
    names |= {name: frame_file(name) for name in ("similarity", "costs")}
    files = {name: compared.one("tidy", file=file) for name, file in names.items()}
    if study.config.reproduction.results is None:
        return files
    return {name: file for name, file in files.items() if Path(file).exists()}


def extra_figure(name):
    """Return the files of a figure that is of no edition, by their endings."""
    return {
        ending: paths.one("extra_figure", figure=name, ending=ending)
        for ending in FIGURE_ENDINGS
    }


def figure_variant(wildcards):
    """Return what one of the files of a figure shows."""
    return editions.variants(wildcards.edition, wildcards.figure)[wildcards.variant]


def figure_inputs(wildcards):
    """Return the files that a figure is drawn from, by what they are."""
    needs = editions.needs(wildcards.edition, wildcards.figure)
    variant = figure_variant(wildcards)
    found = {}
    for name in needs.frames:
        scope, frame = in_scope(name)
        found[name] = tidy(frame, scope)
    if variant.run is not None:
        runs = runs_like(variant.run)
        found |= {
            name: paths.each("frame", runs, frame=name) for name in needs.run_frames
        }
        found |= {
            f"store_{method}": paths.one("ensembles", variant.run, method=method)
            for method in needs.methods
        }
        if needs.sample:
            found["sample"] = paths.one("sample", variant.run)
    return found


def runs_like(run):
    """Return the runs that differ from one in their seed alone, and itself."""
    return grid.select(**{k: v for k, v in run.keys.items() if k != "seed"})


def figure_rows(wildcards):
    """Return which runs the frames that a figure is drawn from may have rows of."""
    needs = editions.needs(wildcards.edition, wildcards.figure)
    variant = figure_variant(wildcards)
    found = {name: rows_of(name, grid.runs) for name in needs.frames}
    if variant.run is not None:
        runs = runs_like(variant.run)
        found |= {name: rows_of(name, runs) for name in needs.run_frames}
    return found


def figure_run(wildcards):
    """Return the keys of the run that a figure shows as an example; None without one."""
    run = figure_variant(wildcards).run
    return run and run.keys


def figure_entry(wildcards):
    """Return a figure's kind and parameters."""
    return editions.every_figure(wildcards.edition)[wildcards.figure]


def captioned(path, category, **labels):
    """Return a file that the report shows, with the caption that its run wrote beside it.

    The labels are the columns of the report's list. One names its origin, since Snakemake names
    the place where the file is an input.
    """
    caption = Path(path).with_suffix(".rst")
    return report(
        path, caption=str(caption.absolute()), category=category, labels=labels
    )


def in_words(name):
    """Return a table's or figure's name as prose has it: figure3 is Figure 3."""
    return re.sub(r"(\d+)", r" \1", name.replace("_", " ")).capitalize()


def code_of_table(kind):
    """Return the modules that make a table of an extension's kind; none for another kind."""
    return [EXTENSIONS[kind].module] if kind in EXTENSIONS else []


def extension_inputs(wildcards):
    """Return the files of a run that an extension reads, by what they are."""
    run = Run.from_wildcards(wildcards)
    found = {}
    for name in EXTENSIONS[wildcards.extension].needs:
        if name == "data":
            found[name] = kept(paths.one("data", dataset=run.dataset))
        elif name == "ensembles":
            found["stores"] = [
                paths.one("ensembles", run, method=method) for method in methods()
            ]
        else:
            found[name] = paths.one(name, run)
    return found


def extension_resource(name):
    """Return a resource of a job that measures an extension, more with every attempt."""
    return (
        lambda wildcards, attempt: getattr(EXTENSIONS[wildcards.extension], name)
        * attempt
    )


def compared_extensions():
    """Return the frames of extensions of the results that are compared, by name.

    They are those that there are; of this study's own also those it includes.
    """
    own = study.config.reproduction.results is None
    included = study.config.extensions if own else []
    files = {name: compared.one("tidy", file=frame_file(name)) for name in EXTENSIONS}
    return {
        name: file
        for name, file in files.items()
        if name in included or Path(file).exists()
    }
