"""Photos from and tables to S3, on a local server."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("s3fs", reason="needs s3fs, of the extra cluster")
pytest.importorskip("moto", reason="needs moto[server], of the extra cluster")

from tests.helpers.batch_jobs import run
from tests.helpers.waiting import wait_until


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A file system of an S3 server of this machine, with a bucket."""
    import s3fs

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
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

    def listens() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listens)
    try:
        files = s3fs.S3FileSystem()
        files.mkdir("bucket")
        yield files
    finally:
        server.terminate()
        server.wait()


def test_from_a_bucket_to_a_bucket(
    store: Any,
    album: Path,
    clip: Path,
    tmp_path: Path,
    engine: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pyarrow.parquet as pq

    monkeypatch.chdir(tmp_path)
    for file in [*album.rglob("*.jpg"), clip]:
        store.put_file(str(file), f"bucket/in/{file.name}")
    summary = run(["s3://bucket/in"], "s3://bucket/out/faces.parquet", engine, jobs=1)
    assert (summary.counts["photos"], summary.counts["frames"]) == (13, 24)
    with store.open("bucket/out/faces.parquet") as file:
        table = pq.read_table(file)
    assert table.num_rows == 37
    assert set(table.column("source").to_pylist()) == {
        f"s3://{name}" for name in store.find("bucket/in")
    }
    store.put_file(str(next(album.rglob("*.jpg"))), "bucket/in/new.jpg")
    again = run(["s3://bucket/in"], "s3://bucket/out/faces.parquet", engine)
    assert (again.done_now, again.rows) == (1, 38)
    run(["s3://bucket/in"], "s3://bucket/folder", engine, shard_rows=20)
    assert len(store.find("bucket/folder")) == 2
