"""The one place where faiss is loaded: when it is asked for, and after torch.

The wheels of torch and faiss each bring an OpenMP of their own. On macOS two of them in a process can end it: faiss is
on one thread there. Where this is not enough, KMP_DUPLICATE_LIB_OK=TRUE in the environment bears both; that is for the
person at the machine to set, not for a library.
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
    except ImportError:
        raise InputError(f"{wanted_for} needs faiss: pip install faiss-cpu") from None
    if sys.platform == "darwin":
        faiss.omp_set_num_threads(1)
    module: ModuleType = faiss
    return module
