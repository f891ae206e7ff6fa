from ffensembles.analyses.tidy import read_frame
from ffensembles.plotting.captions import DatasetLabel
from ffensembles.plotting.figure3 import caption3, figure3
from ffensembles.plotting.saving import save_figure
from ffensembles.representations.store import open_tree
from ffensembles.runtime.jobs import logged
from ffensembles.runtime.provenance import provenance

with logged(snakemake.log[0], snakemake.output[0]):
    method1, sharing = open_tree(snakemake.input.method1), read_frame(snakemake.input.sharing)
    (label,) = (DatasetLabel(**label) for label in snakemake.params.labels.values())
    shown = dict(snakemake.params.shown)
    shown["categories"] = tuple(shown["categories"])
    figure = figure3(method1, **shown)
    caption = caption3(method1, sharing, label, **shown)
    save_figure(figure, snakemake.output.pdf.removesuffix(".pdf"), caption, provenance(shown=shown))
