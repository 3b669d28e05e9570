"""Decoder processes: the same pixels, and errors in place of crashes, hangs and allocation."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import numpy as np
import pytest

from fastfer.errors import InputError
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.isolated_decoder import IsolatedDecoder
from fastfer.io.limits import FileLimits
from tests.helpers.errors import raises
from tests.helpers.pictures import encode, portrait
from tests.helpers.waiting import wait_until

posix = pytest.mark.skipif(os.name != "posix", reason="signals and resource limits need POSIX")


@pytest.fixture(scope="module")
def decoder() -> Iterator[IsolatedDecoder]:
    with IsolatedDecoder(FileLimits(seconds=20, pixels=20_000_000)) as decoder:
        yield decoder


def small() -> EncodedImage:
    return EncodedImage(encode(portrait(), "PNG"), "small.png")


def process_of(decoder: IsolatedDecoder) -> int:
    """The number of the process that decodes the next picture."""
    decoder.decode(small())
    return decoder._idle[-1]._process.pid


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_pixels_are_those_of_this_process(decoder: IsolatedDecoder, kind: str) -> None:
    image = EncodedImage(encode(portrait(), kind))
    decoded = decoder.decode(image, min_side=640)
    np.testing.assert_array_equal(decoded.frame, image.decode())
    assert decoded.reduced is None


@pytest.mark.parametrize("gray", [False, True])
def test_the_reduced_copy_is_that_of_this_process(decoder: IsolatedDecoder, gray: bool) -> None:
    image = EncodedImage(encode(portrait((2400, 1600)), "JPEG"))
    decoded = decoder.decode(image, min_side=640, gray=gray)
    np.testing.assert_array_equal(decoded.frame, image.decode())
    np.testing.assert_array_equal(decoded.reduced, image.decode_reduced(2, gray=gray))


def test_errors_keep_their_code(decoder: IsolatedDecoder) -> None:
    data = encode(portrait(), "PNG")
    with raises(InputError, "truncated", "cut.png"):
        decoder.decode(EncodedImage(data[:-40], "cut.png"))
    wide = EncodedImage(encode(portrait((20_001, 1000)), "BMP"), "wide.bmp")
    with raises(InputError, "too_many_pixels", "wide.bmp"):
        decoder.decode(wide)


def test_threads_share_a_decoder(decoder: IsolatedDecoder) -> None:
    images = [EncodedImage(encode(portrait((30 + i, 40)), "PNG")) for i in range(24)]
    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(lambda image: decoder.decode(image).frame, images))
    assert [frame.shape for frame in frames] == [(40, 30 + i, 3) for i in range(24)]


def unread(pipe: IO[bytes]) -> int:
    """Bytes in a pipe that its reader has not taken yet."""
    import fcntl
    import termios

    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return count


@posix
def test_a_crash_is_an_error_and_the_next_picture_is_decoded(decoder: IsolatedDecoder) -> None:
    crashed = process_of(decoder)
    requests = decoder._idle[-1]._process.stdin
    os.kill(crashed, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(decoder.decode, small())
        wait_until(lambda: unread(requests) > 0)
        os.kill(crashed, signal.SIGSEGV)
        os.kill(crashed, signal.SIGCONT)
        with pytest.raises(InputError) as caught:
            waiting.result()
    assert caught.value.code == "decoder_crashed"
    assert process_of(decoder) != crashed


@posix
def test_a_hang_is_an_error_and_the_next_picture_is_decoded() -> None:
    with IsolatedDecoder(FileLimits(seconds=1.5)) as decoder:
        hanging = process_of(decoder)
        os.kill(hanging, signal.SIGSTOP)
        with raises(InputError, "too_slow", "small.png", "--max-seconds"):
            decoder.decode(small())
        assert process_of(decoder) != hanging


@pytest.mark.parametrize("seconds", [float("inf"), 1e300])
def test_a_limit_that_no_clock_can_wait_for(seconds: float) -> None:
    with IsolatedDecoder(FileLimits(seconds=seconds)) as decoder:
        assert decoder.decode(EncodedImage(encode(portrait(), "PNG"), "a.png")).frame.size


def test_an_idle_process_that_ended_is_replaced(decoder: IsolatedDecoder) -> None:
    ended = decoder._idle[-1]
    process_of(decoder)
    decoder._idle[-1]._process.kill()
    decoder._idle[-1]._process.wait()
    assert process_of(decoder) != ended._process.pid


@posix
def test_processes_end_with_their_decoder_and_with_their_parent() -> None:
    with IsolatedDecoder() as decoder:
        mine = process_of(decoder)
    with pytest.raises(ProcessLookupError):
        os.kill(mine, 0)
    code = (
        "import os; from fastfer.io.isolated_decoder import IsolatedDecoder as D\n"
        "print(D()._idle[0]._process.pid, flush=True); os._exit(0)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    # Its standard error is ours: the call returns when the process has closed its pipes.
    assert int(done.stdout) > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_its_own_processes(decoder: IsolatedDecoder) -> None:
    parent = process_of(decoder)
    child = os.fork()
    if child == 0:
        os._exit(0 if process_of(decoder) != parent else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert process_of(decoder) == parent
