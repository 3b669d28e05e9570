"""Video files that were cut: which containers show it, and which cannot."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from fastfer.errors import InputError
from fastfer.io.file_ends import is_cut
from fastfer.io.open_source import open_source
from tests.helpers.errors import raises

CODECS = {
    "wmv": "wmv2", "ogv": "libvpx", "mxf": "mpeg2video", "mpg": "mpeg2video", "nut": "mpeg4",
    "h264": "libx264", "mjpeg": "mjpeg",
}  # fmt: skip


def whole(path: Path) -> Path:
    """40 frames of noise at 25 per second."""
    noise = np.random.default_rng(0)
    frames = [noise.integers(0, 256, (64, 96, 3), np.uint8) for _ in range(40)]
    if path.suffix == ".gif":
        first, *rest = map(Image.fromarray, frames)
        first.save(path, save_all=True, append_images=rest, duration=40)
        return path
    codec = CODECS.get(path.suffix[1:], "libx264")
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height = 96, 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "bgr24")))
        container.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    """``path`` without its end, within a packet of every size that transport streams have."""
    size = int(path.stat().st_size * share)
    while any(size % n in (0, 4, 16) for n in (188, 192, 204)):
        size -= 1
    path.write_bytes(path.read_bytes()[:size])
    return path


def outcome(path: Path) -> tuple[int, str | None]:
    """The number of frames, and the code of the error after them."""
    seen: list[Any] = []
    try:
        seen.extend(open_source(path))
    except InputError as error:
        return len(seen), error.code
    return len(seen), None


@pytest.mark.parametrize("name", ["a.wmv", "a.ts", "a.m2ts", "a.ogv", "a.gif", "a.mxf"])
def test_a_cut_file_is_noticed(tmp_path: Path, name: str) -> None:
    path = whole(tmp_path / name)
    assert outcome(path) == (40, None)
    frames, code = outcome(cut(path, 0.5))
    assert 8 < frames < 32
    assert code == "truncated"


@pytest.mark.parametrize("name", ["a.mpg", "a.nut", "a.h264", "a.mjpeg"])
def test_containers_that_do_not_show_it(tmp_path: Path, name: str) -> None:
    """As docs/explanation/video.md says."""
    path = whole(tmp_path / name)
    assert outcome(path) == (40, None)
    frames, code = outcome(cut(path, 0.5))
    assert 8 < frames < 32
    assert code is None


def test_a_transport_stream_after_other_bytes(tmp_path: Path) -> None:
    """Recorders begin within a packet."""
    path = whole(tmp_path / "a.ts")
    path.write_bytes(bytes(70) + path.read_bytes())
    assert outcome(path) == (40, None)


def test_a_gif_that_is_padded(tmp_path: Path) -> None:
    path = whole(tmp_path / "a.gif")
    path.write_bytes(path.read_bytes() + bytes(10))
    assert outcome(path) == (40, None)


def test_a_broadcast_states_no_size(tmp_path: Path) -> None:
    data = bytearray(whole(tmp_path / "a.wmv").read_bytes())
    file = io.BytesIO(data)
    assert not is_cut("asf", file, None)
    file.truncate(len(data) - 9)
    assert is_cut("asf", file, None)
    data[data.index(bytes.fromhex("a1dcab8c")) + 88] |= 1
    assert not is_cut("asf", io.BytesIO(data[:-9]), None)


def test_what_cannot_be_sought_is_taken_for_whole() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert is_cut("gif", io.BytesIO(b"GIF89a"), None)
    assert not is_cut("gif", Pipe(b"GIF89a"), None)
    assert not is_cut("mpegts", io.BytesIO(bytes(189)), None), "no packet was read"
    assert not is_cut("ogg", io.BytesIO(b"OggS"), None), "cut within a page's header"


def test_the_error_names_what_was_read(tmp_path: Path) -> None:
    path = cut(whole(tmp_path / "a.wmv"), 0.5)
    with raises(InputError, "truncated", "frames"):
        list(open_source(path))
