"""Lazy import of faiss, always after torch.

The wheels of torch and faiss each bring their own OpenMP. On macOS, two OpenMP libraries can crash a process, so faiss
uses one thread there. If it still crashes, users can set KMP_DUPLICATE_LIB_OK=TRUE in the environment; a library should
not set it.
"""

import sys
from types import ModuleType

import torch  # noqa: F401 - before faiss, see above

from ssl_behavior.errors import InputError

__all__ = ["load_faiss"]


def load_faiss(wanted_for: str) -> ModuleType:
    """faiss.

    Parameters
    ----------
    wanted_for : what cannot be done without it, for the error.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        import faiss
    except ModuleNotFoundError as error:
        if error.name == "faiss":
            raise InputError(f"{wanted_for} needs faiss: pip install faiss-cpu") from None
        raise InputError(f"{wanted_for} needs faiss, which cannot be imported here: {error}") from error
    if sys.platform == "darwin":
        faiss.omp_set_num_threads(1)
    module: ModuleType = faiss
    return module
