"""Gather what runs have cost: frame, table and figure."""

from ffensembles.analyses.costs import costs, write_costs
from ffensembles.analyses.tidy import write_frame
from ffensembles.plotting.costs import caption_costs, draw_costs
from ffensembles.plotting.saving import save_figure
from ffensembles.runtime.jobs import logged
from ffensembles.runtime.provenance import provenance

with logged(snakemake.log[0], snakemake.output[0]):
    params, out = snakemake.params, snakemake.output
    frame = costs(params.runs, params.benchmarks, snakemake.input.metadata)
    write_frame(frame, out.tidy)
    write_costs(frame, out.table.removesuffix(".csv"), params.titles)
    figure, caption = draw_costs(frame, params.titles), caption_costs(frame, params.titles)
    save_figure(figure, out.pdf.removesuffix(".pdf"), caption, provenance())
