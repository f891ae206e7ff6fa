from ffensembles.analyses.tidy import read_frame
from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.figure7 import caption7, figure7
from ffensembles.plotting.saving import save_figure
from ffensembles.runtime.jobs import logged
from ffensembles.runtime.provenance import provenance

with logged(snakemake.log[0], snakemake.output[0]):
    by_unit = read_frame(snakemake.input.by_unit).query("protocol == @snakemake.params.protocol")
    labels = {name: DatasetLabel(**label) for name, label in snakemake.params.labels.items()}
    shown = snakemake.params.shown
    figure = figure7(by_unit, labels, bins=snakemake.params.bins, **shown)
    caption = caption7(by_unit, labels, **shown)
    save_figure(figure, snakemake.output.pdf.removesuffix(".pdf"), caption, provenance(shown=shown))
