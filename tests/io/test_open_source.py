"""Which source a path, URL, number or iterable opens."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastfer.errors import InputError, UsageError
from fastfer.io.frame_source import ArraySource
from fastfer.io.open_source import CameraOptions, open_source
from tests.helpers import http_server
from tests.helpers.errors import raises
from tests.helpers.movies import levels, write_movie


def test_frames_and_sources() -> None:
    frames = [np.zeros((4, 4, 3), np.uint8)] * 2
    source = open_source(frames, CameraOptions(fps=10))
    assert isinstance(source, ArraySource)
    assert source.fps == 10
    assert open_source(source) is source


def test_other_types_are_refused() -> None:
    with raises(UsageError, "usage", "float"):
        open_source(3.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(48, 64, 3), (48, 64), (48,), ()])
def test_an_array_that_is_one_frame_is_refused(shape: tuple[int, ...]) -> None:
    with raises(UsageError, "usage", str(shape)):
        open_source(np.zeros(shape, np.uint8))  # type: ignore[arg-type]
    for several in ((2, 48, 64, 3), (2, 48, 64)):
        assert len(list(open_source(np.zeros(several, np.uint8)))) == 2


def test_an_empty_path() -> None:
    with raises(InputError, "not_found", "''"):
        open_source("")


def test_a_pattern_or_directory_without_pictures(tmp_path: Path) -> None:
    with raises(InputError, "no_match", "x_%03d.png"):
        open_source(tmp_path / "x_%03d.png")
    with raises(InputError, "not_found", "gone"):
        open_source(tmp_path / "gone" / "x_%03d.png")
    with raises(InputError, "no_pictures", str(tmp_path)):
        open_source(tmp_path)


@pytest.mark.parametrize("password", ["secret", "se#cret", "se/cret", "se?cret", "se[cret"])
@pytest.mark.parametrize("kind", ["http", "ftp"])
def test_passwords_are_hidden_in_messages(kind: str, password: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with raises(InputError, "source_unavailable", f"{kind}://me:***@127.0.0.1:{port}/x") as caught:
        open_source(f"{kind}://me:{password}@127.0.0.1:{port}/x")
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "wishful"},
        {"size": (0, 480)},
        {"fps": 0},
        {"fps": float("inf")},
        {"size": "1280x720"},
        {"size": 640},
        {"size": (1, 2, 3)},
        {"fourcc": "MJPEG"},
        {"fourcc": 1234},
        {"stall": -1},
        {"give_up": float("nan")},
    ],
)
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with raises(UsageError, "out_of_range"):
        CameraOptions(**options)
    assert CameraOptions(give_up=float("inf")).give_up == float("inf")


@pytest.mark.parametrize("number", [-1, -(1 << 40), 10_000, 99_999_999_999])
def test_numbers_that_no_camera_has(number: int) -> None:
    with raises(UsageError, "out_of_range", "camera"):
        open_source(number)


@pytest.mark.parametrize("name", ["a" * 300, "a" * 300 + "%d.png", "a\0b", "a\0%d.png", "\ud800"])
@pytest.mark.parametrize("isolate", [False, True])
def test_names_that_cannot_be(name: str, isolate: bool) -> None:
    with raises(InputError, "no_match" if "%d" in name else "not_found"):
        list(open_source(name, isolate=isolate))


@pytest.mark.parametrize(
    ("name", "lengths"),
    [("a.gif", True), ("a.gif", False), ("a.ts", True), ("a.mkv", True),
     ("a.mp4", True), ("a.flv", True)],
)  # fmt: skip
@pytest.mark.parametrize("ranges", [True, False])
def test_a_recording_on_a_server_is_read_once(
    name: str, lengths: bool, ranges: bool, tmp_path: Path
) -> None:
    """Also from a server without ranges, where some formats state no duration."""
    codec, pixels = {"a.gif": ("gif", "rgb8"), "a.flv": ("flv", "yuv420p")}.get(
        name, ("mpeg4", "yuv420p")
    )
    options = {"movflags": "faststart"} if name == "a.mp4" else {}
    write_movie(tmp_path / name, levels(10), codec=codec, pixel_format=pixels, options=options)
    with http_server.serve() as site:
        site.files[f"/{name}"] = (tmp_path / name).read_bytes()
        site.lengths, site.ranges = lengths, ranges
        source = open_source(f"{site.url}/{name}", CameraOptions(stall=2, give_up=1))
        assert not source.live
        with closing(source):
            times = [frame.pts for frame in source]
    assert times == [frame.pts for frame in open_source(tmp_path / name)]
    assert len(times) == 10
