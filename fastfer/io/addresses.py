"""What an address names, a URL, a camera or a file, and how it may be shown."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from fastfer.io.file_kinds import real_path

_URL: Final = re.compile(r"(?i)\b[a-z][a-z0-9+.-]+://.*")
_USER_PASSWORD: Final = re.compile(r"(://[^:\s]*):.*@")
_BETWEEN_PARAMETERS: Final = re.compile(r"([&\s])")
_BEFORE_NAME: Final = re.compile(r"[^\w%-]")
_SECRET: Final = re.compile(r"(?i)pass|pwd|psw|token|secret|auth|key|sig|credential")


def hide_passwords(text: str) -> str:
    """``text``, a URL or a message with URLs, with ``***`` in place of every password.

    Cameras have passwords with ``/``, ``?``, ``#`` and ``@``, which no parser of URLs can separate
    from the rest: all from the first colon to the last ``@`` is hidden, and so are the values of
    parameters such as ``password`` and ``token``.
    """
    return _URL.sub(_hide, text) if "://" in text else text


def _hide(url: re.Match[str]) -> str:
    # Split, not matched: a pattern for all of it would take quadratic time on hostile addresses.
    head, at, tail = url[0].rpartition("@")
    text = _USER_PASSWORD.sub(r"\1:***@", head + at) + tail
    return "".join(map(_hide_value, _BETWEEN_PARAMETERS.split(text)))


def _hide_value(part: str) -> str:
    """A part of a URL without ``&`` and spaces; what follows the name of a secret is hidden, but
    for a colon at the end, which belongs to a message."""
    colon = ":" if part.endswith(":") else ""
    pieces = part.removesuffix(":").split("=")
    for count, piece in enumerate(pieces[:-1], 1):
        if _SECRET.search(unquote(_BEFORE_NAME.split(piece)[-1])):
            return f"{'='.join(pieces[:count])}=***{colon}"
    return part


def scheme(path: str) -> str:
    """The scheme of a URL in lower case, such as ``rtsp``; empty if ``path`` is no URL."""
    match = re.match(r"(?i)([a-z][a-z0-9+.-]+)://", path)
    return match[1].lower() if match else ""


def is_camera(path: str) -> bool:
    """Whether ``path`` is a camera of Linux: ``/dev/video0``, ``/dev/v4l/by-id/...``, or a link."""
    pattern = r"/dev/(video\d+|v4l/.+)"
    return any(re.fullmatch(pattern, name) for name in (path, real_path(path)))


def is_host(name: str | None) -> bool:
    """Whether ``name`` can be looked up: printable, and its parts of 1 to 63 characters."""
    try:
        return bool(name) and str(name).isprintable() and bool(str(name).encode("idna"))
    except UnicodeError:
        return False
