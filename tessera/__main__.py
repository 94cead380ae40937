"""`python -m tessera`, which is the command `tessera` where the package is installed."""

import sys

from tessera.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
