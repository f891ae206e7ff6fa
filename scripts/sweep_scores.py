"""Score a sweep against the published values."""

import pandas as pd

from ffensembles.analyses.regression import mark_ended
from ffensembles.analyses.tidy import read_frame, write_frame
from ffensembles.publication.sweep import sweep_frame
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    given, params = snakemake.input, snakemake.params
    accuracy, weights = read_frame(given.accuracy), read_frame(given.positive_weights)
    sizes = pd.concat(
        [
            mark_ended(rows, params.method2 | params.cuts.get(protocol, {}))
            for path in given.sizes
            for protocol, rows in read_frame(path).groupby("protocol", sort=False)
        ],
        ignore_index=True,
    )
    unseen = pd.concat(map(read_frame, given.unseen), ignore_index=True) if given.unseen else None
    scored = sweep_frame(
        accuracy, sizes, weights, params.settings, params.base,
        unseen=unseen,
    )  # fmt: skip
    write_frame(scored, snakemake.output[0])
