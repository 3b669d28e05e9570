"""``python -m training.fairness``, see :mod:`training.attributes.fairness`."""

import sys

from training.attributes.fairness import main

if __name__ == "__main__":
    sys.exit(main())
