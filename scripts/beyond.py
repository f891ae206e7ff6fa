"""Write the page of what goes beyond the study."""

from ffensembles.analyses.tidy import read_frame
from ffensembles.extensions.page import page
from ffensembles.runtime.files import write_checksums, write_text
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    params = snakemake.params
    frames = {name: read_frame(snakemake.input[name]) for name in params.frames}
    write_text(snakemake.output[0], page(frames, params.titles))
    write_checksums(snakemake.output[0], [snakemake.output[0]])
