"""A sample of a run's activations: a few images of each class, small enough to keep."""

import xarray as xr


def sample_activations(tree, per_class, seed=0):
    return tree
