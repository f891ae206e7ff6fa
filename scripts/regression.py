from ffensembles.analyses.regression import paired_sizes, regress
from ffensembles.analyses.tidy import read_frame, write_frame
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    sizes = read_frame(snakemake.input.sizes)
    seen = sizes[sizes.held_out.isna()]
    pairs = paired_sizes(seen, snakemake.params.quantile)
    write_frame(regress(pairs), snakemake.output[0])
