"""What the workers of a job are made with."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.labels import CONTEMPT, Attribute
from fastfer.validation import check_attributes, check_names, check_type

if TYPE_CHECKING:
    from fastfer.outputs.columns import ColumnGroup
    from fastfer.pipeline.video_pipeline import VideoOptions

SEGMENT: Final = 120.0
"""Default of :attr:`Setup.segment`."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Options of all workers; can be pickled.

    Raises:
        UsageError: ``limits`` is no :class:`FileLimits` (``out_of_range``).
    """

    out: str
    """Name of the table, whose ending is its format."""
    engine: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of :class:`fastfer.Engine`, except ``threads``."""
    limits: FileLimits = DEFAULT_LIMITS
    video: VideoOptions | None = None
    exact: bool = False
    """See :class:`~fastfer.batch.photos.PhotoAnalyzer`."""
    segment: float = SEGMENT
    """Seconds of the segments of long videos; 0 analyses each video in one piece."""
    isolate: bool = True
    """Whether videos are decoded in processes of their own, where the system has them."""

    def __post_init__(self) -> None:
        check_type(limits=(self.limits, FileLimits))

    def isolates(self, path: str) -> bool:
        """Whether the video at ``path`` is decoded in a process of its own: URLs are not."""
        from fastfer.io.addresses import scheme
        from fastfer.io.isolated_video import AVAILABLE

        return self.isolate and AVAILABLE and not scheme(path)

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """What the engine estimates besides the expression, which adds columns.

        Raises:
            UsageError: one is unknown (``unknown_option``).
        """
        return check_attributes(self.engine.get("attributes") or ())

    @property
    def column_groups(self) -> tuple[ColumnGroup, ...]:
        """:attr:`attributes`, and contempt if the network has that class.

        Raises:
            UsageError: an attribute is unknown (``unknown_option``).
            ModelError: the network cannot be read.
        """
        from fastfer.classifiers.opening import has_contempt

        found = has_contempt(self.engine.get("model"), self.engine.get("spec"))
        return (*self.attributes, *((CONTEMPT,) if found else ()))


def check_engine(engine: Mapping[str, Any]) -> None:
    """Require arguments of :class:`fastfer.Engine`, except ``threads``: an error of all workers
    would look like one of each photo.

    Raises:
        UsageError: code ``unknown_option``.
    """
    from fastfer.engine import Engine

    known = [name for name in inspect.signature(Engine).parameters if name != "threads"]
    check_names("engine", engine, known)
