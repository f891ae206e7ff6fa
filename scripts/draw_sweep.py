"""Draw the sweep."""

from ffensembles.analyses.tidy import read_frame
from ffensembles.plotting.saving import save_figure
from ffensembles.plotting.sweep import caption_sweep, draw_sweep
from ffensembles.runtime.jobs import logged
from ffensembles.runtime.provenance import provenance

with logged(snakemake.log[0], snakemake.output[0]):
    frame = read_frame(snakemake.input.frame)
    said = snakemake.params.base, snakemake.params.titles
    figure, caption = draw_sweep(frame, *said), caption_sweep(frame, *said)
    save_figure(figure, snakemake.output.pdf.removesuffix(".pdf"), caption, provenance())
