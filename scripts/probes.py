"""Probe a run's representations of unlabelled images, and those of the net before training."""

from ffensembles.analyses import RunResults
from ffensembles.analyses.registry import measure_run
from ffensembles.models.recipe import Recipe
from ffensembles.representations.unlabelled import read_with_untrained
from ffensembles.runs import Run
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output.probes):
    run = Run.from_wildcards(snakemake.wildcards).keys
    read = read_with_untrained(
        run,
        Recipe.from_json(snakemake.params.recipe),
        {**snakemake.config["data"], **snakemake.params.images},
        snakemake.input.weights,
        threads=snakemake.threads,
    )
    results = RunResults(
        run,
        unlabelled={net: one.layers for net, one in read.items()},
        labels=read["trained"].labels,
    )
    measure_run(results, {"probes": snakemake.output.probes})
