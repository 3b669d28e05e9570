"""``python -m training.train``: see :mod:`training.expression.train`."""

import sys

from training.expression.train import main

if __name__ == "__main__":
    sys.exit(main())
