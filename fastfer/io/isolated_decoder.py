"""Decoding of pictures in processes of their own.

A picture that crashes its decoder, keeps it busy for ever or makes it allocate without end then
is an error, not the end of the program. The decoder process holds no file, no network connection
and no model; it receives the bytes of one picture after the other and answers with pixels. On POSIX
systems it may neither write files nor allocate more than the limit; everywhere it is killed when
the time of a picture is over.

Costs: about 60 MB and a fifth of a second for each process, and two copies of each picture.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from fastfer.errors import CODES, InputError
from fastfer.io import decoder_process
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Frame = NDArray[np.uint8]

_Pipe: TypeAlias = IO[bytes]


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """The pixels of a picture."""

    frame: Frame
    """uint8 (H, W, 3), blue-green-red, upright."""
    reduced: Frame | None = None
    """The reduced copy of a large JPEG, for detection."""
    warning: str | None = None
    """What is wrong with the file, although it could be read."""


class IsolatedDecoder:
    """Decodes pictures in child processes, as many as threads call it at once.

    Processes stay alive from one picture to the next; after a crash or a timeout the next picture
    gets a new one. Threads may share a decoder. Close it after use, or use it as a context manager.
    """

    def __init__(self, limits: FileLimits = DEFAULT_LIMITS) -> None:
        """Start the first process, without waiting for it."""
        self.limits = limits
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._idle: list[_Process] = [_Process(limits)]
        self._closed = False

    def __enter__(self) -> IsolatedDecoder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def decode(self, image: EncodedImage, *, min_side: int = 0, gray: bool = False) -> DecodedImage:
        """Decode ``image`` as :meth:`EncodedImage.decode` does, by the limits of this decoder.

        Args:
            image: its bytes are sent to the process.
            min_side: smallest allowed long side of the reduced copy; 0 makes none.
            gray: whether the reduced copy is gray.

        Raises:
            InputError: as :meth:`EncodedImage.decode`, or with the code ``decoder_crashed``,
                ``too_slow`` or ``too_much_memory``.
        """
        process = self._take()
        try:
            decoded = process.decode(image, min_side, gray)
        except InputError:
            self._give_back(process)
            raise
        except BaseException:
            process.kill()
            raise
        self._give_back(process)
        return decoded

    def close(self) -> None:
        """End all processes; more than once is harmless."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.kill()

    def _take(self) -> _Process:
        with self._lock:
            if self._owner != os.getpid():  # After a fork: the processes serve the parent.
                self._owner = os.getpid()
                self._idle = []
            while self._idle:
                process = self._idle.pop()
                if process.alive():
                    return process
                process.kill()
        return _Process(self.limits)

    def _give_back(self, process: _Process) -> None:
        with self._lock:
            if process.alive() and not self._closed:
                self._idle.append(process)
                return
        process.kill()


class _Process:
    """One decoder process and its pipes."""

    def __init__(self, limits: FileLimits) -> None:
        self._limits = limits
        self._fresh = True
        self._process = decoder_process.start(
            __name__,
            [json.dumps(asdict(limits))],
            limits,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the process."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # What is still buffered goes nowhere.
                    pipe.close()
        self._process.wait()

    def decode(self, image: EncodedImage, min_side: int, gray: bool) -> DecodedImage:
        """See :meth:`IsolatedDecoder.decode`; after a crash or a timeout the process is dead."""
        seconds = self._limits.seconds
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        limit = seconds + (decoder_process.STARTING if self._fresh else 0)
        watchdog = threading.Timer(min(limit, decoder_process.LONGEST), stop)
        watchdog.daemon = True
        watchdog.start()
        self._fresh = False
        try:
            return self._exchange(image, min_side, gray)
        except (OSError, EOFError, ValueError, KeyError, TypeError):
            self.kill()
            if late.is_set():
                raise InputError(
                    f"{image.name}: decoding took more than {seconds:g} seconds; if you trust the "
                    "file, raise the limit with --max-seconds",
                    code="too_slow",
                ) from None
            ending = decoder_process.ending(self._process.returncode)
            raise InputError(
                f"{image.name}: {image.header.format} that ends its decoder ({ending}); the file "
                "is damaged or hostile",
                code="decoder_crashed",
            ) from None
        finally:
            watchdog.cancel()

    def _exchange(self, image: EncodedImage, min_side: int, gray: bool) -> DecodedImage:
        sink, source = self._process.stdin, self._process.stdout
        assert sink is not None
        assert source is not None
        request = {"name": image.name, "size": len(image.data), "min_side": min_side, "gray": gray}
        sink.write(json.dumps(request).encode() + b"\n")
        sink.write(image.data)
        sink.flush()
        answer = json.loads(_line(source))
        if "error" in answer:
            code = answer["code"]
            raise InputError(str(answer["error"]), code=code if code in CODES else None)
        warning = answer["warning"]
        return DecodedImage(
            self._pixels(source, answer["frame"], 3),
            None if answer["reduced"] is None else self._pixels(source, answer["reduced"], 2),
            None if warning is None else str(warning),
        )

    def _pixels(self, source: _Pipe, shape: list[int], dimensions: int) -> Frame:
        """An array from ``source``, after its shape was found plausible: the process may be under
        control of the picture."""
        import numpy as np

        height, width, *channels = shape
        pixels = height * width
        if channels not in ([], [3]) or len(shape) < dimensions:
            raise ValueError(shape)
        if not (height > 0 < width and pixels <= self._limits.pixels):
            raise ValueError(shape)
        frame = np.empty(shape, np.uint8)
        view = frame.data.cast("B")
        while view:
            count = source.readinto(view)  # type: ignore[attr-defined]
            if not count:
                raise EOFError
            view = view[count:]
        return frame


def _line(source: _Pipe) -> bytes:
    line = source.readline(1 << 16)
    if not line.endswith(b"\n"):
        raise EOFError
    return line


# --- The child process ---------------------------------------------------------------------------


def _serve(limits: FileLimits) -> None:
    """Decode pictures from standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, and its end this.
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What libraries print must not mix with the answers.
    import cv2

    cv2.setNumThreads(1)
    decoder_process.restrict(limits.memory)
    for line in source:
        request = json.loads(line)
        data = source.read(request["size"])
        decoder_process.set_alarm(limits.seconds + decoder_process.GRACE)
        answer, arrays = _answer(data, limits, request)
        sink.write(json.dumps(answer).encode() + b"\n")
        for array in arrays:
            sink.write(array.data.cast("B"))
        sink.flush()
        del data, arrays
        decoder_process.set_alarm(0)


def _answer(
    data: bytes, limits: FileLimits, request: dict[str, Any]
) -> tuple[dict[str, Any], list[Frame]]:
    name = request["name"]
    try:
        image = EncodedImage(data, name, limits)
        frame = image.decode()
        factor = image.reduction(request["min_side"])
        reduced = image.decode_reduced(factor, gray=request["gray"]) if factor > 1 else None
    except InputError as error:
        return {"error": str(error), "code": error.code}, []
    except MemoryError:
        return {"error": f"{name}: decoding takes too much memory", "code": "too_much_memory"}, []
    answer = {
        "frame": frame.shape,
        "reduced": None if reduced is None else reduced.shape,
        "warning": image.warning,
    }
    return answer, [frame] if reduced is None else [frame, reduced]


if __name__ == "__main__":
    _serve(FileLimits(**json.loads(sys.argv[1])))
