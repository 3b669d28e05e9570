"""Pictures to results: bounded decoding in threads, then the batcher."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import FastferError
from fastfer.inference import cpus
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.isolated_decoder import IsolatedDecoder
from fastfer.results import FrameResult, PhotoResult
from fastfer.server import metrics
from fastfer.server.batching import MicroBatcher
from fastfer.server.engines import EnginePool
from fastfer.server.pictures import NamedPicture
from fastfer.server.problems import RequestError
from fastfer.server.settings import ServerSettings

if TYPE_CHECKING:
    from fastfer.engine import Engine

Frame = NDArray[np.uint8]
T = TypeVar("T")
SMALL: Final = 16_000_000
"""Pixels in flight that are always allowed, whatever the limit of one picture."""


class Analyzer:
    """Analyses the pictures of all requests of a process within a bounded memory."""

    def __init__(self, engine: Engine, settings: ServerSettings) -> None:
        """Start the threads."""
        self.engines = EnginePool(engine)
        self._settings = settings
        self._limits = settings.limits
        self._decoder = IsolatedDecoder(self._limits) if settings.isolate else None
        self._batchers: dict[Engine, MicroBatcher] = {}
        self._batcher(engine)
        self._pool = ThreadPoolExecutor(cpus.available() + 1, "fastfer-decode")
        self._pixels = 0
        self._room = asyncio.Condition()
        self._requests = 0

    def close(self) -> None:
        """Finish what has begun, and end the threads."""
        self._pool.shutdown()
        for batcher in self._batchers.values():
            batcher.close()
        if self._decoder is not None:
            self._decoder.close()

    def _batcher(self, engine: Engine) -> MicroBatcher:
        if engine not in self._batchers:
            settings = self._settings
            self._batchers[engine] = MicroBatcher(
                engine, settings.batch, settings.batch_wait_ms, metrics.BATCH.observe
            )
        return self._batchers[engine]

    def admit(self) -> _Admission:
        """A context of one request with pictures.

        Raises:
            RequestError: code ``busy``, too many are in progress.
        """
        if self._requests >= self._settings.max_requests:
            raise RequestError("too many requests are in progress; try again", code="busy")
        return _Admission(self)

    async def analyze(self, picture: NamedPicture, engine: Engine) -> tuple[FrameResult, Frame]:
        """The result of one picture and its pixels.

        Raises:
            InputError: it cannot be decoded, or is too large.
        """
        image = EncodedImage(picture.data, picture.name, self._limits)
        pixels = image.header.width * image.header.height
        self._limits.check_picture(picture.name, image.header.width, image.header.height)
        await self._take(pixels)
        try:
            return await self._analyze(image, engine)
        finally:
            async with self._room:
                self._pixels -= pixels
                self._room.notify_all()

    async def _analyze(self, image: EncodedImage, engine: Engine) -> tuple[FrameResult, Frame]:
        # The batch waits for small pictures; a large JPEG is decoded and searched at once.
        batched = self.engines.is_frequent(engine) and image.reduction(engine.detection_size) == 1
        if not batched:
            return await self.run(self._analyze_one, image, engine)
        batcher = self._batcher(engine)
        batcher.announce(1)
        try:
            frame = await self.run(self._decode, image)
            future = batcher.submit(frame)
        finally:
            batcher.announce(-1)
        return await future, frame

    def _decode(self, image: EncodedImage) -> Frame:
        return image.decode() if self._decoder is None else self._decoder.decode(image).frame

    def _analyze_one(self, image: EncodedImage, engine: Engine) -> tuple[FrameResult, Frame]:
        if self._decoder is None:
            return engine.analyze_encoded(image)
        decoded = self._decoder.decode(
            image, min_side=engine.detection_size, gray=engine.detects_in_gray
        )
        return engine.analyze(decoded.frame, reduced=decoded.reduced), decoded.frame

    async def photo(
        self, picture: NamedPicture, engine: Engine
    ) -> tuple[PhotoResult, Frame | None, FastferError | None]:
        """The result of one picture, or the error in its place."""
        try:
            result, frame = await self.analyze(picture, engine)
        except FastferError as error:
            return PhotoResult(picture.name, None, str(error), error.code), None, error
        metrics.PICTURES.inc()
        metrics.FACES.inc(len(result))
        return PhotoResult(picture.name, result), frame, None

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call ``function`` in a thread of the pool."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def _take(self, pixels: int) -> None:
        """Wait until ``pixels`` more fit into memory."""
        most = max(SMALL, 2 * self._settings.max_pixels)
        if self._pixels and self._pixels + pixels > most:
            async with self._room:
                await self._room.wait_for(lambda: not self._pixels or self._pixels + pixels <= most)
        self._pixels += pixels


class _Admission:
    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer

    def __enter__(self) -> None:
        self._analyzer._requests += 1
        metrics.IN_PROGRESS.inc()

    def __exit__(self, *_: object) -> None:
        self._analyzer._requests -= 1
        metrics.IN_PROGRESS.dec()
