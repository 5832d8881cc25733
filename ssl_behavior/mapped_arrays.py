"""Memory of arrays that are mapped from files."""

import mmap

import numpy as np

__all__ = ["release_pages"]


def release_pages(array: np.ndarray) -> None:
    """Take the pages of a memory-mapped array out of this process's memory; they are read again where needed.

    Other arrays stay as they are, and all do on Windows.
    """
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
