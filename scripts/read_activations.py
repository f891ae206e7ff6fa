"""Read a trained run's representations of its test images."""

from ffensembles.models.recipe import Recipe
from ffensembles.representations.readout import read_out
from ffensembles.runs import Run
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    read_out(
        Run.from_wildcards(snakemake.wildcards).keys,
        Recipe.from_json(snakemake.params.recipe),
        {**snakemake.config["data"], **snakemake.params.images},
        snakemake.input.weights,
        snakemake.output[0],
        unseen_label=snakemake.params.unseen_label,
        mantissa_bits=snakemake.params.mantissa_bits,
        threads=snakemake.threads,
        device=snakemake.config["training"]["device"],
        gpus=snakemake.resources.get("gpu", 0),
    )
