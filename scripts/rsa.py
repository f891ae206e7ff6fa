"""Compare the representations of all runs by their dissimilarities."""

from ffensembles.analyses.dissimilarities import ceilings, compare
from ffensembles.analyses.tidy import read_run_frames, write_frame
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output.rsa):
    frame = read_run_frames(snakemake.input.files, snakemake.params.runs)
    write_frame(compare(frame), snakemake.output.rsa)
    write_frame(ceilings(frame), snakemake.output.ceilings)
