"""`python -m ssl_behavior` is `ssl-behavior`."""

import sys

from ssl_behavior.cli import main

sys.exit(main())
