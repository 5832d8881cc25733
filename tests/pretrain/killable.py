"""Pretraining in a process of its own, for tests that kill it: `python killable.py STORE --out RUN ...`.

`--then PORT` separates several trainings, which run one after the other; processes meet at another port for each.
"""

import os
import sys

import torch

from pretrain.command import main

if __name__ == "__main__":
    torch.set_num_threads(1)
    if "--float64" in sys.argv:
        sys.argv.remove("--float64")
        torch.set_default_dtype(torch.float64)
    code, rest = 0, sys.argv[1:]
    while rest and code == 0:
        end = rest.index("--then") if "--then" in rest else len(rest)
        code, port, rest = main(rest[:end]), rest[end + 1 : end + 2], rest[end + 2 :]
        os.environ.update(MASTER_PORT=port[0] if port else "")
    sys.exit(code)
