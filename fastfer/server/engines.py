"""The engine of a process, and the variants of it that requests may select."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from fastfer.errors import UsageError

if TYPE_CHECKING:
    from fastfer.engine import Engine

HEADS: Final = ("default", "ferplus", "fer2013")
DETECTORS: Final = ("default", "nano", "yunet", "haar")
MAX_VARIANTS: Final = 4


class EnginePool:
    """The engine of the server, and lazily loaded engines with another detector or head.

    A variant must be bundled or installed: a request never downloads anything.
    """

    def __init__(self, engine: Engine) -> None:
        self.main = engine
        self._variants: dict[tuple[str, str], Engine] = {}
        self._lock = threading.Lock()

    def select(self, detector: str = "default", head: str = "default") -> Engine:
        """The engine with this detector and head; loads it on first use, which may take a second.

        Raises:
            UsageError: an unknown name.
            ModelError: the detector is not installed.
        """
        if detector == head == "default":
            return self.main
        for code, value, known in (
            ("unknown_detector", detector, DETECTORS),
            ("unknown_head", head, HEADS),
        ):
            if value not in known:
                raise UsageError(f"{value[:40]!r}: choose from {', '.join(known)}", code=code)
        with self._lock:
            key = detector, head
            if key not in self._variants:
                if len(self._variants) >= MAX_VARIANTS:
                    self._variants.pop(next(iter(self._variants)))
                self._variants[key] = self._load(detector, head)
            return self._variants[key]

    def _load(self, detector: str, head: str) -> Engine:
        from fastfer.engine import Engine

        chosen = self.main.detector if detector == "default" else detector
        if head == "default":
            return Engine(chosen, self.main.classifier, min_quality=self.main.min_quality)
        if head == "ferplus":
            return Engine(chosen, head="ferplus", min_quality=self.main.min_quality)
        return Engine(chosen, head="fer2013", min_quality=self.main.min_quality)
