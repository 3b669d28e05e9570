"""From the bytes of a picture to BGR pixels, by OpenCV."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

from fastfer.io.picture_formats.jpeg import END, has_all_scans

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frame = NDArray[np.uint8]

_BAND: Final = 1 << 20
"""Pixels that are converted at a time: temporary arrays stay small."""
_CHUNK: Final = 1 << 16
_FILLERS: Final = (bytes([0x55]) * 4096, bytes(range(0x80, 0xFF)) * 32)


def imdecode(data: bytes, flags: int) -> Any:
    """The pixels of ``data`` as OpenCV decodes them; ``None`` if it cannot.

    Raises:
        cv2.error: likewise, or memory is short.
    """
    import cv2
    import numpy as np

    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


def decode_without_end(data: bytes, flags: int) -> Any:
    """The pixels of a JPEG that lacks its end marker, ``None`` unless all of them are there.

    Where pixels are missing, the decoder continues with whatever follows. So different bytes behind
    the end change the picture, unless nothing is missing.
    """
    import numpy as np

    data = data.rstrip(b"\0\xff")  # Unwritten parts of a file.
    if not has_all_scans(data):
        return None
    frame = imdecode(data + END, flags)
    if frame is None:
        return None
    for filler in _FILLERS:
        other = imdecode(data + filler + END, flags)
        if other is None or not np.array_equal(frame, other):
            return None
    return frame


def is_whole(deflated: memoryview, size: int) -> bool:
    """Whether a deflate stream is undamaged and unpacks to ``size`` bytes or more."""
    unpack = zlib.decompressobj()
    done = 0
    try:
        for start in range(0, len(deflated), _CHUNK):
            rest: bytes | memoryview = deflated[start : start + _CHUNK]
            while rest and not unpack.eof:
                done += len(unpack.decompress(rest, _BAND))
                rest = unpack.unconsumed_tail
                if done > 2 * size + _BAND:  # The decoder ignores what goes beyond.
                    return True
            if unpack.eof:
                break
        done += len(unpack.flush())
    except zlib.error:
        return False
    return done >= size and (unpack.eof or done == size)  # Some writers leave out the checksum.


def on_white(frame: Any, *, premultiplied: bool) -> Frame:
    """A decoded picture of 8 or 16 bits and any channels as 8-bit BGR, transparent parts in
    white."""
    import numpy as np

    if frame.ndim == 3 and frame.shape[2] == 3 and frame.dtype == np.uint8:
        return frame  # type: ignore[no-any-return] # The header promised alpha, there is none.
    height, width = frame.shape[:2]
    result = np.empty((height, width, 3), np.uint8)
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        result[top : top + rows] = _band_on_white(frame[top : top + rows], premultiplied)
    return result


def _band_on_white(band: Any, premultiplied: bool) -> Any:
    import cv2
    import numpy as np

    if band.dtype != np.uint8:
        band = (band >> 8).astype(np.uint8)
    if band.ndim == 2:
        return cv2.cvtColor(band, cv2.COLOR_GRAY2BGR)
    if band.shape[2] == 3:
        return band
    color, alpha = band[:, :, :3], cv2.merge([band[:, :, 3]] * 3)
    if not premultiplied:
        color = cv2.multiply(color, alpha, scale=1 / 255)
    return cv2.add(color, 255 - alpha)


def rotate_upright(frame: Any, orientation: int) -> Frame:
    """Undo the EXIF ``orientation``, 1 to 8."""
    import cv2
    import numpy as np

    if orientation >= 5:
        frame = cv2.transpose(frame)
    # What remains after the transposition: a flip around the x axis (0), the y axis (1) or both.
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    if flip is not None:
        frame = cv2.flip(frame, flip, frame)  # In place: two copies of a picture suffice.
    return np.ascontiguousarray(frame)
