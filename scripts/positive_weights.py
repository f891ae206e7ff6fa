from ffensembles.analyses.tidy import over_runs, write_frame
from ffensembles.analyses.weights import load_weights, weights_by_unit, weights_frame
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    runs = list(zip(snakemake.params.runs, snakemake.input.files, strict=True))
    by_layer = over_runs(lambda path: weights_frame(load_weights(path)), runs)
    by_unit = over_runs(lambda path: weights_by_unit(load_weights(path)), runs)
    write_frame(by_layer, snakemake.output.by_layer)
    write_frame(by_unit, snakemake.output.by_unit)
