"""Landmarks of drawn faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVEL_FACE = np.array([[15, 18], [33, 18], [24, 28], [16, 36], [32, 36]], np.float32)
"""(5, 2) of an upright face in a crop of 48 x 48, framed like FER-2013."""


def rolled(degrees: float) -> NDArray[np.float32]:
    """:data:`LEVEL_FACE` rotated clockwise about its middle."""
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return ((LEVEL_FACE - 24) @ rotation + 24).astype(np.float32)
