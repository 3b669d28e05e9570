"""``python -m fastfer.models``."""

from __future__ import annotations

import sys

from fastfer.models.command import main

sys.exit(main())
