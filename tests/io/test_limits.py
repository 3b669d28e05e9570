"""The budget of one input file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastfer.errors import InputError, UsageError
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.io.photos import read_image
from tests.helpers.errors import raises
from tests.helpers.pictures import encode, portrait


@pytest.mark.parametrize("name", ["pixels", "frame_pixels", "bytes", "memory", "seconds"])
@pytest.mark.parametrize("value", [0, -1, "9", float("nan"), None])
def test_limits_are_positive_numbers(name: str, value: Any) -> None:
    with raises(UsageError, "out_of_range", name):
        FileLimits(**{name: value})


def test_each_limit_has_its_code_and_option() -> None:
    limits = FileLimits(pixels=99, frame_pixels=99, bytes=99, memory=99)
    with raises(InputError, "too_many_pixels", "--max-pixels 100"):
        limits.check_picture("a", 10, 10)
    with raises(InputError, "too_many_pixels", "--max-frame-pixels 100"):
        limits.check_frame("a", 10, 10)
    with raises(InputError, "too_many_bytes", "--max-bytes"):
        limits.check_bytes("a", 100)
    with raises(InputError, "too_much_memory", "--max-memory"):
        limits.check_memory("a", 100)
    limits.check_picture("a", 9, 11)
    limits.check_frame("a", 9, 11)
    limits.check_bytes("a", 99)
    limits.check_memory("a", 99)


def test_bytes_in_memory_have_the_limit_of_files(tmp_path: Path) -> None:
    data = encode(portrait(), "PNG")
    limits = FileLimits(bytes=len(data) - 1)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    for source in (data, bytearray(data), path):
        with raises(InputError, "too_many_bytes"):
            read_image(source, limits=limits)
        assert read_image(source, limits=FileLimits(bytes=len(data))).shape == (64, 96, 3)


@pytest.mark.skipif(os.name != "posix", reason="sparse files need POSIX")
def test_a_sparse_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.write(encode(portrait(), "PNG"))
        file.truncate(60 << 30)
    with raises(InputError, "too_many_bytes", "huge.png"):
        read_image(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes need POSIX")
def test_a_named_pipe_neither_blocks_nor_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jpg")
    (tmp_path / "link.jpg").symlink_to("x.jpg")
    for name in ("x.jpg", "link.jpg"):
        with raises(InputError, "unreadable_input", name):
            read_image(tmp_path / name)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="/dev/fd needs POSIX")
def test_the_pipe_of_a_shell_is_read() -> None:
    source, sink = os.pipe()
    os.write(sink, encode(portrait(), "PNG"))
    os.close(sink)
    try:
        assert read_image(f"/dev/fd/{source}").shape == (64, 96, 3)
    finally:
        os.close(source)


def test_opencv_of_a_command_has_the_same_limit() -> None:
    code = """
from fastfer.io.limits import FileLimits
FileLimits(pixels=99).limit_opencv()
import cv2, numpy
data = cv2.imencode(".png", numpy.zeros((10, 10), numpy.uint8))[1]
try:
    print(cv2.imdecode(data, 1))
except cv2.error:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("refused", "None")


def test_importing_the_library_leaves_opencv_alone() -> None:
    code = "import os, fastfer; fastfer.read_image; print([k for k in os.environ if 'PIXELS' in k])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert FileLimits() == DEFAULT_LIMITS
