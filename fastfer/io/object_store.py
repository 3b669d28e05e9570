"""Files behind URLs of fsspec: S3 and other object stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from fastfer.errors import InputError, UsageError
from fastfer.io.addresses import hide_passwords
from fastfer.io.encoded_image import read_up_to
from fastfer.io.limits import FileLimits


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of ``url``, and the path within it.

    Raises:
        UsageError: fsspec, or what it needs for this scheme, is not installed
            (``missing_package``), or the scheme is unknown.
    """
    try:
        import fsspec
    except ImportError:
        raise UsageError(
            f'{hide_passwords(url)}: needs fsspec: pip install "fastfer[batch]"',
            code="missing_package",
        ) from None
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise UsageError(f"{hide_passwords(url)}: {error}", code="missing_package") from None
    except ValueError as error:
        raise UsageError(f"{hide_passwords(url)}: {error}") from None
    return found


@contextmanager
def open_url(url: str) -> Iterator[BinaryIO]:
    """The opened file of ``url``.

    Raises:
        InputError: it is missing (``not_found``), or cannot be read.
        UsageError: see :func:`filesystem`.
    """
    name = hide_passwords(url)
    files, path = filesystem(url)
    try:
        with files.open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{name}: no such file", code="not_found") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}") from None


def read_url(url: str, limits: FileLimits) -> bytes:
    """The bytes of ``url``, at most one more than ``limits`` allow; see :func:`open_url`."""
    with open_url(url) as file:
        return read_up_to(file, limits.bytes + 1)
