"""Marks of tests that need something which not every machine has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import pytest

from fastfer.classifiers.native import FLOAT32_MODEL

HAS_HAAR = hasattr(cv2, "CascadeClassifier")

requires_haar = pytest.mark.skipif(not HAS_HAAR, reason="OpenCV 5 has no Haar cascades")
requires_posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")
requires_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
requires_xvfb = pytest.mark.skipif(
    not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Xvfb and xdotool"
)
requires_float32_model = pytest.mark.skipif(
    not FLOAT32_MODEL.is_file(), reason="wheels for x86-64 lack the float32 network"
)
