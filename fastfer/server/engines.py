"""The engine of a process, and the variants of it that requests may select."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from fastfer.errors import ModelError, UsageError
from fastfer.labels import ATTRIBUTES, Attribute

if TYPE_CHECKING:
    from fastfer.engine import Engine

HEADS: Final = ("default", "ferplus", "fer2013")
DETECTORS: Final = ("default", "nano", "yunet", "haar")
MAX_VARIANTS: Final = 4
FREQUENT: Final = ("default", "default", True)
"""The variant that is kept, and batched as the main engine is: with attributes."""


class EnginePool:
    """The engine of the server, and lazily loaded engines with another detector or head, or with
    attributes.

    A variant must be bundled or installed: a request never downloads anything.
    """

    def __init__(self, engine: Engine) -> None:
        self.main = engine
        self._variants: dict[tuple[str, str, bool], Engine] = {}
        self._lock = threading.Lock()

    def select(
        self,
        detector: str = "default",
        head: str = "default",
        attributes: Collection[Attribute] = (),
    ) -> Engine:
        """The engine with this detector and head; loads it on first use, which may take a second.

        Its faces have at least these ``attributes``: there is one engine with all of them.

        Raises:
            UsageError: an unknown name.
            ModelError: the detector is not installed, or the package has no attribute network.
        """
        more = not set(attributes) <= set(self.main.attributes)
        if detector == head == "default" and not more:
            return self.main
        for code, value, known in (
            ("unknown_detector", detector, DETECTORS),
            ("unknown_head", head, HEADS),
        ):
            if value not in known:
                raise UsageError(f"{value[:40]!r}: choose from {', '.join(known)}", code=code)
        with self._lock:
            key = detector, head, more
            if key not in self._variants:
                rare = [known for known in self._variants if known != FREQUENT]
                if len(rare) >= MAX_VARIANTS:
                    del self._variants[rare[0]]
                estimated = ATTRIBUTES if more else self.main.attributes
                try:
                    self._variants[key] = self._load(detector, head, estimated)
                except ModelError as error:
                    if error.code not in ("not_installed", "no_cascades"):
                        raise
                    raise ModelError(  # Without the path, which is no matter of clients.
                        f"this server has no detector {detector}; choose from "
                        f"{', '.join(self.detectors())}",
                        code=error.code,
                    ) from None
            return self._variants[key]

    def detectors(self) -> list[str]:
        """The detectors that requests may select here."""
        from fastfer.detectors.haar import has_cascades
        from fastfer.detectors.yunet import YUNET
        from fastfer.models.store import is_stored

        there = {"yunet": is_stored(YUNET), "haar": has_cascades()}
        return [name for name in DETECTORS if there.get(name, True)]

    def is_frequent(self, engine: Engine) -> bool:
        """Whether ``engine`` has the detector and head of most requests, which are batched."""
        return engine is self.main or engine is self._variants.get(FREQUENT)

    def _load(self, detector: str, head: str, attributes: tuple[Attribute, ...]) -> Engine:
        from fastfer.engine import Engine

        options: dict[str, Any] = self.main.__getstate__() | {"attributes": attributes}
        if detector == "default":
            options |= {"detector": self.main.detector, "min_face": 0.0, "detect_size": "auto"}
        else:
            options["detector"] = detector
        if head == "default":
            options |= {"model": self.main.classifier} | dict.fromkeys(
                ("spec", "head", "prior", "threads")
            )
        else:
            options |= {"model": None, "spec": None, "head": head}
        return Engine(**options)
