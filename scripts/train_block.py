"""Train runs that differ in their seed alone, into the cache."""

from pathlib import Path

from ffensembles.extensions.observing import DynamicsObserver
from ffensembles.models.recipe import Recipe
from ffensembles.runtime.jobs import logged
from ffensembles.training.cache import Cache, code_digest
from ffensembles.training.run import train_into_cache

with logged(snakemake.log[0], snakemake.output[0]):
    params = snakemake.params
    train_into_cache(
        Cache(Path(params.cache), code_digest(snakemake.input.code)),
        params.runs,
        Recipe.from_json(params.recipe),
        {**snakemake.config["data"], **params.images},
        snakemake.config["training"],
        [Path(path) for path in params.checkpoints],
        Path(snakemake.output[0]),
        threads=snakemake.threads,
        observer=DynamicsObserver.configured(snakemake.config),
    )
