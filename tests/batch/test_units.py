"""A photo or video of a job: read in place, or copied, or refused."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from fastfer.batch.sources import Sources
from fastfer.batch.units import Unit, key_of
from fastfer.errors import InputError
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.io.video_files import VideoFile
from tests.helpers.batch_jobs import photo
from tests.helpers.errors import raises
from tests.helpers.markers import requires_posix


def test_keys_know_a_unit_by_its_name_alone() -> None:
    first = Unit("a.zip/1.jpg", "photo", "a.zip", partition="x")
    assert first.key == Unit("a.zip/1.jpg", "video", "elsewhere").key == key_of("a.zip/1.jpg")
    names = ["a", "b", "\udce9", "\u00e9"]
    assert len({key_of(name) for name in names}) == len(names)
    assert {len(key_of(name)) for name in names} == {16}


def test_what_cannot_be_read_raises_its_error() -> None:
    unit = Unit("a", "nothing", "a", error=("a: no photo", "no_match"))
    with raises(InputError, "no_match"):
        unit.read(DEFAULT_LIMITS)
    with raises(InputError, "no_match"), unit.as_file(DEFAULT_LIMITS):
        pass
    gone = Unit("none.jpg", "photo", "none.jpg")
    with raises(InputError, "not_found"):
        gone.read(DEFAULT_LIMITS)


def test_files_are_used_where_they_are(tmp_path: Path) -> None:
    path = str(photo(tmp_path / "1.jpg"))
    unit = Unit(path, "photo", path)
    assert unit.read(DEFAULT_LIMITS).data == Path(path).read_bytes()
    with unit.as_file(DEFAULT_LIMITS) as found:
        assert found == path


def test_copies_of_videos(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are held to the limit, errors name the member, and nothing stays behind."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.mp4", bytes(3 << 20))
    temporary = tmp_path_factory.mktemp("copies")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    (unit,) = Sources([str(tmp_path / "a.zip")])
    with raises(InputError, "too_many_bytes"), unit.as_file(FileLimits(bytes=2 << 20)):
        pass
    assert unit.member is not None
    lying = replace(unit, member=replace(unit.member, size=1))
    with raises(InputError, "too_many_bytes"), lying.as_file(FileLimits(bytes=2 << 20)):
        pass
    with (
        raises(InputError, "unsupported_format", "a.zip/bomb.mp4") as caught,
        unit.as_file(DEFAULT_LIMITS) as path,
    ):
        VideoFile(path)
    assert str(temporary) not in str(caught.value)
    assert not list(temporary.iterdir())


@requires_posix
def test_no_room_for_the_copy_of_a_video(tmp_path: Path) -> None:
    """A limit on the size of files ends it half-way, as a full disk does (``disk_full``)."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clip.mp4", bytes(3 << 20))
    (tmp_path / "copies").mkdir()
    code = (
        "import resource, signal, sys\n"
        "from fastfer.batch.sources import Sources\n"
        "from fastfer.errors import InputError\n"
        "from fastfer.io.limits import DEFAULT_LIMITS\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20,) * 2)\n"
        "try:\n"
        "    with next(iter(Sources(sys.argv[1:]))).as_file(DEFAULT_LIMITS): pass\n"
        "except InputError as error: print(error.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.zip")],
        capture_output=True, text=True, check=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "copies")},
    )  # fmt: skip
    assert done.stdout.strip() == "unreadable_input"
    assert not list((tmp_path / "copies").iterdir())


@requires_posix
def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    """A writer appends to the file as long as it is read."""
    file = photo(tmp_path / "growing.jpg")
    unit = Unit(str(file), "photo", str(file))
    stop = threading.Event()

    def grow() -> None:
        with file.open("ab", 0) as out:
            while not stop.is_set():
                out.write(b"\0" * 4096)
                if out.tell() > 50_000_000:
                    return

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        codes = set()
        for _ in range(50):
            try:
                unit.read(DEFAULT_LIMITS)
            except InputError as error:
                codes.add(error.code)
    finally:
        stop.set()
        writer.join()
    assert codes <= {"changed"}
    assert unit.read(DEFAULT_LIMITS).header.width == 96


@requires_posix
def test_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe.mp4")
    pipes = [str(tmp_path / name) for name in ("pipe.jpg", "pipe.mp4")]
    picture, video = Unit(pipes[0], "photo", pipes[0]), Unit(pipes[1], "video", pipes[1])
    with raises(InputError, "unreadable_input"):
        picture.read(DEFAULT_LIMITS)
    with raises(InputError, "unreadable_input"), video.as_file(DEFAULT_LIMITS):
        pass
