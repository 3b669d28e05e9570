"""The settings of a server, and the private folder by which its processes share them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from fastfer.errors import UsageError
from fastfer.io.limits import FileLimits
from fastfer.validation import check_integer, check_positive

FOLDER_VARIABLE: Final = "FASTFER_SERVER_FOLDER"
"""Environment variable that names the private folder to worker processes."""
PREFIX: Final = "fastfer-server-"
MIN_TOKEN: Final = 16
"""Fewest characters of a token."""
MEMORY: Final = 1_500_000_000
"""Bytes that decoding one picture may take."""
DECODE_SECONDS: Final = 20.0
"""Seconds that decoding one picture may take, if it is isolated."""
LOOPBACK: Final = frozenset(("127.0.0.1", "localhost", "::1"))


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where a server listens, whom it answers, and its limits."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    """Secret that every request must carry; required unless ``host`` is this machine."""
    workers: int = 1
    allow_hosts: tuple[str, ...] = ()
    """Names besides the own address under which the server is reached."""
    allow_origins: tuple[str, ...] = ()
    """Origins, such as ``https://example.org``, whose pages may call the server (CORS)."""
    max_bytes: int = 32 << 20
    """Bytes of one request with pictures."""
    max_pixels: int = 50_000_000
    """Pixels of one picture."""
    max_pictures: int = 32
    """Pictures of one request."""
    max_video_bytes: int = 512 << 20
    max_video_seconds: float = 600.0
    max_video_frames: int = 36_000
    max_jobs: int = 1
    """Videos analysed at the same time, over all workers."""
    max_waiting_jobs: int = 8
    max_requests: int = 64
    """Requests with pictures in progress in one worker; more are answered with 429."""
    max_streams: int = 4
    """WebSocket streams of one worker."""
    job_ttl: float = 900.0
    """Seconds after its end for which a job is kept."""
    upload_seconds: float = 60.0
    """Seconds in which a request with pictures must arrive, and for which a client may read nothing
    of an answer."""
    header_seconds: float = 10.0
    """Seconds in which the head of a request must arrive."""
    batch: int = 16
    """Most pictures analysed together."""
    batch_wait_ms: float = 2.0
    """Longest wait for pictures that are still being decoded."""
    isolate: bool = False
    """Decode pictures in processes of their own."""

    def __post_init__(self) -> None:
        for name in (
            *("workers", "max_bytes", "max_pixels", "max_pictures", "max_video_bytes"),
            *("max_video_frames", "max_jobs", "max_requests", "max_streams", "batch"),
        ):
            check_integer(**{name: (getattr(self, name), 1, 1 << 50)})
        check_positive(
            max_video_seconds=self.max_video_seconds,
            job_ttl=self.job_ttl,
            upload_seconds=self.upload_seconds,
            header_seconds=self.header_seconds,
        )
        if self.token is not None and (len(self.token) < MIN_TOKEN or not self.token.isascii()):
            raise UsageError(
                f"a token needs {MIN_TOKEN} ASCII characters or more; make one with: python -c "
                '"import secrets; print(secrets.token_urlsafe(24))"',
                code="out_of_range",
            )
        if self.host not in LOOPBACK and self.token is None:
            raise UsageError(
                f"--host {self.host} is reachable from other machines: pass --token too, or set "
                "FASTFER_TOKEN",
                code="token_required",
            )
        for origin in self.allow_origins:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise UsageError(
                    f"{origin!r} is not an origin such as https://example.org", code="out_of_range"
                )

    @property
    def limits(self) -> FileLimits:
        """The budget of one picture, and of the frames of a video."""
        return FileLimits(
            pixels=self.max_pixels, bytes=self.max_bytes, memory=MEMORY, seconds=DECODE_SECONDS
        )


def save(folder: Path, settings: ServerSettings, engine: bytes) -> None:
    """Write what worker processes load; readable by this user only."""
    _write_private(folder / "settings.json", json.dumps(asdict(settings)).encode())
    _write_private(folder / "engine.pickle", engine)


def load(folder: Path) -> tuple[ServerSettings, bytes]:
    """What :func:`save` has written."""
    values: dict[str, Any] = json.loads((folder / "settings.json").read_bytes())
    known = {field.name for field in fields(ServerSettings)}
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name in known
    }
    return ServerSettings(**values), (folder / "engine.pickle").read_bytes()


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for temporary files that only this user can read, removed on exit.

    Folders of servers that have crashed are removed too.
    """
    parent = Path(tempfile.gettempdir())
    for old in parent.glob(f"{PREFIX}*"):
        if not _is_used(old):
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_used(folder: Path) -> bool:
    """Whether the server of ``folder`` runs, or the folder is another user's."""
    try:
        if hasattr(os, "getuid") and folder.lstat().st_uid != os.getuid():
            return True
        number = int(folder.name.removeprefix(PREFIX).split("-")[0])
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (OSError, ValueError):
        return True
    return True


def _write_private(path: Path, data: bytes) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(data)
