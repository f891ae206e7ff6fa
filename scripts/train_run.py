"""Train one run, or take it from the cache; where runs share jobs, take it alone."""

from pathlib import Path

from ffensembles.extensions.observing import DynamicsObserver
from ffensembles.models.recipe import Recipe
from ffensembles.runs import Run
from ffensembles.runtime.jobs import logged
from ffensembles.training.cache import Cache, code_digest
from ffensembles.training.run import RunFiles, run_training, take_from_cache

with logged(snakemake.log[0], snakemake.output[0]):
    out, params = snakemake.output, snakemake.params
    run = Run.from_wildcards(snakemake.wildcards).keys
    recipe = Recipe.from_json(params.recipe)
    data = {**snakemake.config["data"], **params.images}
    cache = Cache(Path(params.cache), code_digest(snakemake.input.code))
    # readings are no output: a run without them, of an older version, is not trained again
    files = RunFiles(
        *map(Path, (out.weights, out.history, out.metadata)),
        Path(params.checkpoint),
        Path(out.metadata).with_name(Cache.readings),
    )
    if block := snakemake.input.get("block"):
        # this job runs where the workflow was started, which is no place to train
        take_from_cache(cache, run, recipe, data, files, Path(block))
    else:
        run_training(
            run,
            recipe,
            data,
            snakemake.config["training"],
            files,
            threads=snakemake.threads,
            cache=cache,
            observer=DynamicsObserver.configured(snakemake.config),
        )
