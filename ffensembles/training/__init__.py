"""One run from data to files: loop, checkpoints, cache of trained runs, evaluation, devices."""
