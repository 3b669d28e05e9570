"""The store: a sound file or a clear error, whatever the server does."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastfer.cli import models
from fastfer.errors import ModelError, UsageError
from fastfer.models import download, store
from fastfer.models.catalogue import CATALOGUE, Entry
from tests.helpers.http_server import Site, serve

DATA = bytes(range(256)) * 600


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as running:
        running.files["/net.onnx"] = DATA
        yield running


@pytest.fixture
def entry(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """An entry ``net`` that the site serves, and an empty store of its own."""
    made = dataclasses.replace(
        CATALOGUE["yunet"],
        name="net",
        url=f"{site.url}/net.onnx",
        file="net.onnx",
        sha256=hashlib.sha256(DATA).hexdigest(),
        size=len(DATA),
    )
    monkeypatch.setitem(CATALOGUE, "net", made)
    monkeypatch.setenv("FASTFER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FASTFER_OFFLINE", raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.01)
    return made


def files_in_store() -> list[str]:
    folder = store.home() / "models"
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def test_lies_in_the_folder_that_the_platform_has_for_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    platformdirs = pytest.importorskip("platformdirs", reason="comes with pooch")
    monkeypatch.delenv("FASTFER_HOME", raising=False)
    for chosen in (None, "", "  ", str(tmp_path)):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        if chosen is not None:
            monkeypatch.setenv("XDG_CACHE_HOME", chosen)
        assert store.home() == platformdirs.user_cache_path("fastfer", appauthor=False)


def test_downloads_once_and_loads(site: Site, entry: Entry) -> None:
    assert not store.is_stored("net")
    path = store.download("net")
    assert path == store.path_of("net")
    assert path.read_bytes() == DATA == store.load("net")
    store.download("net")
    assert len(site.requests) == 1
    assert files_in_store() == ["net.onnx"]


@pytest.mark.parametrize("lengths", [True, False])
def test_resumes_where_a_connection_broke(site: Site, entry: Entry, lengths: bool) -> None:
    site.cut_after += [100_000, 20_000]
    site.lengths = lengths
    store.download("net")
    assert store.load("net") == DATA
    asked = [int((part or "bytes=0-")[6:-1]) for _, part in site.requests]
    assert len(asked) == 3
    for begin, least in zip(asked, (0, 100_000, 120_000), strict=True):
        assert least - 2 * download.CHUNK < begin <= least


def test_starts_anew_where_the_server_cannot_resume(site: Site, entry: Entry) -> None:
    site.cut_after += [100_000]
    site.ranges = False
    store.download("net")
    assert store.load("net") == DATA


def test_gives_up_on_a_connection_that_always_breaks(site: Site, entry: Entry) -> None:
    site.cut_after += [10] * 10
    with pytest.raises(ModelError, match=r"net: http://127\.0\.0\.1:.* cannot be fetched"):
        store.download("net")
    assert len(site.requests) == download.ATTEMPTS
    assert files_in_store() == []


def test_tries_again_after_a_passing_error(site: Site, entry: Entry) -> None:
    site.statuses["/net.onnx"] = [503, 429]
    store.download("net")
    assert store.load("net") == DATA


def test_follows_redirects(site: Site, entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    site.redirects["/old"] = "/older"
    site.redirects["/older"] = f"{site.url}/net.onnx"
    monkeypatch.setitem(CATALOGUE, "net", dataclasses.replace(entry, url=f"{site.url}/old"))
    assert store.download("net").read_bytes() == DATA


def test_a_ring_of_redirects_ends(
    site: Site, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.redirects["/ring"] = "/ring"
    monkeypatch.setitem(CATALOGUE, "net", dataclasses.replace(entry, url=f"{site.url}/ring"))
    with pytest.raises(ModelError, match="redirects"):
        store.download("net")


def test_missing_file_is_asked_for_once(
    site: Site, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOGUE, "net", dataclasses.replace(entry, url=f"{site.url}/gone"))
    with pytest.raises(ModelError, match=r"404.*/gone"):
        store.download("net")
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "sent", [b"x" + DATA[1:], DATA[:-1], b"", DATA + b"more", b"<html>sign in</html>"]
)
def test_wrong_bytes_are_refused_and_leave_nothing(site: Site, entry: Entry, sent: bytes) -> None:
    site.files["/net.onnx"] = sent
    with pytest.raises(ModelError, match="sent something else"):
        store.download("net")
    assert files_in_store() == []


def test_no_server_is_an_error(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CATALOGUE, "net", dataclasses.replace(entry, url="http://127.0.0.1:9/x"))
    with pytest.raises(ModelError, match="cannot be fetched"):
        store.download("net")


def test_load_checks_the_hash_each_time(entry: Entry) -> None:
    store.download("net")
    store.path_of("net").write_bytes(DATA[:-1] + b"!")
    wrong = hashlib.sha256(DATA[:-1] + b"!").hexdigest()
    with pytest.raises(ModelError, match=f"{wrong}, expected {entry.sha256}"):
        store.load("net")
    store.download("net")  # Puts it right.
    assert store.load("net") == DATA


def test_load_says_how_to_get_what_is_missing(entry: Entry) -> None:
    with pytest.raises(ModelError, match="fastfer models download net"):
        store.load("net")
    with pytest.raises(UsageError, match=r"'nose'; there is net, yunet"):
        store.load("nose")


def test_offline_never_touches_the_network(
    site: Site, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTFER_OFFLINE", "1")
    with pytest.raises(ModelError, match="FASTFER_OFFLINE"):
        store.download("net")
    assert site.requests == []
    monkeypatch.setenv("FASTFER_OFFLINE", "0")
    store.download("net")
    monkeypatch.setenv("FASTFER_OFFLINE", "1")
    assert store.download("net") == store.path_of("net")


def test_offline_tells_a_damaged_file_from_none(
    site: Site, entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.download("net")
    store.path_of("net").write_bytes(DATA[1:])
    site.requests.clear()
    monkeypatch.setenv("FASTFER_OFFLINE", "1")
    wrong = hashlib.sha256(DATA[1:]).hexdigest()
    with pytest.raises(ModelError, match=r"FASTFER_OFFLINE.*nothing is fetched") as caught:
        store.download("net")
    for words in ("net.onnx is damaged", wrong, f"expected {entry.sha256}"):
        assert words in str(caught.value)
    assert "not in the store" not in str(caught.value)
    assert site.requests == []


def test_a_file_that_is_too_long_is_told_with_what_was_expected(site: Site, entry: Entry) -> None:
    site.files["/net.onnx"] = DATA + b"more"
    with pytest.raises(ModelError, match=f"{len(DATA)} bytes with sha256 {entry.sha256}"):
        store.download("net")


def test_nothing_is_fetched_without_a_yes(site: Site, entry: Entry) -> None:
    questions: list[str] = []

    def answer(text: str) -> str:
        questions.append(text)
        return "\n"

    with pytest.raises(ModelError, match="without a yes"):
        store.obtain("net", ask=answer)
    with pytest.raises(ModelError, match="without a yes"):
        store.obtain("net")  # No terminal here.
    assert site.requests == []
    assert "154 kB, licence MIT, http://127.0.0.1" in questions[0]
    store.obtain("net", ask=lambda _: "Y\n")
    assert len(site.requests) == 1
    store.obtain("net")  # Stored: no question.


def test_yes_in_scripts(entry: Entry) -> None:
    assert store.obtain("net", yes=True).read_bytes() == DATA


def test_processes_at_once_do_no_harm(site: Site, entry: Entry, tmp_path: Path) -> None:
    code = f"""if True:
        import dataclasses
        from fastfer.models import store
        from fastfer.models.catalogue import CATALOGUE
        CATALOGUE["net"] = dataclasses.replace(
            CATALOGUE["yunet"], name="net", url={entry.url!r}, file="net.onnx",
            sha256={entry.sha256!r}, size={entry.size})
        store.download("net")
        assert len(store.load("net")) == {entry.size}
    """
    site.cut_after += [50_000, 70_000]
    running = [subprocess.Popen([sys.executable, "-c", code], env=os.environ) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert store.load("net") == DATA
    assert files_in_store() == ["net.onnx"]


def test_importing_the_store_loads_no_network_library() -> None:
    code = "import sys, fastfer.models.store; print({'pooch', 'requests'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_command(site: Site, entry: Entry, capsys: pytest.CaptureFixture[str]) -> None:
    assert models.main(["path", "net"]) == 4
    assert "fastfer models download net" in capsys.readouterr().err
    assert models.main(["list"]) == 0
    assert "net\tnot stored" in capsys.readouterr().out
    assert models.main(["download", "net"]) == 0
    assert capsys.readouterr().out.strip() == str(store.path_of("net"))
    assert models.main(["path", "net"]) == 0
    assert models.main(["verify"]) == 0
    assert "net\tsound" in capsys.readouterr().out
    assert models.main(["list"]) == 0
    assert "net\tstored" in capsys.readouterr().out
    store.path_of("net").write_bytes(b"other")
    assert models.main(["list"]) == 0
    assert "net\tdamaged" in capsys.readouterr().out
    assert models.main(["verify"]) == 4
    assert "net\tdamaged" in capsys.readouterr().out


def test_verify_tells_what_cannot_be_read_from_what_is_not_there(
    entry: Entry,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert models.main(["verify"]) == 0
    assert "net\tnot stored" in capsys.readouterr().out
    store.path_of("net").mkdir(parents=True)
    assert models.main(["verify"]) == 4
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FASTFER_HOME", str(tmp_path / "file"))
    assert models.main(["verify"]) == 4
    assert "cannot be read" in capsys.readouterr().err


def test_command_refuses_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        models.main(["download", "nose"])
    assert stop.value.code == 2
    assert "yunet" in capsys.readouterr().err
