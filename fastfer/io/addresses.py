"""What an address names, a URL, a camera or a file, and how it may be shown."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import unquote

_URL: Final = re.compile(r"(?i)\b[a-z][a-z0-9+.-]+://.*")
_USER_PASSWORD: Final = re.compile(r"(://[^:\s]*):.*@")
_PARAMETER: Final = re.compile(r"([\w%-]+)=([^&\s]*?)(?=:?(?:[&\s]|$))")
_SECRET: Final = re.compile(r"(?i)pass|pwd|psw|token|secret|auth|key|sig|credential")


def hide_passwords(text: str) -> str:
    """``text``, a URL or a message with URLs, with ``***`` in place of every password.

    Cameras have passwords with ``/``, ``?``, ``#`` and ``@``, which no parser of URLs can separate
    from the rest: all from the first colon to the last ``@`` is hidden, and so are the values of
    parameters such as ``password`` and ``token``.
    """
    return _URL.sub(_hide, text) if "://" in text else text


def _hide(url: re.Match[str]) -> str:
    return _PARAMETER.sub(_hide_value, _USER_PASSWORD.sub(r"\1:***@", url[0]))


def _hide_value(parameter: re.Match[str]) -> str:
    name, value = parameter.groups()
    secret = _SECRET.search(unquote(name))
    return f"{name}={'***' if secret else _PARAMETER.sub(_hide_value, value)}"


def scheme(path: str) -> str:
    """The scheme of a URL in lower case, such as ``rtsp``; empty if ``path`` is no URL."""
    match = re.match(r"(?i)([a-z][a-z0-9+.-]+)://", path)
    return match[1].lower() if match else ""


def is_camera(path: str) -> bool:
    """Whether ``path`` is a camera of Linux: ``/dev/video0``, ``/dev/v4l/by-id/...``, or a link."""
    pattern = r"/dev/(video\d+|v4l/.+)"
    return any(re.fullmatch(pattern, name) for name in (path, os.path.realpath(path)))
