"""Containers: only the named file is read."""

from __future__ import annotations

import errno
import io
import os
import threading
from array import array
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import av
import pytest

from fastfer.errors import InputError
from fastfer.io import containers
from fastfer.io.containers import Pipe, demuxed, open_file, sound_stream
from fastfer.io.open_source import open_source
from tests.helpers.commands import python
from tests.helpers.errors import raises
from tests.helpers.movies import levels, write_movie
from tests.helpers.waiting import wait_until

SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile {}\n",
    "list.sdp": SDP,
    "list.mpd": '<?xml version="1.0"?><MPD><Period><AdaptationSet mimeType="video/mp4">'
    "<Representation><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>",
}


@pytest.mark.parametrize("suffix", ["", ".mp4"])
@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_opens_no_other_file(tmp_path: Path, name: str, suffix: str) -> None:
    write_movie(tmp_path / "other.mp4", levels(3))
    path = tmp_path / (name + suffix)
    path.write_text(PLAYLISTS[name].format("other.mp4"))
    with raises(InputError, "unsupported_format", name):
        open_source(path)


def test_the_list_names_formats_of_ffmpeg() -> None:
    known = {name for names in av.formats_available for name in names.split(",")}
    assert set(containers.FORMATS.split(",")) <= known
    opening = {"hls", "dash", "concat", "sdp", "image2", "lavfi", "rtsp", "imf"}
    assert not opening & set(containers.FORMATS.split(","))


@pytest.mark.parametrize("scheme", ["file", "concat", "subfile", "gopher", "ftp"])
def test_a_scheme_that_is_not_on_the_list(tmp_path: Path, scheme: str) -> None:
    path = write_movie(tmp_path / "a.mp4", levels(3))
    with raises(InputError, "source_unavailable"):
        open_source(f"{scheme}://{path}")


def test_a_file_without_pictures(tmp_path: Path) -> None:
    write_movie(tmp_path / "a.mp4", levels(3), sound=1.0)
    with av.open(str(tmp_path / "a.mp4")) as source, av.open(str(tmp_path / "b.m4a"), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    with raises(InputError, "unsupported_format", "no video"):
        open_source(tmp_path / "b.m4a")


STANDARD_INPUT = {
    "matroska": (".mkv", {}),
    "mp4 with its index at the end": (".mp4", {}),
    "quicktime": (".mov", {}),
    "mp4 with its index first": (".mp4", {"movflags": "faststart"}),
    "fragments": (".mp4", {"movflags": "frag_keyframe+empty_moov"}),
}
COUNT = """
import os, sys, threading
from fastfer.io.open_source import open_source

def write(pipe, data):
    with os.fdopen(pipe, "wb") as file:
        file.write(data)

for path in sys.argv[1:]:
    with open(path, "rb") as file:
        os.dup2(file.fileno(), 0)
        from_file = len(list(open_source("-")))
        file.seek(0)
        data = file.read()
    reader, writer = os.pipe()
    os.dup2(reader, 0)
    os.close(reader)
    thread = threading.Thread(target=write, args=(writer, data))
    thread.start()
    print(from_file, len(list(open_source("-"))))
    thread.join()
"""


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Frames of each kind, read from a file and from a pipe as the standard input."""
    folder = tmp_path_factory.mktemp("standard-input")
    paths = [
        write_movie(folder / f"{i}{suffix}", levels(7), sound=1.0, options=options)
        for i, (suffix, options) in enumerate(STANDARD_INPUT.values())
    ]
    done = python("-c", COUNT, *paths)
    assert done.returncode == 0, done.stderr
    return dict(zip(STANDARD_INPUT, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("name", STANDARD_INPUT)
def test_standard_input(counts: dict[str, str], name: str) -> None:
    assert counts[name] == "7 7"


def waiting(pipe: int) -> int:
    """Bytes in a pipe that nobody has read."""
    import fcntl
    import termios

    count = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def send(data: bytes, first: int = 0) -> int:
    """The end to read of a pipe that gets ``data``, the ``first`` bytes earlier."""
    reader, writer = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), open(writer, "wb", 0) as file:  # noqa: PTH123
            file.write(data[:first])
            if first:  # A pipe joins what is written before it is read.
                wait_until(lambda: waiting(writer) == 0)
            file.write(data[first:])

    threading.Thread(target=write, daemon=True).start()
    return reader


@pytest.mark.skipif(os.name != "posix", reason="pipes have names on POSIX systems")
@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("name", STANDARD_INPUT)
def test_a_pipe_with_a_name(tmp_path: Path, name: str, isolate: bool) -> None:
    """It is opened once, and its first bytes reach a decoder in another process, too."""
    suffix, options = STANDARD_INPUT[name]
    data = write_movie(tmp_path / f"a{suffix}", levels(7), sound=1.0, options=options).read_bytes()
    reader = send(data, first=32)
    source: Any = open_source(f"/dev/fd/{reader}", isolate=isolate)
    os.close(reader)
    assert len(list(source)) == 7
    assert source.media.path is None
    assert source.media.sound_is_lost == isolate == (source.media.kept is None)


@pytest.mark.skipif(os.name != "posix", reason="pipes have names on POSIX systems")
def test_a_pipe_without_bytes() -> None:
    reader = send(b"")
    with raises(InputError, "empty_file"):
        open_source(f"/dev/fd/{reader}")
    os.close(reader)


@pytest.mark.parametrize("count", [-1, 1, 3, 100])
def test_bytes_that_were_read_before_come_first(count: int) -> None:
    reader = send(b"cdefg")
    pipe = containers.Pipe(open(reader, "rb", 0), b"ab")  # noqa: PTH123, SIM115
    parts = [pipe.read(count)]
    while parts[-1]:
        parts.append(pipe.read(count))
    assert b"".join(filter(None, parts)) == b"abcdefg"
    assert not pipe.seekable()
    pipe.close()
    with pytest.raises(OSError) as caught:
        os.fstat(reader)
    assert caught.value.errno == errno.EBADF


def test_frames_over_the_pixel_limit_are_refused() -> None:
    path = Path(__file__).parents[2] / "../shared/cases/bomb16000.gif"
    if not path.exists():
        pytest.skip("../shared/cases is not there")
    with raises(InputError, "too_many_pixels"):
        list(open_source(path))


def test_streams_that_begin_later_change_nothing(tmp_path: Path) -> None:
    """A transport stream may declare its sound only after a while, a program stream never does."""
    frames = write_movie(tmp_path / "a.ts", levels(100, step=0)).read_bytes()
    sound = write_movie(tmp_path / "b.ts", levels(20), sound=2.0).read_bytes()
    pipe: Any = Pipe(cast(Any, io.BytesIO(frames + sound)))
    with open_file("-", file=pipe) as container:
        assert len(container.streams) == 1
        assert sum(packet.size > 0 for packet in demuxed(container)) == 120


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_the_sound_that_a_player_plays(tmp_path: Path, suffix: str) -> None:
    """A transport stream declares sound that begins after what is inspected."""
    path = write_movie(tmp_path / f"a.{suffix}", levels(100, step=0), sound=1.0, sound_start=8.0)
    with open_file(str(path)) as container:
        found = sound_stream(container)
        assert found is not None
        assert found.codec_context.name == "aac"


def test_no_sound(tmp_path: Path) -> None:
    with open_file(str(write_movie(tmp_path / "a.ts", levels(3)))) as container:
        assert sound_stream(container) is None
