"""Random streams: every use of random numbers has its own, fixed by seed, purpose and index."""

import zlib

import numpy as np


def random_stream(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """Return a stream of numbers that depends on (seed, purpose, index) and nothing else."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), index])
