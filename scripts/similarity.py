"""Measure how similar the classes of each data set are."""

import pandas as pd

from ffensembles.analyses.similarity import similarity_frame
from ffensembles.analyses.tidy import write_frame
from ffensembles.datasets.prepare import prepare
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    frames = []
    for name, images in snakemake.params.images.items():
        test = prepare(name, "test", {**snakemake.config["data"], **images})
        frame = similarity_frame(test.x, test.labels)
        frames.append(frame.assign(dataset=name)[["dataset", *frame.columns]])
    write_frame(pd.concat(frames), snakemake.output[0])
