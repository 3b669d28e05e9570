"""Untrusted tar archives, also compressed, at a bounded cost; errors of damaged archives."""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

from fastfer.io.archives.unpacked import UnpackedFile

try:
    from lzma import LZMAError
except ImportError:  # A Python without it, which opens no such archive.
    LZMAError = zlib.error  # type: ignore[misc,assignment]

DAMAGED: Final = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, LZMAError)
"""What reading a damaged archive raises, beside :class:`OSError`."""
MOST_HEADER_BYTES: Final = 1 << 20
"""Bytes of the headers of one member, its long name and extended attributes included."""


class TarReader(tarfile.TarFile):
    """An untrusted tar archive: ``tarfile`` would read headers of any size into memory, and an
    archive of a megabyte can unpack to gigabytes of them."""

    def next(self) -> tarfile.TarInfo | None:
        """The next member; ``None`` at the end.

        Raises:
            tarfile.ReadError: the archive is damaged or cut, or a header is too large.
        """
        file: Any = self.fileobj
        headers = _HeaderFile(file)
        self.fileobj = headers  # type: ignore[assignment]
        try:
            info = super().next()
        except RecursionError:  # Headers of headers of headers.
            raise tarfile.ReadError("too many headers in a row") from None
        finally:
            self.fileobj = file
        # Global headers are kept until the end.
        if sum(len(key) + len(value) for key, value in self.pax_headers.items()) > (
            MOST_HEADER_BYTES
        ):
            raise tarfile.ReadError("its global headers are too large")
        # An archive ends with an empty block; tarfile ends at anything that is no header.
        if info is None and headers.last not in (None, bytes(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError("its end is missing")
        return info


class _HeaderFile:
    """A file from which no more than the headers of a member are read."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = MOST_HEADER_BYTES
        self.last: bytes | None = None
        """What was read last."""
        self.seek = file.seek
        self.tell = file.tell

    def read(self, size: int) -> bytes:
        """Read ``size`` bytes, if so many are left."""
        self._left -= size
        if self._left < 0:
            raise tarfile.ReadError("a header is too large")
        self.last = self._file.read(size)
        assert self.last is not None
        return self.last


class PackedTar:
    """A compressed tar, read forwards; going back starts over."""

    def __init__(self, path: str) -> None:
        """Open the archive at ``path``.

        Raises:
            tarfile.ReadError: it is damaged.
            OSError: it cannot be read.
        """
        self._path = path
        self._begin()

    def _begin(self) -> None:
        file = Path(self._path).open("rb")  # noqa: SIM115 - closed by close().
        try:
            self._file = UnpackedFile(file)
            unpacked: Any = self._file
            self._tar: Any = TarReader.open(self._path, "r|", fileobj=unpacked)
        except BaseException:
            file.close()
            raise

    def next(self) -> tarfile.TarInfo | None:
        """See :meth:`TarReader.next`."""
        info: tarfile.TarInfo | None = self._tar.next()
        self._tar.members.clear()  # It would keep them all.
        return info

    def open(self, offset: int, alive: Callable[[], None]) -> BinaryIO:
        """The file whose data begins at ``offset`` of the unpacked stream; ``alive`` is called
        again and again while what is before it is unpacked."""
        self._file.alive = alive
        if self._tar.offset > offset:
            self.close()
            self._begin()
            self._file.alive = alive
        while (info := self.next()) is not None:
            if info.offset_data == offset:
                file: BinaryIO | None = self._tar.extractfile(info)
                return io.BytesIO() if file is None else file
        raise EOFError("the member is missing")

    def close(self) -> None:
        """Close the archive."""
        self._tar.close()
        self._file.close()
