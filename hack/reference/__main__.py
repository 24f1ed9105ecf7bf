"""``python -m reference``: writes the generated pages of docs/, or with ``--check`` tells which are out of date."""

import sys

from reference.cli import main

if __name__ == "__main__":
    sys.exit(main())
