"""The store: a valid file or an error, whatever the server does."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastfer.errors import ModelError
from fastfer.models import store
from fastfer.models.store import Download
from tests.helpers.errors import raises
from tests.helpers.http_server import Site
from tests.helpers.models import DATA, files_in_store


def test_home_is_the_cache_directory_of_the_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    platformdirs = pytest.importorskip("platformdirs", reason="comes with pooch")
    monkeypatch.delenv("FASTFER_HOME", raising=False)
    for chosen in (None, "", "  ", str(tmp_path)):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        if chosen is not None:
            monkeypatch.setenv("XDG_CACHE_HOME", chosen)
        assert store.home() == platformdirs.user_cache_path("fastfer", appauthor=False)


def test_a_user_without_a_home_directory(
    monkeypatch: pytest.MonkeyPatch, site: Site, net: Download
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("FASTFER_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert not store.is_stored(net)
    assert "fastfer-" in str(store.home())


def test_downloads_once_and_loads(site: Site, net: Download) -> None:
    assert not store.is_stored(net)
    path = store.download(net)
    assert path == store.path_of(net)
    assert path.read_bytes() == DATA == store.load(net)
    store.download(net)
    assert len(site.requests) == 1
    assert files_in_store() == ["net.onnx"]


def test_load_checks_the_hash_each_time(net: Download) -> None:
    store.download(net)
    store.path_of(net).write_bytes(DATA[:-1] + b"!")
    wrong = hashlib.sha256(DATA[:-1] + b"!").hexdigest()
    with raises(ModelError, "hash_mismatch", wrong, net.sha256):
        store.load(net)
    store.download(net)  # Replaces the damaged file.
    assert store.load(net) == DATA


def test_load_names_the_command_that_downloads(net: Download) -> None:
    with raises(ModelError, "not_installed", "fastfer models download net"):
        store.load(net)


def test_offline_never_uses_the_network(
    site: Site, net: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTFER_OFFLINE", "1")
    with raises(ModelError, "not_installed", "FASTFER_OFFLINE"):
        store.download(net)
    assert site.requests == []
    monkeypatch.setenv("FASTFER_OFFLINE", "0")
    store.download(net)
    monkeypatch.setenv("FASTFER_OFFLINE", "1")
    assert store.download(net) == store.path_of(net)


def test_offline_reports_a_damaged_file(
    site: Site, net: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.download(net)
    store.path_of(net).write_bytes(DATA[1:])
    site.requests.clear()
    monkeypatch.setenv("FASTFER_OFFLINE", "1")
    wrong = hashlib.sha256(DATA[1:]).hexdigest()
    with raises(ModelError, "hash_mismatch", "FASTFER_OFFLINE", wrong, net.sha256):
        store.download(net)
    assert site.requests == []


def test_nothing_is_downloaded_without_consent(site: Site, net: Download) -> None:
    questions: list[str] = []

    def answer(text: str) -> str:
        questions.append(text)
        return "\n"

    with raises(ModelError, "not_installed", "--yes"):
        store.obtain(net, ask=answer)
    with raises(ModelError, "not_installed", "--yes"):
        store.obtain(net)  # No terminal here.
    assert site.requests == []
    assert "154 kB, licence MIT, http://127.0.0.1" in questions[0]
    store.obtain(net, ask=lambda _: "Y\n")
    assert len(site.requests) == 1
    store.obtain(net)  # Stored: no question.


def test_consent_in_advance(net: Download) -> None:
    assert store.obtain(net, yes=True).read_bytes() == DATA


def test_concurrent_processes(site: Site, net: Download, tmp_path: Path) -> None:
    code = f"""if True:
        from fastfer.models import store
        from fastfer.models.store import Download
        net = {net!r}
        store.download(net)
        assert len(store.load(net)) == {net.size}
    """
    site.cut_after += [50_000, 70_000]
    running = [subprocess.Popen([sys.executable, "-c", code], env=os.environ) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert store.load(net) == DATA
    assert files_in_store() == ["net.onnx"]


def test_the_store_imports_no_network_library() -> None:
    code = "import sys, fastfer.models.store; print({'pooch', 'requests'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
