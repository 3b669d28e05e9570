"""The interface of all outputs of photos and videos."""

from __future__ import annotations

import errno
import math
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import OutputError
from fastfer.results import PhotoResult, VideoFrameResult

Result: TypeAlias = PhotoResult | VideoFrameResult
Frame: TypeAlias = NDArray[np.uint8]
R = TypeVar("R", bound=Result, contravariant=True)


class Output(Protocol[R]):
    """Receives the results of a run in order. Subclasses override what they need.

    A format that takes photos and videos is an ``Output[Result]``, one that needs tracks or times
    an ``Output[VideoFrameResult]``.
    """

    needs_image: ClassVar[bool] = False
    """Whether :meth:`write` uses the pictures of video frames, which are else not converted."""

    def wants_image(self, result: R) -> bool:
        """Whether :meth:`write` uses the picture of this result."""
        return self.needs_image

    def write(self, result: R, image: Frame | None = None) -> None:
        """Add one photo or video frame.

        Args:
            result: of this photo or frame; a photo may have failed.
            image: its pixels, uint8 (H, W, 3) BGR or (H, W) gray. Formats without
                pictures ignore it.

        Raises:
            OutputError: the result cannot be written.
        """

    def finish(self, end: float = math.inf) -> None:
        """Called once after the last result, before :meth:`close`, if the run was complete.

        Args:
            end: seconds at which the last frame of a video ends at the latest.

        Raises:
            UsageError: code ``cannot_resume``, the resumed file holds results of another run.
        """
        return

    def close(self) -> None:
        """Write what is pending and release the file; also called after an error or interrupt.

        Raises:
            OutputError: the output cannot be completed.
        """
        return


def write_error(name: object, error: OSError) -> OutputError:
    """The error to raise for ``error``, which occurred while writing ``name``."""
    code = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "output_failed"
    reason = error.strerror or str(error)
    folder = Path(str(name)).parent
    if error.errno == errno.ENOENT and not folder.exists():
        reason = f"the folder {str(folder)!r} does not exist; create it first"
    if error.errno == errno.EFBIG:
        reason += (
            "; it has reached the limit on the size of a file (ulimit -f), which you can raise"
        )
    return OutputError(f"cannot write {name}: {reason}", code=code)
