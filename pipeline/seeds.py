"""
Chance that repeats: every seed of a run is derived from the run's own.

The same run seed and the same names give the same number on every machine and in every
order of work.
"""

import hashlib

LARGEST_SEED = 2**31 - 1  # servers keep seeds in a signed 32-bit integer


def derived_seed(run_seed: int, *names: object) -> int:
    """A seed from 0 to 2^31 - 1 for what the names say."""
    text = "/".join([str(run_seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % LARGEST_SEED
