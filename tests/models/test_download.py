"""Downloads: broken connections, other files, servers that fail. The result is the file or an
error, never a part."""

from __future__ import annotations

import pytest

from fastfer.errors import ModelError
from fastfer.models import download, store
from fastfer.models.store import Download
from tests.helpers.errors import raises
from tests.helpers.http_server import Site
from tests.helpers.models import DATA, files_in_store, net_at


@pytest.mark.parametrize("lengths", [True, False])
def test_resumes_where_a_connection_broke(site: Site, net: Download, lengths: bool) -> None:
    site.cut_after += [100_000, 20_000]
    site.lengths = lengths
    store.download(net)
    assert store.load(net) == DATA
    starts = [int((part or "bytes=0-")[6:-1]) for _, part in site.requests]
    assert len(starts) == 3
    for start, received in zip(starts, (0, 100_000, 120_000), strict=True):
        assert received - 2 * download.CHUNK < start <= received


def test_restarts_if_the_server_cannot_resume(site: Site, net: Download) -> None:
    site.cut_after += [100_000]
    site.ranges = False
    store.download(net)
    assert store.load(net) == DATA


def test_fails_if_every_connection_breaks(site: Site, net: Download) -> None:
    site.cut_after += [10] * 10
    with raises(ModelError, "download_failed", "net", net.url):
        store.download(net)
    assert len(site.requests) == download.ATTEMPTS
    assert files_in_store() == []


def test_retries_after_a_transient_error(site: Site, net: Download) -> None:
    site.statuses["/net.onnx"] = [503, 429]
    store.download(net)
    assert store.load(net) == DATA


def test_follows_redirects(site: Site, net: Download) -> None:
    site.redirects["/old"] = "/older"
    site.redirects["/older"] = f"{site.url}/net.onnx"
    assert store.download(net_at(f"{site.url}/old")).read_bytes() == DATA


def test_circular_redirects(site: Site, net: Download) -> None:
    site.redirects["/ring"] = "/ring"
    with raises(ModelError, "download_failed", "/ring"):
        store.download(net_at(f"{site.url}/ring"))


def test_a_missing_file_is_requested_once(site: Site, net: Download) -> None:
    with raises(ModelError, "download_failed", "404", "/gone"):
        store.download(net_at(f"{site.url}/gone"))
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "sent", [b"x" + DATA[1:], DATA[:-1], b"", DATA + b"more", b"<html>sign in</html>"]
)
def test_another_file_is_refused_and_not_stored(site: Site, net: Download, sent: bytes) -> None:
    site.files["/net.onnx"] = sent
    with raises(ModelError, "hash_mismatch"):
        store.download(net)
    assert files_in_store() == []


def test_no_server(net: Download) -> None:
    with raises(ModelError, "download_failed"):
        store.download(net_at("http://127.0.0.1:9/x"))


def test_a_file_that_is_too_long(site: Site, net: Download) -> None:
    site.files["/net.onnx"] = DATA + b"more"
    with raises(ModelError, "hash_mismatch", str(len(DATA)), net.sha256):
        store.download(net)
