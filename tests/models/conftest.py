"""A server, and a model that it offers to an empty store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastfer.models import download
from fastfer.models.store import Download
from tests.helpers.http_server import Site, serve
from tests.helpers.models import DATA, net_at


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as running:
        running.files["/net.onnx"] = DATA
        yield running


@pytest.fixture
def net(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Download:
    """A model that the site serves, and an empty store."""
    monkeypatch.setenv("FASTFER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FASTFER_OFFLINE", raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.01)
    return net_at(f"{site.url}/net.onnx")
