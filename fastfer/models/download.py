"""Fetching one file of the catalogue. Imports pooch and requests, so import it late.

Pooch does the careful part: a temporary file beside the target, the hash, the rename. What it
lacks, taking up a broken connection where it broke, is the downloader here.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import IO, Any, Final

import pooch
import requests
from tqdm import tqdm

from fastfer.errors import ModelError
from fastfer.models.catalogue import Entry

ATTEMPTS: Final = 4
"""Connections until one gives up."""
PAUSE: Final = 0.5
"""Seconds before the second connection; doubles with each further one."""
TIMEOUT: Final = (10, 30)
"""Seconds to connect, and between two pieces of data."""
CHUNK: Final = 1 << 13
"""Bytes read at a time: so many at most are lost where a connection breaks."""


def fetch(entry: Entry, target: Path) -> None:
    """Download ``entry`` to ``target``.

    Raises:
        ModelError: the server failed, or what it sent has another hash.
    """
    pooch.get_logger().setLevel(logging.ERROR)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(
            entry.url,
            known_hash=f"sha256:{entry.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=lambda url, file, _: _download(url, file, entry),
        )
    except requests.RequestException as error:
        raise ModelError(f"{entry.name}: {entry.url} cannot be fetched: {error}") from None
    except ValueError as error:  # Pooch's word for a hash that does not fit.
        raise ModelError(f"{entry.name}: {entry.url} sent something else: {error}") from None
    except OSError as error:
        raise ModelError(f"{entry.name} cannot be stored as {target}: {error}") from None


def _download(url: str, file: Any, entry: Entry) -> None:
    """Write ``url`` to the path ``file``, over several connections if need be."""
    bar = tqdm(
        total=entry.size,
        desc=entry.name,
        unit="B",
        unit_scale=True,
        file=sys.stderr,
        disable=not sys.stderr.isatty(),
    )
    with Path(file).open("wb") as out, bar:
        for attempt in range(ATTEMPTS):
            try:
                _receive(url, out, entry, bar)
                return
            except requests.RequestException as error:
                if attempt + 1 == ATTEMPTS or not _may_pass(error):
                    raise
                time.sleep(PAUSE * 2**attempt)


def _receive(url: str, out: IO[bytes], entry: Entry, bar: Any) -> None:
    """One connection: the rest of the file, from where ``out`` stands."""
    have, size = out.tell(), entry.size
    headers = {"Accept-Encoding": "identity"}  # Compressed bytes could not be counted.
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        answer.raise_for_status()
        resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        )
        if have and not resumed:  # The server sends everything anew.
            out.seek(0)
            out.truncate()
            bar.reset()
        start = out.tell()
        for piece in answer.iter_content(CHUNK):
            out.write(piece)
            bar.update(len(piece))
            if out.tell() > size:
                raise ValueError(f"more than the {size} bytes with sha256 {entry.sha256} expected")
        # A whole answer that is too short is another file, which the hash will tell.
        promised = answer.headers.get("Content-Length")
        if out.tell() < size and (promised is None or out.tell() - start < int(promised)):
            raise requests.ConnectionError(f"only {out.tell()} of {size} bytes came")


def _may_pass(error: requests.RequestException) -> bool:
    """Whether another attempt could fare better."""
    if error.response is None:
        return True
    status = error.response.status_code
    return status >= 500 or status in (408, 429)
