"""Independent named random generators from one seed.

Every use of randomness has its own stream, so a new use does not change the numbers of the others.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["derive_seed", "numpy_generator", "torch_generator"]


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream called `names`, the same on every machine and Python version.

    >>> derive_seed(0, "windows") == derive_seed(0, "windows")
    True
    >>> derive_seed(0, "windows") == derive_seed(0, "init")
    False
    """
    text = "/".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator for the stream called `names`."""
    return np.random.default_rng(derive_seed(seed, *names))


def torch_generator(seed: int, *names: str | int, device: str = "cpu") -> "torch.Generator":
    """A torch generator for the stream called `names`."""
    # Imported here, so that uses of numpy alone do not wait for torch.
    import torch

    return torch.Generator(device=device).manual_seed(derive_seed(seed, *names))
