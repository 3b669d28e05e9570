"""The default: the best detector that is here, without fetching anything."""

from __future__ import annotations

from typing import Any

from fastfer.detectors.base import Detector
from fastfer.models import store


def auto(**options: Any) -> Detector:
    """YuNet where its network is in the store, else Haar; ``name`` of the result tells which.

    ``options`` are those that all detectors take: ``min_face``, ``detect_size``.

    Raises:
        ModelError: YuNet's file is stored but damaged.
    """
    if store.is_stored("yunet"):
        from fastfer.detectors.yunet import YuNetDetector

        return YuNetDetector(**options)
    from fastfer.detectors.haar import HaarDetector

    return HaarDetector(**options)
