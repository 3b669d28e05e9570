"""``/v1/stream``: frames in, results out, over a WebSocket."""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import numpy as np
from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect
from numpy.typing import NDArray

from fastfer.errors import FastferError, InputError
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.limits import FileLimits
from fastfer.server import metrics
from fastfer.server.analysis import Analyzer
from fastfer.server.face_options import with_options
from fastfer.server.options import AttributesQuery, asked_attributes, check_query
from fastfer.server.settings import ServerSettings

if TYPE_CHECKING:
    from fastfer.pipeline.push_tracker import Tracker
    from fastfer.results import VideoFrameResult

router = APIRouter()

MAX_FRAME_PIXELS: Final = 3840 * 2160
MAX_FRAME_BYTES: Final = 8 << 20
IDLE: Final = 60.0
"""Seconds without a frame after which a stream is closed."""
SEND: Final = 10.0
"""Seconds that a client may take to receive a result."""
MAX_REASON: Final = 123
"""Bytes of the reason with which a WebSocket is closed (RFC 6455)."""
MAX_ERRORS: Final = 20
"""Bad frames in a row after which a stream is closed."""
GOING_AWAY, UNSUPPORTED, POLICY, TOO_BIG, TRY_LATER = 1001, 1003, 1008, 1009, 1013
"""Codes with which a WebSocket is closed (RFC 6455)."""


@dataclass(slots=True)
class _Slot:
    """The newest frame that has not been analysed."""

    frame: tuple[int, bytes] | None = None
    dropped: int = 0
    closed: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, number: int, data: bytes) -> None:
        self.dropped += self.frame is not None
        self.frame = number, data
        self.changed.set()

    def close(self) -> None:
        self.closed = True
        self.changed.set()

    async def take(self) -> tuple[int, bytes] | None:
        """The newest frame; ``None`` once the client has left."""
        while self.frame is None and not self.closed:
            self.changed.clear()
            await self.changed.wait()
        frame, self.frame = self.frame, None
        return frame


@router.websocket("/v1/stream")
async def stream(
    socket: WebSocket,
    kind: Annotated[Literal["jpeg", "luma"], Query(alias="format")] = "jpeg",
    width: Annotated[int, Query(ge=1, le=3840)] = 640,
    height: Annotated[int, Query(ge=1, le=3840)] = 480,
    min_quality: Annotated[float, Query(ge=0, le=1)] = 0.0,
    landmarks: bool = True,
    smooth: Annotated[float, Query(ge=0, le=60)] = 0.5,
    attributes: AttributesQuery = None,
) -> None:
    """Each binary message is one frame: its id, 4 bytes little-endian, then a JPEG picture, or for
    ``format=luma`` ``width`` x ``height`` bytes. Each answer is JSON with this ``id``, the number
    of ``dropped`` frames so far, and a result as in videos, or ``error`` and ``error_code``. While
    a frame is analysed, only the newest of those that arrive is kept."""
    analyzer: Analyzer = socket.app.state.analyzer
    settings: ServerSettings = socket.app.state.settings
    await socket.accept()
    try:
        check_query(socket)
        asked = asked_attributes(attributes, analyzer.engines.main.attributes)
    except FastferError as error:
        await socket.close(UNSUPPORTED, _reason(f"{error.code}: {error}"))
        return
    try:
        engine = await analyzer.run(analyzer.engines.select, "default", "default", asked)
    except FastferError as error:
        await socket.close(UNSUPPORTED, error.code)
        return
    if socket.app.state.streams >= settings.max_streams:
        await socket.close(TRY_LATER, "busy")
        return
    from fastfer.pipeline.push_tracker import Tracker

    socket.app.state.streams += 1
    metrics.STREAMS.inc()
    shape = (height, width) if kind == "luma" else None
    tracker = Tracker(engine, smooth=smooth)
    slot = _Slot()
    reader = asyncio.create_task(_read(socket, slot))
    errors = 0
    try:
        while (taken := await slot.take()) is not None:
            number, data = taken
            answer: dict[str, Any] = {"id": number, "dropped": slot.dropped}
            try:
                result = await analyzer.run(_track, tracker, data, shape, settings.limits)
                answer |= with_options(
                    result, min_quality=min_quality, landmarks=landmarks, attributes=asked
                ).to_dict()
                errors = 0
                metrics.STREAM_FRAMES.labels("analysed").inc()
            except FastferError as error:
                answer |= {"error": str(error), "error_code": error.code}
                errors += 1
                metrics.STREAM_FRAMES.labels("failed").inc()
            async with asyncio.timeout(SEND):
                await socket.send_text(json.dumps(answer, separators=(",", ":")))
            if errors >= MAX_ERRORS:
                await socket.close(UNSUPPORTED, "too many bad frames")
                break
    except (WebSocketDisconnect, TimeoutError, RuntimeError):  # The client has left, or stopped.
        pass
    finally:
        metrics.STREAM_FRAMES.labels("dropped").inc(slot.dropped)
        reader.cancel()
        socket.app.state.streams -= 1
        metrics.STREAMS.dec()


async def _read(socket: WebSocket, slot: _Slot) -> None:
    """Put each frame that arrives into ``slot``."""
    try:
        while True:
            async with asyncio.timeout(IDLE):
                message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is None or len(data) < 4:
                await socket.close(UNSUPPORTED, "a frame is binary: id and picture")
                return
            if len(data) > MAX_FRAME_BYTES:
                await socket.close(TOO_BIG, "too_large")
                return
            slot.put(struct.unpack_from("<I", data)[0], data[4:])
    except TimeoutError:
        await socket.close(GOING_AWAY, "no frame for a minute")
    except (WebSocketDisconnect, RuntimeError):
        return
    finally:
        slot.close()


def _reason(text: str) -> str:
    return text.encode()[:MAX_REASON].decode(errors="ignore")


def _track(
    tracker: Tracker, data: bytes, shape: tuple[int, int] | None, limits: FileLimits
) -> VideoFrameResult:
    return tracker.update(_decoded(data, limits) if shape is None else _luma(data, shape))


def _luma(data: bytes, shape: tuple[int, int]) -> NDArray[np.uint8]:
    if len(data) != shape[0] * shape[1]:
        raise InputError(
            f"{len(data)} bytes; {shape[1]} x {shape[0]} need {shape[0] * shape[1]}",
            code="truncated",
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def _decoded(data: bytes, limits: FileLimits) -> NDArray[np.uint8]:
    image = EncodedImage(data, "frame", limits)
    pixels = image.header.width * image.header.height
    if pixels > MAX_FRAME_PIXELS:
        raise InputError(
            f"{pixels:,} pixels; frames have {MAX_FRAME_PIXELS:,} at the most",
            code="too_many_pixels",
        )
    return image.decode()
