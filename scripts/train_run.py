from pathlib import Path

from ffensembles.recipe import Recipe
from ffensembles.scripting import logged
from ffensembles.study import Run
from ffensembles.training import RunFiles, run_training

with logged(snakemake.log[0]):
    out = snakemake.output
    files = RunFiles(
        *map(Path, (out.weights, out.history, out.metadata)), Path(snakemake.params.checkpoint)
    )
    run_training(
        Run.from_wildcards(snakemake.wildcards).keys,
        Recipe.from_json(snakemake.params.recipe),
        {**snakemake.config["data"], **snakemake.params.images},
        snakemake.config["training"],
        files,
        threads=snakemake.threads,
    )
