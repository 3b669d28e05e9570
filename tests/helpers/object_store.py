"""A local S3 server: moto."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.helpers.ports import free_port, listens
from tests.helpers.waiting import wait_until


@contextmanager
def run_object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system of a running server; the environment directs this process and its children to
    it."""
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs, of the extra cluster")
    pytest.importorskip("moto", reason="needs moto[server], of the extra cluster")
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        wait_until(lambda: listens(port))
        s3fs.S3FileSystem.clear_instance_cache()  # Others would keep to an earlier server.
        yield s3fs.S3FileSystem(skip_instance_cache=True)
    finally:
        server.terminate()
        server.wait()
