"""The models' mathematics made fast: winner search, batched gradients, Adam. Knows no files."""

GPU_BLOCKS = 8
"""A GPU's blocks have so many times as many presentations as `training.block_size` says."""
