"""Gather the histories of training of runs."""

from ffensembles.analyses.tidy import over_runs, read_history, write_frame
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    runs = zip(snakemake.params.runs, snakemake.input.files, strict=True)
    write_frame(over_runs(read_history, runs), snakemake.output[0])
