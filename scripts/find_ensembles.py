"""Find the ensembles of one run by every method."""

from ffensembles.ensembles import find_ensembles
from ffensembles.ensembles.shuffle import shuffled
from ffensembles.representations.store import open_activations, save_tree
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    tree = open_activations(snakemake.input.activations).load()  # once for all methods
    if snakemake.params.shuffle:
        tree = shuffled(tree, seed=int(snakemake.wildcards.seed))
    for method, path in snakemake.output.items():
        parameters = snakemake.params.parameters[method]
        save_tree(find_ensembles(tree, method, **parameters), path)
