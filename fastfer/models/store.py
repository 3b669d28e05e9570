"""The store: downloaded model files, identified by their SHA-256.

A file's hash is checked every time it is loaded. Nothing is downloaded unless the user agrees.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastfer.errors import ModelError


@dataclass(frozen=True, slots=True)
class Download:
    """A model file that can be downloaded."""

    name: str
    """Name in commands and messages."""
    url: str
    file: str
    """File name in the store."""
    sha256: str
    size: int
    """In bytes."""
    licence: str
    description: str
    """What the model does, in one line."""
    input: str
    """Colour order, range and shape of its input, in one line."""

    @property
    def summary(self) -> str:
        """Size, licence and source."""
        return f"{self.size / 1000:,.0f} kB, licence {self.licence}, {self.url}"


def home() -> Path:
    """``FASTFER_HOME``, or the platform's cache directory for fastfer."""
    chosen = os.environ.get("FASTFER_HOME")
    if chosen:
        return Path(chosen)
    # As platformdirs, whose import costs ten times as much at every start of a command.
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or _user_home() / "AppData" / "Local"
        return Path(local, "fastfer", "Cache")
    if sys.platform == "darwin":
        return _user_home() / "Library" / "Caches" / "fastfer"
    return Path(os.environ.get("XDG_CACHE_HOME", "").strip() or _user_home() / ".cache", "fastfer")


def _user_home() -> Path:
    """The home directory, or a temporary one: a user id of a container may have none."""
    try:
        return Path.home()
    except RuntimeError:
        # The uid keeps users apart; every model is verified by its hash before it is used.
        user = os.getuid() if sys.platform != "win32" else os.getlogin()
        return Path(tempfile.gettempdir(), f"fastfer-{user}")


def path_of(model: Download) -> Path:
    """Path of ``model`` in the store, whether or not the file exists."""
    return home() / "models" / model.file


def is_stored(model: Download) -> bool:
    """Whether the file exists; its content is not checked."""
    return path_of(model).is_file()


def is_absent(model: Download) -> bool:
    """Whether nothing exists at the path, not even something unreadable."""
    try:
        path_of(model).stat()
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def state(model: Download) -> Literal["stored", "not downloaded", "damaged"]:
    """The state by the size of the file alone; :func:`load` checks the hash."""
    if not is_stored(model):
        return "not downloaded"
    return "stored" if path_of(model).stat().st_size == model.size else "damaged"


def load(model: Download) -> bytes:
    """The bytes of a stored file.

    Raises:
        ModelError: code ``not_installed`` if it is not stored, ``hash_mismatch`` if its hash
            differs, ``invalid_model`` if it cannot be read.
    """
    path = path_of(model)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            f"{model.name} is not in the store ({path}). Download it with: fastfer models download "
            f"{model.name} ({model.summary})",
            code="not_installed",
        ) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    import hashlib

    found = hashlib.sha256(data).hexdigest()
    if found != model.sha256:
        raise ModelError(
            f"{path} is damaged: its SHA-256 is {found}, expected {model.sha256}. Replace it with: "
            f"fastfer models download {model.name}",
            code="hash_mismatch",
        )
    return data


def download(model: Download) -> Path:
    """Download ``model`` unless a valid file is stored; returns its path.

    The file is written under a temporary name, checked, then renamed, so that concurrent processes
    see a complete file or none. A broken connection is resumed. Progress is shown on standard error
    if that is a terminal.

    Raises:
        ModelError: code ``not_installed`` or ``hash_mismatch`` if ``FASTFER_OFFLINE`` is set,
            ``download_failed`` if the server failed, ``hash_mismatch`` if it sent another file.
    """
    path = path_of(model)
    try:
        load(model)
        return path
    except ModelError as error:
        problem = error
    if os.environ.get("FASTFER_OFFLINE", "0") not in ("", "0"):
        raise ModelError(
            f"{problem}. FASTFER_OFFLINE is set and forbids downloads; unset it, or copy the file "
            f"from {model.url} to {path}",
            code=problem.code,
        )
    from fastfer.models.download import fetch

    fetch(model, path)
    return path


def obtain(model: Download, *, yes: bool = False, ask: Callable[[str], str] | None = None) -> Path:
    """The path of the stored file, after :func:`download` if the user agrees.

    Args:
        model: the file.
        yes: download without a question.
        ask: prints a question and returns the answer; ``None`` asks on the terminal, if there is
            one.

    Raises:
        ModelError: as :func:`download`; code ``not_installed`` if the user did not agree.
    """
    if is_stored(model):
        return path_of(model)
    ask = ask or _terminal()
    if not yes:
        question = f"{model.name} is not in the store. Download it ({model.summary})? [y/N] "
        if ask is None or ask(question).strip().lower() not in ("y", "yes"):
            raise ModelError(
                f"{model.name} is not in the store. Run: fastfer models download {model.name}, or "
                f"add --yes ({model.summary})",
                code="not_installed",
            )
    return download(model)


def _terminal() -> Callable[[str], str] | None:
    """A function that asks on the terminal; ``None`` if the process is not interactive."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(question: str) -> str:
        sys.stderr.write(question)
        sys.stderr.flush()
        return sys.stdin.readline()

    return ask
