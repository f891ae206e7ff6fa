from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.figure1 import caption1, figure1
from ffensembles.plotting.saving import save_figure
from ffensembles.representations.store import open_activations, open_tree
from ffensembles.runtime.jobs import logged
from ffensembles.runtime.provenance import provenance

with logged(snakemake.log[0], snakemake.output[0]):
    activations = open_activations(snakemake.input.activations)
    method1 = open_tree(snakemake.input.method1)
    (label,) = (DatasetLabel(**label) for label in snakemake.params.labels.values())
    shown = snakemake.params.shown
    figure = figure1(activations, method1, **shown)
    caption = caption1(activations, method1, label, **shown)
    save_figure(figure, snakemake.output.pdf.removesuffix(".pdf"), caption, provenance(shown=shown))
