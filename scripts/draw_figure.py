"""Draw a figure of an edition and write its caption."""

from ffensembles.plotting.registry import KINDS
from ffensembles.plotting.saving import save_figure
from ffensembles.plotting.shown import shown_from
from ffensembles.runtime.jobs import logged
from ffensembles.runtime.provenance import provenance

with logged(snakemake.log[0], snakemake.output.pdf):
    params, words = snakemake.params, snakemake.wildcards
    kind = KINDS[params.parameters["kind"]]
    parameters = kind.parameters(**params.parameters)
    files = {name: path for name, path in snakemake.input.items() if name != "code"}
    named = words.edition, words.figure, params.protocol, params.labels
    shown = shown_from(files, *named, params.rows)
    save_figure(
        kind.draw(shown, parameters),
        snakemake.output.pdf.removesuffix(".pdf"),
        kind.caption(shown, parameters),
        provenance(shown=params.parameters),
    )
