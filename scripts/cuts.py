"""Cut Method 2's diagram elsewhere, on ensembles found before."""

from pathlib import Path

from ffensembles.analyses.sizes import sizes_frame
from ffensembles.analyses.tidy import write_frame
from ffensembles.analyses.unseen import unseen_frame
from ffensembles.publication.sweep import over_cuts
from ffensembles.representations.store import open_tree
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    files = map(Path, snakemake.input.files)
    runs = list(zip(snakemake.params.runs, files, strict=True))
    measures = {"sizes": sizes_frame, "unseen": unseen_frame}
    for name, path in snakemake.output.items():
        of = [run for run in runs if (run[0]["held_out"] is not None) == (name == "unseen")]
        write_frame(over_cuts(measures[name], open_tree, of, snakemake.params.cuts), path)
