"""The default: the best detector that is here, without fetching anything."""

from __future__ import annotations

from typing import Any

from fastfer.detectors.base import Detector
from fastfer.detectors.nano import BUNDLED
from fastfer.models import store


def auto(*, threads: int | None = None, **options: Any) -> Detector:
    """The bundled network; without it YuNet where the store has it, else Haar. ``name`` of the
    result tells which.

    ``options`` are those that all detectors take: ``min_face``, ``detect_size``. ``threads`` are of
    a network's runtime; Haar has none.

    Raises:
        ModelError: a network's file is damaged, or only one of the bundled two is there.
    """
    if BUNDLED.is_file():
        from fastfer.detectors.nano import NanoDetector

        return NanoDetector(threads=threads, **options)
    if store.is_stored("yunet"):
        from fastfer.detectors.yunet import YuNetDetector

        return YuNetDetector(threads=threads, **options)
    from fastfer.detectors.haar import HaarDetector

    return HaarDetector(**options)
