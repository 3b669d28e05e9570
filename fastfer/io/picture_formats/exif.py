"""The orientation in an EXIF block: the only tag that fastfer needs, and the only one it reads."""

from __future__ import annotations

import struct
from typing import Final

_ORIENTATION: Final = 274
_FORMS: Final = {1: "B", 3: "H", 4: "I"}
"""Types that the tag may have, and their struct formats; all fit into the entry."""
_MAX_TAGS: Final = 4096


def exif_orientation(exif: bytes) -> int:
    """Orientation in ``exif``, a TIFF without pixels; 1 if it has none or is damaged.

    Tags before it may be damaged: nothing but their length of 12 bytes is used.
    """
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        return 1
    order = "<" if exif[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * min(count, _MAX_TAGS), 12):
            tag, kind, values = struct.unpack_from(order + "HHI", exif, entry)
            if tag == _ORIENTATION and kind in _FORMS and values == 1:
                (value,) = struct.unpack_from(order + _FORMS[kind], exif, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
