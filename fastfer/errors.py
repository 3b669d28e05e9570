"""Every error that fastfer raises on purpose, in one tree.

The commands end with the ``exit_code`` of the error that stopped them. Errors about arguments also
derive from ``ValueError``, so that callers can catch them without knowing this module.
"""

from __future__ import annotations


class FastferError(Exception):
    """Base of all errors of fastfer."""

    exit_code: int = 1


class UsageError(FastferError, ValueError):
    """Options that contradict each other or name something that does not exist."""

    exit_code = 2


class FrameError(FastferError, ValueError):
    """A frame of wrong dtype, shape or memory layout."""

    exit_code = 2


class BoxError(FastferError, ValueError):
    """A box that is not finite, has no area, or lies wholly outside its frame."""

    exit_code = 2


class InputError(FastferError):
    """A photo, clip or stream that cannot be read."""

    exit_code = 3


class OutputError(FastferError):
    """A result that cannot be written: a full disk, a place without permission."""

    exit_code = 1


class ModelError(FastferError):
    """A model file that is missing, damaged, or does not honour the contract."""

    exit_code = 4


class ExtensionMissingError(FastferError, ImportError):
    """The compiled engine is not there; the message says how to build it."""

    exit_code = 1
