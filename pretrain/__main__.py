"""`python -m pretrain` is `ssl-behavior pretrain`."""

import sys

from ssl_behavior.cli import main

if __name__ == "__main__":
    sys.exit(main(["pretrain", *sys.argv[1:]]))
