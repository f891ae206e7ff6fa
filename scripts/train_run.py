"""Train one run, or take it from the cache."""

from pathlib import Path

from ffensembles.extensions.observing import DynamicsObserver
from ffensembles.models.recipe import Recipe
from ffensembles.runs import Run
from ffensembles.runtime.jobs import logged
from ffensembles.training.cache import Cache, code_digest
from ffensembles.training.run import RunFiles, run_training

with logged(snakemake.log[0], snakemake.output[0]):
    out, params = snakemake.output, snakemake.params
    run_training(
        Run.from_wildcards(snakemake.wildcards).keys,
        Recipe.from_json(params.recipe),
        {**snakemake.config["data"], **params.images},
        snakemake.config["training"],
        # readings are no output: a run without them, of an older version, is not trained again
        RunFiles(
            *map(Path, (out.weights, out.history, out.metadata)),
            Path(params.checkpoint),
            Path(out.metadata).with_name(Cache.readings),
        ),
        threads=snakemake.threads,
        cache=Cache(Path(params.cache), code_digest(snakemake.input.code)),
        observer=DynamicsObserver.configured(snakemake.config),
    )
