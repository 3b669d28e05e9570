"""The command ``fastfer serve``: its options, and what it refuses to start with."""

from __future__ import annotations

import socket
from importlib.util import find_spec

import pytest

from fastfer.cli import serve
from fastfer.errors import UsageError
from fastfer.server.settings import ServerSettings
from tests.helpers.commands import python
from tests.helpers.errors import raises

needs_extra = pytest.mark.skipif(
    any(find_spec(name) is None for name in serve.PACKAGES),
    reason="needs the extra serve",
)


def settings(*words: str) -> ServerSettings:
    return serve.server_settings(serve.make_parser().parse_args(words))


@needs_extra
def test_the_defaults_are_those_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTFER_TOKEN", raising=False)
    assert settings() == ServerSettings()


@needs_extra
def test_every_setting_has_its_option() -> None:
    words = (
        "--host 0.0.0.0 --port 1 --token aaaaaaaaaaaaaaaa --allow-host a --allow-host b "
        "--allow-origin https://c.example --workers 2 --max-mb 3 --max-pixels 4 --max-pictures 5 "
        "--max-requests 6 --max-streams 7 --max-video-mb 8 --max-video-seconds 9 --max-jobs 10 "
        "--max-waiting 11 --keep-seconds 12 --upload-seconds 13 --header-seconds 14 --batch 15 "
        "--batch-wait-ms 16"
    )
    assert settings(*words.split()) == ServerSettings(
        host="0.0.0.0",
        port=1,
        token="a" * 16,
        allow_hosts=("a", "b"),
        allow_origins=("https://c.example",),
        workers=2,
        max_bytes=3 << 20,
        max_pixels=4,
        max_pictures=5,
        max_requests=6,
        max_streams=7,
        max_video_bytes=8 << 20,
        max_video_seconds=9,
        max_jobs=10,
        max_waiting_jobs=11,
        job_ttl=12,
        upload_seconds=13,
        header_seconds=14,
        batch=15,
        batch_wait_ms=16,
        isolate=True,  # Other machines can reach it.
    )


@needs_extra
def test_pictures_are_isolated_if_strangers_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTFER_TOKEN", "b" * 16)
    assert settings().token == "b" * 16
    assert not settings("--host", "localhost").isolate
    assert settings("--host", "0.0.0.0").isolate
    assert not settings("--host", "0.0.0.0", "--no-isolate").isolate
    assert settings("--isolate").isolate


def test_packages_that_are_missing() -> None:
    with raises(UsageError, "missing_package", "no_such_package", "fastfer[studio]"):
        serve.check_packages(["os", "no_such_package"], "studio")


@needs_extra
@pytest.mark.parametrize(
    ("options", "code", "shown"),
    [
        (["--host", "0.0.0.0"], 2, "--token"),
        (["--token", "short"], 2, "16"),
        (["--allow-origin", "*"], 2, "'*'"),
        (["--model", "/nonexistent.onnx"], 4, "/nonexistent.onnx"),
    ],
)
def test_refuses_to_start(options: list[str], code: int, shown: str) -> None:
    result = python("-m", "fastfer", "serve", *options, env=None)
    assert result.returncode == code
    assert shown in result.stderr
    assert len(result.stderr.splitlines()) == 1


@needs_extra
def test_address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = python("-m", "fastfer", "serve", "--port", str(port))
    assert result.returncode == 2
    assert str(port) in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [["--port", "65536"], ["--batch", "0"], ["--max-mb", "x"]])
def test_values_out_of_range_are_refused(words: list[str]) -> None:
    result = python("-m", "fastfer", "serve", *words)
    assert result.returncode == 2
    assert words[0] in result.stderr
