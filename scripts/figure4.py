from ffensembles.analyses.tidy import read_frame
from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.figure4 import caption4, figure4
from ffensembles.plotting.saving import save_figure
from ffensembles.representations.store import open_activations, open_tree
from ffensembles.runtime.jobs import logged
from ffensembles.runtime.provenance import provenance

with logged(snakemake.log[0], snakemake.output[0]):
    activations = open_activations(snakemake.input.activations)
    method2, unseen = open_tree(snakemake.input.method2), read_frame(snakemake.input.unseen)
    (label,) = (DatasetLabel(**label) for label in snakemake.params.labels.values())
    shown = snakemake.params.shown
    figure = figure4(activations, method2, **shown)
    caption = caption4(activations, method2, unseen, label, **shown)
    save_figure(figure, snakemake.output.pdf.removesuffix(".pdf"), caption, provenance(shown=shown))
