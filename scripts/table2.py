from ffensembles.analyses.tidy import read_frame
from ffensembles.publication.tables import table2, write_table
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    frame = read_frame(snakemake.input.frame)
    table = table2(frame, snakemake.params.quantile, titles=snakemake.params.titles)
    write_table(table, snakemake.output[0].removesuffix(".csv"))
