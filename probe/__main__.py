"""`python -m probe` is `ssl-behavior probe`."""

import sys

from probe.job import main
from ssl_behavior.errors import InputError

if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
