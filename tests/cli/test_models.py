"""fastfer models: list, download, path, verify."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastfer.cli import models
from fastfer.models import store
from fastfer.models.store import Download
from tests.helpers.http_server import serve

DATA = bytes(range(256)) * 10


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Download]:
    """A model that a local server serves, the only one of the command, and an empty store."""
    with serve() as site:
        site.files["/net.onnx"] = DATA
        model = Download(
            name="net",
            url=f"{site.url}/net.onnx",
            file="net.onnx",
            sha256=hashlib.sha256(DATA).hexdigest(),
            size=len(DATA),
            licence="MIT",
            description="a test",
            input="nothing",
        )
        monkeypatch.setattr(models, "downloads", lambda: {"net": model})
        monkeypatch.setenv("FASTFER_HOME", str(tmp_path / "home"))
        monkeypatch.delenv("FASTFER_OFFLINE", raising=False)
        yield model


def row(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line below the heading of a table."""
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.startswith("NAME  STATE")
    return " ".join(line.split())


def test_command(net: Download, capsys: pytest.CaptureFixture[str]) -> None:
    assert models.main(["path", "net"]) == 4
    assert "fastfer models download net" in capsys.readouterr().err
    assert models.main(["list"]) == 0
    assert row(capsys) == "net not downloaded 3 kB MIT a test"
    assert models.main(["download", "net"]) == 0
    assert capsys.readouterr().out.strip() == str(store.path_of(net))
    assert models.main(["path", "net"]) == 0
    assert capsys.readouterr().out.strip() == str(store.path_of(net))
    assert models.main(["verify"]) == 0
    assert row(capsys) == "net valid"
    assert models.main(["list"]) == 0
    assert row(capsys) == "net stored 3 kB MIT a test"
    store.path_of(net).write_bytes(b"other")
    assert models.main(["list"]) == 0
    assert row(capsys) == "net damaged 3 kB MIT a test"
    assert models.main(["verify"]) == 4
    assert row(capsys) == "net damaged"


def test_json(net: Download, capsys: pytest.CaptureFixture[str]) -> None:
    assert models.main(["list", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry == dataclasses.asdict(net) | {"state": "not downloaded"}


def test_verify_distinguishes_unreadable_from_missing(
    net: Download,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert models.main(["verify"]) == 0
    assert row(capsys) == "net not downloaded"
    store.path_of(net).mkdir(parents=True)
    assert models.main(["verify"]) == 4
    assert str(store.path_of(net)) in capsys.readouterr().err
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FASTFER_HOME", str(tmp_path / "file"))
    assert models.main(["verify"]) == 4
    assert str(store.path_of(net)) in capsys.readouterr().err


def test_command_refuses_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        models.main(["download", "nose"])
    assert stop.value.code == 2
    assert "yunet" in capsys.readouterr().err
