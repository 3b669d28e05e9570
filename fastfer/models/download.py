"""Download one file. Imports pooch and requests, so only :mod:`fastfer.models.store` imports it, on
demand.

Pooch writes to a temporary file, checks the hash and renames. Resuming broken connections, which it
lacks, is implemented here.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import pooch
import requests
from tqdm import tqdm

from fastfer.errors import ModelError

if TYPE_CHECKING:
    from fastfer.models.store import Download

ATTEMPTS: Final = 4
"""Connections before the download fails."""
PAUSE: Final = 0.5
"""Seconds before the second connection; doubles with each further one."""
TIMEOUT: Final = (10, 30)
"""Seconds to connect, and between two chunks."""
CHUNK: Final = 1 << 13
"""Bytes per read, which are lost when a connection breaks."""


def fetch(model: Download, target: Path) -> None:
    """Download ``model`` to ``target``.

    Raises:
        ModelError: code ``download_failed`` if the server failed or ``target`` cannot be written,
            ``hash_mismatch`` if the server sent another file.
    """
    pooch.get_logger().setLevel(logging.ERROR)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(
            model.url,
            known_hash=f"sha256:{model.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=lambda url, file, _: _download(url, file, model),
        )
    except requests.RequestException as error:
        message = f"{model.name}: downloading {model.url} failed: {error}"
        raise ModelError(message, code="download_failed") from None
    except ValueError as error:  # Raised by pooch if the hash differs.
        message = f"{model.name}: {model.url} is another file: {error}"
        raise ModelError(message, code="hash_mismatch") from None
    except OSError as error:
        message = f"{model.name}: cannot write {target}: {error}"
        raise ModelError(message, code="download_failed") from None


def _download(url: str, file: Any, model: Download) -> None:
    """Write ``url`` to the path ``file``, over several connections if necessary."""
    bar = tqdm(
        total=model.size,
        desc=model.name,
        unit="B",
        unit_scale=True,
        file=sys.stderr,
        disable=not sys.stderr.isatty(),
    )
    with Path(file).open("wb") as out, bar:
        for attempt in range(ATTEMPTS):
            try:
                _receive(url, out, model, bar)
                return
            except requests.RequestException as error:
                if attempt + 1 == ATTEMPTS or not _is_transient(error):
                    raise
                time.sleep(PAUSE * 2**attempt)


def _receive(url: str, out: IO[bytes], model: Download, bar: Any) -> None:
    """One connection: the rest of the file, from the position of ``out``."""
    have, size = out.tell(), model.size
    headers = {"Accept-Encoding": "identity"}  # Ranges count bytes of the file itself.
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        answer.raise_for_status()
        resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        )
        if have and not resumed:  # The server sends the whole file again.
            out.seek(0)
            out.truncate()
            bar.reset()
        start = out.tell()
        for piece in answer.iter_content(CHUNK):
            out.write(piece)
            bar.update(len(piece))
            if out.tell() > size:
                raise ValueError(f"more than {size} bytes; expected SHA-256 {model.sha256}")
        # A complete answer of another length is another file, which the hash check reports.
        promised = answer.headers.get("Content-Length")
        if out.tell() < size and (promised is None or out.tell() - start < int(promised)):
            raise requests.ConnectionError(f"received {out.tell()} of {size} bytes")


def _is_transient(error: requests.RequestException) -> bool:
    """Whether another attempt can succeed."""
    if error.response is None:
        return True
    status = error.response.status_code
    return status >= 500 or status in (408, 429)
