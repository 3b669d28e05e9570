"""Where moving pictures come from: files, sequences of pictures, cameras, network streams, arrays.

Whatever it is, it becomes an iterator of :class:`VideoFrame`, each with its presentation time.
"""

from fastfer.capture.base import Source, VideoFrame
from fastfer.capture.opening import CameraOptions, open_source

__all__ = ["CameraOptions", "Source", "VideoFrame", "open_source"]
