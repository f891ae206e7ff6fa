from ffensembles.ensembles import find_ensembles
from ffensembles.ensembles.shuffle import shuffled
from ffensembles.representations.store import open_activations, save_tree
from ffensembles.runtime.jobs import logged

with logged(snakemake.log[0], snakemake.output[0]):
    tree = open_activations(snakemake.input.activations)
    if snakemake.params.shuffle:
        tree = shuffled(tree, seed=int(snakemake.wildcards.seed))
    found = find_ensembles(tree, snakemake.wildcards.method, **snakemake.params.parameters)
    save_tree(found, snakemake.output[0])
