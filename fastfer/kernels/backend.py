"""Chooses who runs the kernels: the compiled engine, or NumPy where ``FASTFER_PURE=1`` asks for it.

There is no fallback: without the engine everything would work, hundreds of times slower, and nobody
would know why.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from fastfer.errors import ExtensionMissingError, UsageError


def _switched_on(name: str) -> bool:
    """Whether the environment variable ``name`` says yes; a slip must not choose the slow way."""
    text = os.environ.get(name, "")
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    raise UsageError(f"{name} is {text!r}; it may be 1 (yes) or 0 (no).")


PURE: Final = _switched_on("FASTFER_PURE")
"""Whether the NumPy reference runs in place of the engine."""

_HOW_TO_BUILD: Final = (
    "fastfer's compiled engine (fastfer._native) cannot be loaded: {reason}. Build it with "
    "`pip install .` in the root of the repository, or `pip install -e .` to work on it; a C "
    "compiler is needed. Without one, FASTFER_PURE=1 runs the NumPy reference: same results, far "
    "slower."
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

assign = _engine.assign
available = _engine.available
decode = _engine.decode
isa = _engine.isa
iou = _engine.iou
nms = _engine.nms
pack = _engine.pack
turns = _engine.turns
