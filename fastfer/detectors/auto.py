"""The default: the best detector that is here, without fetching anything."""

from __future__ import annotations

from typing import Any

from fastfer.detectors.base import Detector
from fastfer.detectors.nano import BUNDLED
from fastfer.models import store


def auto(**options: Any) -> Detector:
    """The bundled network; without it YuNet where the store has it, else Haar. ``name`` of the
    result tells which.

    ``options`` are those that all detectors take: ``min_face``, ``detect_size``.

    Raises:
        ModelError: a network's file is damaged.
    """
    if BUNDLED.is_file():
        from fastfer.detectors.nano import NanoDetector

        return NanoDetector(**options)
    if store.is_stored("yunet"):
        from fastfer.detectors.yunet import YuNetDetector

        return YuNetDetector(**options)
    from fastfer.detectors.haar import HaarDetector

    return HaarDetector(**options)
