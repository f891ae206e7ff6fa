"""Regress sizes by Method 1 on sizes by Method 2."""

from ffensembles.analyses.regression import mark_ended, paired_sizes, regress_protocols
from ffensembles.analyses.tidy import read_frame, write_frame
from ffensembles.publication.numbers import REGRESSION_QUANTILE
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    sizes = mark_ended(read_frame(snakemake.input.sizes), snakemake.params.method2)
    pairs = paired_sizes(sizes[sizes.held_out.isna()], REGRESSION_QUANTILE)
    write_frame(regress_protocols(pairs), snakemake.output[0])
