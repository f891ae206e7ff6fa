"""Put the frames of single runs together."""

from ffensembles.analyses.tidy import read_run_frames, write_frame
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    frame = read_run_frames(snakemake.input.files, snakemake.params.runs)
    write_frame(frame, snakemake.output[0])
