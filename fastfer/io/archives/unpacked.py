"""Compressed files, unpacked in small steps: a kilobyte of a bomb cannot fill the memory.

``tarfile`` and ``zipfile`` unpack all that a block of the compressed file holds, which is
gigabytes of zeros.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Final, Protocol

XZ_MEMORY: Final = 256 << 20
"""Bytes that unpacking xz may take; ``xz -9`` needs a quarter of them."""
_BLOCK: Final = 16 << 10
"""Bytes of the compressed file that are read at a time."""
_MAGIC: Final = {b"\x1f\x8b\x08": "gz", b"BZh": "bz2", b"\xfd7zXZ": "xz", b"]\0\0\x80": "xz"}
_LONGEST: Final = max(map(len, _MAGIC))


class Decompressor(Protocol):
    """What those of ``bz2`` and ``lzma`` have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """A gzip stream with the methods of ``bz2`` and ``lzma``."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        found = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        self.needs_input = not self._stream.unconsumed_tail and len(found) < max_length
        return found


def decompressor(kind: str, **options: Any) -> Decompressor:
    """One for ``gz``, ``bz2`` or ``xz``.

    Raises:
        tarfile.CompressionError: this Python lacks it.
    """
    try:
        if kind == "gz":
            return _Gzip()
        if kind == "bz2":
            import bz2

            return bz2.BZ2Decompressor()
        import lzma

        return lzma.LZMADecompressor(memlimit=XZ_MEMORY, **options)
    except ImportError:
        raise tarfile.CompressionError(f"this Python has no {kind}") from None


class UnpackedFile:
    """Reads a compressed file forwards; of several streams in a row all, as gzip, bzip2 and xz do.
    A file that is not compressed is read as it is."""

    def __init__(self, file: BinaryIO) -> None:
        """Read ``file`` from where it is; it is closed with this one."""
        self._file = file
        self.alive: Callable[[], None] = lambda: None
        """Is called again and again while this file is read."""
        self._data = file.read(_BLOCK)
        self._kind = _kind_of(self._data)
        self._decompressor = None if self._kind is None else decompressor(self._kind)

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer at the end, also at one that is missing.

        Raises:
            tarfile.ReadError: the file is damaged.
            MemoryError: unpacking it takes more than :data:`XZ_MEMORY`.
        """
        self.alive()
        parts = []
        while size > 0 and (part := self._some(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the compressed file."""
        self._file.close()

    def _some(self, most: int) -> bytes:
        """One to ``most`` bytes, none at the end."""
        if self._decompressor is None:
            data = self._data or self._file.read(most)
            self._data = data[most:]
            return data[:most]
        while not self._decompressor.eof or self._next_stream():
            if self._decompressor.needs_input and not self._data:
                self._data = self._file.read(_BLOCK)
                if not self._data:
                    return b""
            found = unpack(self._decompressor, self._data, most)
            self._data = b""
            if found:
                return found
        return b""

    def _next_stream(self) -> bool:
        """Begin the stream after the one that has ended, if there is one; zeros may lie between."""
        assert self._kind is not None
        assert self._decompressor is not None
        rest = self._decompressor.unused_data.lstrip(b"\0")
        while len(rest) < _LONGEST and (block := self._file.read(_BLOCK)):
            rest = (rest + block).lstrip(b"\0")
        if _kind_of(rest) != self._kind:
            return False
        self._decompressor, self._data = decompressor(self._kind), rest
        return True


def unpack(stream: Decompressor, data: bytes, most: int) -> bytes:
    """``stream.decompress``, with one kind of error.

    Raises:
        tarfile.ReadError: the data are damaged.
        MemoryError: it takes more than :data:`XZ_MEMORY`.
    """
    try:
        return stream.decompress(data, most)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise tarfile.ReadError(f"invalid compressed data ({error})") from None
    except Exception as error:  # LZMAError, which not every Python has.
        if type(error).__name__ != "LZMAError":
            raise
        if "limit" in str(error):
            raise MemoryError(str(error)) from None
        raise tarfile.ReadError(f"invalid compressed data ({error})") from None


def _kind_of(beginning: bytes) -> str | None:
    return next((kind for magic, kind in _MAGIC.items() if beginning.startswith(magic)), None)
