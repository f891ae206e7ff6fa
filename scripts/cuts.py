from ffensembles.analyses.sizes import sizes_frame
from ffensembles.analyses.sweep import over_cuts
from ffensembles.analyses.tidy import write_frame
from ffensembles.analyses.unseen import unseen_frame
from ffensembles.scripting import logged
from ffensembles.store import open_tree

with logged(snakemake.log[0], snakemake.output[0]):
    runs = list(zip(snakemake.params.runs, snakemake.input.files, strict=True))
    for measure, output, held_out in (
        (sizes_frame, snakemake.output.sizes, False),
        (unseen_frame, snakemake.output.unseen, True),
    ):
        of = [(keys, path) for keys, path in runs if (keys["held_out"] is not None) == held_out]
        write_frame(over_cuts(measure, open_tree, of, snakemake.params.cuts), output)
