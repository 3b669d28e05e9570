"""``python -m training.evaluate``: see :mod:`training.expression.evaluate`."""

import sys

from training.expression.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
