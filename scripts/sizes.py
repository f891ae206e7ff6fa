from ffensembles.analyses.sizes import sizes_frame
from ffensembles.analyses.tidy import over_runs, write_frame
from ffensembles.representations.store import open_tree
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    runs = zip(snakemake.params.runs, snakemake.input.files, strict=True)
    write_frame(over_runs(lambda path: sizes_frame(open_tree(path)), runs), snakemake.output[0])
