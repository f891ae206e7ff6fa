"""Draw a sample of a run's activations."""

from ffensembles.representations.sample import sample_activations
from ffensembles.representations.store import open_activations, save_tree
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    tree = open_activations(snakemake.input.activations)
    save_tree(sample_activations(tree, snakemake.params.per_class), snakemake.output[0])
