"""Gather the accuracies of runs from their metadata."""

from ffensembles.analyses.accuracy import accuracy_frame
from ffensembles.analyses.tidy import over_runs, write_frame
from ffensembles.runtime.files import read_json
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    runs = zip(snakemake.params.runs, snakemake.input.files, strict=True)
    frame = over_runs(lambda path: accuracy_frame(read_json(path)), runs)
    write_frame(frame, snakemake.output[0])
