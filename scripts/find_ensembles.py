from ffensembles.ensembles import find_ensembles
from ffensembles.scripting import logged
from ffensembles.store import open_activations, save_tree

with logged(snakemake.log[0], snakemake.output[0]):
    tree = open_activations(snakemake.input.activations)
    found = find_ensembles(tree, snakemake.wildcards.method, **snakemake.params.parameters)
    save_tree(found, snakemake.output[0])
