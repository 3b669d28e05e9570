"""Archives, and the memory that reading them takes."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_tar(
    path: Path, *members: tuple[str, bytes | int], format: int = tarfile.PAX_FORMAT
) -> Path:
    """A tar, compressed as its ending says; a number stands for so many zeros."""
    packer = {".gz": "gz", ".bz2": "bz2", ".tbz2": "bz2", ".xz": "xz"}.get(path.suffix.lower(), "")
    with tarfile.open(path, f"w:{packer}", format=format) as archive:  # type: ignore[call-overload]
        for name, data in members:
            content = bytes(data) if isinstance(data, int) else data
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    """Require that Python's peak memory stays below ``most`` bytes."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
