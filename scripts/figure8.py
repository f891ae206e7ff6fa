from ffensembles.analyses.tidy import read_frame
from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.figure8 import caption8, figure8
from ffensembles.plotting.saving import save_figure
from ffensembles.representations.store import open_tree
from ffensembles.runtime.jobs import logged
from ffensembles.runtime.provenance import provenance

with logged(snakemake.log[0], snakemake.output[0]):
    trees = open_tree(snakemake.input.method1), open_tree(snakemake.input.method2)
    sizes = read_frame(snakemake.input.sizes).query("protocol == @snakemake.params.protocol")
    labels = {name: DatasetLabel(**label) for name, label in snakemake.params.labels.items()}
    shown = snakemake.params.shown
    figure = figure8(*trees, sizes, labels, **shown)
    caption = caption8(*trees, sizes, labels, **shown)
    save_figure(figure, snakemake.output.pdf.removesuffix(".pdf"), caption, provenance(shown=shown))
