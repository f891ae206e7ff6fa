import pandas as pd

from ffensembles.analyses.similarity import similarity_frame
from ffensembles.analyses.tidy import write_frame
from ffensembles.datasets.prepare import prepare
from ffensembles.models.recipe import Recipe
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    frames = []
    recipe = Recipe.from_json(snakemake.params.recipe)
    for name, settings in snakemake.params.images.items():
        images = prepare(name, "test", {**snakemake.config["data"], **settings}, **recipe.images)
        frame = similarity_frame(images.x, images.labels)
        frames.append(frame.assign(dataset=name)[["dataset", *frame.columns]])
    write_frame(pd.concat(frames), snakemake.output[0])
