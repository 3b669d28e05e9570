"""``python -m fastfer.models``."""

from __future__ import annotations

import sys

from fastfer.cli.models import main

sys.exit(main())
