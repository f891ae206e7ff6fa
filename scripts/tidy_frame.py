"""Put the frames of single runs together."""

from ffensembles.analyses.tidy import read_run_frames, together, write_frame
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    frames = read_run_frames(snakemake.input.files, snakemake.params.runs)
    write_frame(together(frames), snakemake.output[0])
