"""Measure the tidy frames of one run."""

from ffensembles.analyses import RunResults
from ffensembles.analyses.registry import measure_run
from ffensembles.runs import Run
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    given = snakemake.input
    results = RunResults(
        Run.from_wildcards(snakemake.wildcards).keys,
        files={name: path for name, path in given.items() if name in ("weights", "activations")},
        stores=dict(zip(snakemake.params.methods, given.stores, strict=True)),
    )
    measure_run(results, dict(snakemake.output.items()))
