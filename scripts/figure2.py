from ffensembles.analyses.tidy import read_frame
from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.figure2 import caption2, figure2
from ffensembles.plotting.saving import save_figure
from ffensembles.runtime.jobs import logged
from ffensembles.runtime.provenance import provenance

with logged(snakemake.log[0], snakemake.output[0]):
    sizes = read_frame(snakemake.input.sizes).query("protocol == @snakemake.params.protocol")
    labels = {name: DatasetLabel(**label) for name, label in snakemake.params.labels.items()}
    shown = snakemake.params.shown
    figure = figure2(sizes, labels, **shown)
    caption = caption2(sizes, labels, **shown)
    save_figure(figure, snakemake.output.pdf.removesuffix(".pdf"), caption, provenance(shown=shown))
