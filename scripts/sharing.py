from ffensembles.analyses.sharing import sharing_frame
from ffensembles.analyses.tidy import over_runs, write_frame
from ffensembles.representations.store import open_tree
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    runs = zip(snakemake.params.runs, snakemake.input.files, strict=True)
    quantile = snakemake.params.quantile
    frame = over_runs(lambda path: sharing_frame(open_tree(path), quantile), runs)
    write_frame(frame, snakemake.output[0])
