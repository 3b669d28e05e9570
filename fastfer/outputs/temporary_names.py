"""Names of temporary files, which say what process writes them, so that those of killed ones go."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"\.fastfer-([0-9a-f]{16})-(\d+)-[0-9a-f]{16}(\.\w+)?")
_UNKNOWN: Final = "0" * 16


def temporary_name(suffix: str) -> str:
    """A new name for a file that this process writes."""
    return f".fastfer-{_system()}-{os.getpid()}-{secrets.token_hex(8)}{suffix}"


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files in ``folder`` whose process has ended, as after ``kill -9``.

    Those of other computers, containers and boots stay: whether their processes run is not known.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _NAME.fullmatch(entry.name)
            if found and entry.is_file(follow_symlinks=False) and _has_ended(found[1], found[2]):
                with suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108


def _has_ended(system: str, process: str) -> bool:
    if system == _UNKNOWN or system != _system():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


@cache
def _system() -> str:
    """What numbers processes: a boot of one computer, and a container in it. Linux alone names
    them."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        container = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116
    except OSError:
        return _UNKNOWN
    return hashlib.blake2b(f"{boot} {container}".encode(), digest_size=8).hexdigest()
