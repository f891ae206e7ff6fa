from ffensembles.analyses.tidy import read_frame
from ffensembles.scripting import logged
from ffensembles.tables import table1, write_table

with logged(snakemake.log[0], snakemake.output[0]):
    frame = read_frame(snakemake.input.frame)
    table = table1(frame, titles=snakemake.params.titles)
    write_table(table, snakemake.output[0].removesuffix(".csv"))
