from ffensembles.analyses.sweep import sweep_frame
from ffensembles.analyses.tidy import read_frame, write_frame
from ffensembles.scripting import logged

with logged(snakemake.log[0], snakemake.output[0]):
    names = ("accuracy", "sizes", "positive_weights")
    frames = [read_frame(snakemake.input[name]) for name in names]
    settings, quantile = snakemake.params.settings, snakemake.params.quantile
    write_frame(sweep_frame(*frames, settings, quantile), snakemake.output[0])
