"""Gather the accuracies of runs from their metadata."""

from ffensembles.analyses.accuracy import accuracy_frame
from ffensembles.analyses.tidy import over_runs, write_frame
from ffensembles.runtime.jobs import logged
from ffensembles.training.metadata import read_runs

with logged(snakemake.log[0], snakemake.output[0]):
    found = read_runs(snakemake.input.files, snakemake.params.fingerprints)
    write_frame(over_runs(accuracy_frame, found), snakemake.output[0])
