"""The units that kernels and their callers count in: the same here and in ``cext/ff.h``."""

from __future__ import annotations

from typing import Final

SUBPIXEL: Final = 256
"""Boxes are rounded to this fraction of a pixel."""
MAX_SIDE: Final = 65535
"""Longest side of a box in pixels; up to here every weight keeps its precision."""
TURN: Final = 1 << 16
"""Cosines, and positions in a turned face's tile, are in units of one over this."""
