"""Put the frames of single runs together."""

from ffensembles.analyses.tidy import read_frame, together, write_frame
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    write_frame(together(map(read_frame, snakemake.input.files)), snakemake.output[0])
