"""First words and numbers of a pickled `.npy`, to recognize its layout without reading it."""

import pickletools
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ssl_behavior.io.reader_helpers import NPY_FAILURES, read_head

__all__ = ["pickle_start"]

_MAGIC = b"\x93NUMPY"
_OPCODES = 600
_STARTED_BY = 1 << 26
"""Bytes of the file in which the layout must show."""


def pickle_start(path: Path) -> list[Any]:
    """Texts and whole numbers that a pickled `.npy` begins with, in order; [] for any other file.

    The pickle is only taken apart, never run. An array's shape comes before its content.
    """
    if read_head(path, len(_MAGIC)) != _MAGIC:
        return []
    found: list[Any] = []
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            if not read(file)[2].hasobject:
                return []
            for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if isinstance(argument, (str, int)) and not isinstance(argument, bool) and "PUT" not in opcode.name:
                    found.append(argument)
                if number > _OPCODES or file.tell() > _STARTED_BY:
                    break
    except NPY_FAILURES:
        return found
    return found
