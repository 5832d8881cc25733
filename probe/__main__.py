"""`python -m probe` is `ssl-behavior probe`."""

import sys

from ssl_behavior.cli import main

if __name__ == "__main__":
    sys.exit(main(["probe", *sys.argv[1:]]))
