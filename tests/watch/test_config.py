"""The file of cameras: what it may hold."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fastfer.errors import UsageError
from fastfer.labels import ATTRIBUTES
from fastfer.watch.config import parse_config, read_config
from tests.helpers.errors import raises

GOOD = """
[engine]
min_quality = 0.3
[video]
detect_every = 4
[files]
folder = "rows"
[mqtt]
host = "broker"
password_env = "FASTFER_TEST_PASSWORD"
[webhook]
url = "https://example.org/faces"
[metrics]
port = 9110
[[camera]]
name = "door"
source = "rtsp://camera/1"
fps = 5
[[camera]]
name = "hall"
source = 0
size = [640, 480]
"""


def test_all_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parse_config(GOOD)
    door, hall = config.cameras
    assert (door.fps, hall.source, hall.options.size) == (5, 0, (640, 480))
    assert hall.options.give_up == math.inf
    assert config.video.detect_every == 4
    assert config.engine == {"min_quality": 0.3}
    assert config.attributes == ()
    asked = parse_config(GOOD.replace("[video]", "attributes = ['age', 'gender']\n[video]"))
    assert asked.attributes == ATTRIBUTES
    assert config.mqtt is not None
    with raises(UsageError, "usage", "FASTFER_TEST_PASSWORD"):
        config.mqtt.password  # noqa: B018
    monkeypatch.setenv("FASTFER_TEST_PASSWORD", "x")
    assert config.mqtt.password == "x"


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("min_quality", "quality", "unknown_option"),
        ("min_quality = 0.3", "attributes = ['race']", "unknown_option"),
        ("[files]", "[file]", "unknown_option"),
        ("fps = 5", "fps = 0", "out_of_range"),
        ("fps = 5", "fps = 'fast'", "out_of_range"),
        ('folder = "rows"', "", "usage"),
        ('"hall"', '"door"', "usage"),
        ('"hall"', '"../hall"', "usage"),
        ("port = 9110", "port = 70000", "out_of_range"),
        ("[[camera]]", "[camera]", "usage"),
        ("[mqtt]", "[mqtt", "usage"),
        ("detect_every = 4", "detect_every = 1979-05-27", "out_of_range"),
        ("detect_every = 4", "smooth = nan", "out_of_range"),
        ('folder = "rows"', "folder = 5", "out_of_range"),
        ('host = "broker"', "host = 5", "out_of_range"),
        ('"https://example.org/faces"', "5", "out_of_range"),
        ("port = 9110", "host = 5", "out_of_range"),
        ('"door"', "5", "out_of_range"),
        ('"door"', f"'{'a' * 300}'", "usage"),
        ('"rtsp://camera/1"', "1.5", "out_of_range"),
        ('"rtsp://camera/1"', '""', "out_of_range"),
        ("fps = 5", "stall = inf", "out_of_range"),
        ("fps = 5", "share = 1e-300", "out_of_range"),
        ("fps = 5", "fourcc = 5", "out_of_range"),
        ("fps = 5", "fourcc = 'MJPEG'", "out_of_range"),
        ("[640, 480]", "[640]", "out_of_range"),
        ("[640, 480]", "640", "out_of_range"),
        ("[640, 480]", "['a', 'b']", "out_of_range"),
    ],
)
def test_mistakes(before: str, after: str, code: str) -> None:
    text = GOOD.replace(before, after, 1)
    if before == "[[camera]]":
        text = GOOD[: GOOD.index("[[camera]]")] + "[camera]\nname = 'a'\nsource = 0\n"
    with raises(UsageError, code):
        parse_config(text)


def test_files_that_hold_nothing(tmp_path: Path) -> None:
    with raises(UsageError, "not_found"):
        read_config(tmp_path / "none.toml")
    with raises(UsageError, "usage", "/dev/zero"):
        read_config("/dev/zero")
    with raises(UsageError, "usage"):
        read_config(tmp_path)
    (tmp_path / "a.toml").write_bytes(b"#\n" * 600_000)
    with raises(UsageError, "usage", "a.toml"):
        read_config(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_bytes(b"\xff")
    with raises(UsageError, "usage", "a.toml"):
        read_config(tmp_path / "a.toml")
    door = "[[camera]]\nname = 'a'\nsource = 0\n"
    rest = f"[files]\nfolder = 'x'\n{door}"
    parse_config(rest)
    for section in ("engine", "video", "files", "mqtt", "webhook", "metrics"):
        with raises(UsageError, "usage"):
            parse_config(f"{section} = 5\n{rest if section != 'files' else door}")
    (tmp_path / "a.toml").write_text("[files]\nfolder = 'x'\n")
    with raises(UsageError, "usage", "a.toml"):
        read_config(tmp_path / "a.toml")
    with raises(UsageError, "usage"):
        parse_config("[[camera]]\nname = 'a'\nsource = 0\n")
