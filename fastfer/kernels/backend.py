"""The implementation of the kernels: the compiled engine, or NumPy under ``FASTFER_PURE=1``.

There is no silent fallback: without the engine everything would run hundreds of times slower.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from fastfer.errors import ExtensionMissingError, UsageError


def _flag(name: str) -> bool:
    """The environment variable ``name`` as a boolean; a misspelt value is an error."""
    text = os.environ.get(name, "")
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    raise UsageError(f"{name} must be 1 or 0; got {text!r}")


PURE: Final = _flag("FASTFER_PURE")
"""Whether the NumPy reference replaces the engine."""

_HOW_TO_BUILD: Final = (
    "fastfer's compiled engine (fastfer._native) cannot be loaded: {reason}. Build it with "
    "`pip install .` in the root of the repository, or `pip install -e .` to work on it, with a C "
    "compiler. FASTFER_PURE=1 runs the NumPy reference instead: same results, far slower."
)

if TYPE_CHECKING:
    from fastfer import _native as _engine
elif PURE:
    from fastfer.kernels import reference as _engine
else:
    try:
        from fastfer import _native as _engine
    except ImportError as error:
        raise ExtensionMissingError(_HOW_TO_BUILD.format(reason=error)) from error
    if not hasattr(_engine, "flow"):  # The newest function.
        raise ExtensionMissingError(_HOW_TO_BUILD.format(reason="it was built from older sources"))

MIN_SIZE: Final = _engine.MIN_SIZE
MAX_SIZE: Final = _engine.MAX_SIZE
SUBPIXEL: Final = _engine.SUBPIXEL
MAX_SIDE: Final = _engine.MAX_SIDE
LANDMARKS: Final = _engine.LANDMARKS
PLANES: Final = _engine.PLANES
FLOW_SIDE: Final = _engine.FLOW_SIDE
FLOW_POINTS: Final = _engine.FLOW_POINTS
"""The constants of ``cext/ff.h``; see ``fastfer/_native.pyi``."""

assign = _engine.assign
available = _engine.available
decode = _engine.decode
flow = _engine.flow
isa = _engine.isa
iou = _engine.iou
nms = _engine.nms
pack = _engine.pack
rotations = _engine.rotations
