"""Capture devices and streams that drop out as instructed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from tests.helpers.clips import moving_face


class FakeCamera:
    """A camera at ``fps`` that disappears after ``frames`` frames, or hangs there."""

    def __init__(self, frames: int = 10**9, fps: float = 100, *, hangs: bool = False) -> None:
        self.grabbed = self.retrieved = 0
        self.released = False
        self._frames = frames
        self._fps = fps
        self._hangs = hangs
        self._free = threading.Event()

    def isOpened(self) -> bool:
        return self._frames > 0

    def get(self, prop: int) -> float:
        return self._fps

    def grab(self) -> bool:
        self._free.wait(1 / self._fps)
        if self.grabbed >= self._frames:
            if self._hangs:
                self._free.wait(20)
            return False
        self.grabbed += 1
        return True

    def retrieve(self) -> tuple[bool, Any]:
        self.retrieved += 1
        return True, np.full((8, 8, 3), self.grabbed % 256, np.uint8)

    def release(self) -> None:
        self.released = True


def opener(*cameras: FakeCamera) -> Callable[[], FakeCamera]:
    """Returns the cameras one after the other, then absent ones."""
    waiting = list(cameras)
    return lambda: waiting.pop(0) if waiting else FakeCamera(frames=0)


class StallingServer:
    """An MJPEG stream on 127.0.0.1 that sends ``frames`` pictures to each client, ``repeat`` times,
    then nothing."""

    def __init__(self, frames: int, repeat: int = 1) -> None:
        pictures = [cv2.imencode(".jpg", f)[1].tobytes() for f in moving_face(frames)]
        self._pictures = pictures * repeat
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.visits = 0
        self.sent = threading.Event()
        """Set once a client was sent all pictures."""
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/live"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            self.visits += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        pause = threading.Event()
        try:
            client.recv(4096)
            client.sendall(
                b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n"
            )
            for data in self._pictures:
                head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                client.sendall(head.encode() + data + b"\r\n")
                pause.wait(0.01)
        except OSError:
            pass  # The client is gone.
        self.sent.set()

    def close(self) -> None:
        self._listener.close()
        for client in self._open:
            client.close()
