"""The networks that do not come with the package: where they lie, and that they are what they say.

A file in the store is trusted for its hash alone, and that is checked each time it is loaded. The
network is touched by :func:`download` and by nothing else, and by that only where the user asked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from fastfer.errors import ModelError, UsageError
from fastfer.models.catalogue import CATALOGUE, Entry


def home() -> Path:
    """``FASTFER_HOME``, else the folder that this platform has for caches."""
    chosen = os.environ.get("FASTFER_HOME")
    if chosen:
        return Path(chosen)
    # What platformdirs says, for a tenth of its time: every start of a command asks.
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(local, "fastfer", "Cache")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fastfer"
    return Path(os.environ.get("XDG_CACHE_HOME", "").strip() or Path.home() / ".cache", "fastfer")


def find_entry(name: str) -> Entry:
    """The catalogue's entry called ``name``.

    Raises:
        UsageError: there is none.
    """
    if name not in CATALOGUE:
        raise UsageError(f"the store knows no {name!r}; there is {', '.join(sorted(CATALOGUE))}.")
    return CATALOGUE[name]


def path_of(name: str) -> Path:
    """Where the file called ``name`` lies, or would."""
    return home() / "models" / find_entry(name).file


def is_stored(name: str) -> bool:
    """Whether a file is there; not whether it is sound."""
    return path_of(name).is_file()


def is_absent(name: str) -> bool:
    """Whether nothing is there at all, not even what cannot be read."""
    try:
        path_of(name).stat()
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def state(name: str) -> str:
    """``stored``, ``not stored`` or ``damaged``: what the size of the file tells, at no cost; that
    it is sound, only its hash can tell."""
    if not is_stored(name):
        return "not stored"
    return "stored" if path_of(name).stat().st_size == find_entry(name).size else "damaged"


class _Damaged(ModelError):
    """A stored file with another hash."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem + advice)
        self.problem = problem


def load(name: str) -> bytes:
    """The bytes of a stored file, once their hash has been checked.

    Raises:
        ModelError: it is not stored, cannot be read, or has another hash.
        UsageError: the catalogue has no such name.
    """
    entry, path = find_entry(name), path_of(name)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            f"{name} is not in the store ({path}). Fetch it once with: fastfer models download "
            f"{name} ({_describe(entry)})."
        ) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from None
    import hashlib

    found = hashlib.sha256(data).hexdigest()
    if found != entry.sha256:
        raise _Damaged(
            f"{path} is damaged, or not the file that {name} should be: its sha256 is {found}, "
            f"expected {entry.sha256}.",
            f" Delete it, then: fastfer models download {name}.",
        )
    return data


def download(name: str) -> Path:
    """Fetch the file called ``name`` unless a sound one is stored; returns where it lies.

    It is written under another name, checked, then renamed, so that whoever looks sees a whole file
    or none, however many processes download at once. A broken connection is taken up where it
    broke. A progress bar shows on standard error if that is a terminal.

    Raises:
        ModelError: ``FASTFER_OFFLINE`` is set, the server failed, or it sent something else.
        UsageError: the catalogue has no such name.
    """
    entry, path = find_entry(name), path_of(name)
    problem = f"{name} is not in the store."
    try:
        load(name)
        return path
    except _Damaged as error:
        problem = error.problem
    except ModelError as error:
        if is_stored(name):
            problem = str(error)
    if os.environ.get("FASTFER_OFFLINE", "0") not in ("", "0"):
        raise ModelError(
            f"{problem} FASTFER_OFFLINE is set, so nothing is fetched. Unset it, or put the file "
            f"from {entry.url} to {path} yourself."
        )
    from fastfer.models.download import fetch

    fetch(entry, path)
    return path


def obtain(name: str, *, yes: bool = False, ask: Callable[[str], str] | None = None) -> Path:
    """The stored file, or :func:`download` after a yes.

    Args:
        name: of the catalogue.
        yes: the user agreed beforehand.
        ask: prints a question and returns the answer; by default on the terminal, if there is one.

    Raises:
        ModelError: not stored and nobody agreed; or as :func:`download`.
    """
    if is_stored(name):
        return path_of(name)
    entry = find_entry(name)
    ask = ask or _terminal()
    if not yes:
        question = f"{name} is not here yet. Download it now: {_describe(entry)}? [y/N] "
        if ask is None or ask(question).strip().lower() not in ("y", "yes"):
            raise ModelError(
                f"{name} is not in the store, and nothing is downloaded without a yes. Run: "
                f"fastfer models download {name}; or add --yes. ({_describe(entry)})"
            )
    return download(name)


def _describe(entry: Entry) -> str:
    return f"{entry.size / 1000:,.0f} kB, licence {entry.licence}, {entry.url}"


def _terminal() -> Callable[[str], str] | None:
    """A way to ask the user, or ``None`` where nobody sits there."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(question: str) -> str:
        sys.stderr.write(question)
        sys.stderr.flush()
        return sys.stdin.readline()

    return ask
