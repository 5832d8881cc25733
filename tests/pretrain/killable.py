"""A pretraining in a process of its own, for tests that kill it: `python killable.py STORE --out RUN ...`."""

import sys

import torch

from pretrain.command import main

if __name__ == "__main__":
    torch.set_num_threads(1)
    if "--float64" in sys.argv:
        sys.argv.remove("--float64")
        torch.set_default_dtype(torch.float64)
    sys.exit(main(sys.argv[1:]))
