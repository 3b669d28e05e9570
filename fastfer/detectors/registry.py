"""Detectors by name. A new one is one file and one line here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final

from fastfer.detectors.base import Detector
from fastfer.errors import UsageError

_BUILT_IN: Final = {"haar": "fastfer.detectors.haar:HaarDetector"}
"""Name to ``module:class``; the module is loaded when its detector is first asked for."""

_registered: dict[str, Callable[..., Detector]] = {}


def register(name: str, factory: Callable[..., Detector]) -> None:
    """Make ``factory(**options)`` the detector called ``name``, for this process."""
    _registered[name] = factory


def available() -> list[str]:
    """Names that :func:`create_detector` knows, in order."""
    return sorted({*_BUILT_IN, *_registered})


def create_detector(name: str, **options: Any) -> Detector:
    """Make the detector called ``name``.

    Every detector takes ``min_face``, the side of the smallest face to report in pixels of the
    frame (0: whatever it can see); its own options are in its class.

    Raises:
        UsageError: no detector has this name.
    """
    if name in _registered:
        return _registered[name](**options)
    if name not in _BUILT_IN:
        raise UsageError(f"no detector is called {name!r}; there is {', '.join(available())}.")
    module, _, factory = _BUILT_IN[name].partition(":")
    detector: Detector = getattr(importlib.import_module(module), factory)(**options)
    return detector
