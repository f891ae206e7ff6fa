"""Make a table of an edition."""

import ffensembles.extensions  # noqa: F401 - registers the tables of extensions
from ffensembles.analyses.tidy import read_frame
from ffensembles.publication.editions import look_up
from ffensembles.publication.tables import TABLE_KINDS, write_table
from ffensembles.runs import is_of
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    params = snakemake.params
    kind = TABLE_KINDS[params.parameters["kind"]]
    frame = read_frame(snakemake.input.frame, **params.rows)
    frame = frame[[is_of(name, params.protocol) for name in frame["protocol"]]]
    table = kind.make(
        frame,
        kind.parameters(**params.parameters),
        titles=params.titles,
        look_up=look_up(snakemake.wildcards.edition),
    )
    write_table(table, snakemake.output[0].removesuffix(".csv"))
