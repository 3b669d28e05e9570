"""``python -m training.export``: see :mod:`training.expression.export`."""

import sys

from training.expression.export import main

if __name__ == "__main__":
    sys.exit(main())
