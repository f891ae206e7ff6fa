from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.figure6 import caption6, figure6
from ffensembles.plotting.saving import save_figure
from ffensembles.representations.store import open_activations
from ffensembles.runtime.jobs import logged
from ffensembles.runtime.provenance import provenance

with logged(snakemake.log[0], snakemake.output[0]):
    activations = open_activations(snakemake.input.activations)
    (label,) = (DatasetLabel(**label) for label in snakemake.params.labels.values())
    shown = snakemake.params.shown
    figure = figure6(activations, **shown)
    caption = caption6(activations, label, **shown)
    save_figure(figure, snakemake.output.pdf.removesuffix(".pdf"), caption, provenance(shown=shown))
