"""Pictures of several clients are analysed together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from fastfer.engine import Engine
from fastfer.errors import FrameError
from fastfer.results import FrameResult
from fastfer.server.batching import MicroBatcher
from tests.helpers.clips import portrait
from tests.helpers.servers import RunningServer, faces_of

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")


def test_clients_share_batches(server: RunningServer, photo: bytes) -> None:
    def ask(_: int) -> object:
        with httpx.Client(base_url=server.url, timeout=60) as own:
            return faces_of(
                own.post("/v1/analyze", content=photo, headers={"content-type": "image/jpeg"})
            )

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(40)))
    assert all(answer == answers[0] for answer in answers)
    text = httpx.get(f"{server.url}/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values["fastfer_batch_size_sum"]) > float(values["fastfer_batch_size_count"])


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(threads=1)


@contextmanager
def batcher(
    engine: Engine, most: int = 4, wait_ms: float = 60_000
) -> Iterator[tuple[MicroBatcher, list[int]]]:
    """One that waits long for announced frames, and the sizes of its batches."""
    sizes: list[int] = []
    made = MicroBatcher(engine, most, wait_ms, sizes.append)
    try:
        yield made, sizes
    finally:
        made.close()


def test_announced_frames_are_waited_for(engine: Engine) -> None:
    frames = [portrait(), portrait()[:, ::-1].copy(), np.zeros((60, 80, 3), np.uint8)]

    async def ask(batches: MicroBatcher) -> list[FrameResult]:
        batches.announce(len(frames))
        futures = [batches.submit(frame) for frame in frames]
        batches.announce(-len(frames))
        return await asyncio.gather(*futures)

    with batcher(engine) as (batches, sizes):
        found = asyncio.run(ask(batches))
    assert sizes == [3]
    assert [result.faces for result in found] == [engine.analyze(frame).faces for frame in frames]


def test_a_frame_alone_waits_for_nobody(engine: Engine) -> None:
    async def ask(batches: MicroBatcher) -> FrameResult:
        return await batches.submit(portrait())

    with batcher(engine) as (batches, sizes):
        assert len(asyncio.run(ask(batches))) == 1
    assert sizes == [1]


def test_a_batch_has_a_largest_size(engine: Engine) -> None:
    async def ask(batches: MicroBatcher) -> None:
        batches.announce(5)
        futures = [batches.submit(np.zeros((60, 80, 3), np.uint8)) for _ in range(5)]
        batches.announce(-5)
        await asyncio.gather(*futures)

    with batcher(engine, most=4) as (batches, sizes):
        asyncio.run(ask(batches))
    assert max(sizes) <= 4
    assert sum(sizes) == 5


def test_a_bad_frame_is_an_error_of_its_own(engine: Engine) -> None:
    async def ask(batches: MicroBatcher) -> list[Any]:
        batches.announce(2)
        futures = [batches.submit(frame) for frame in (np.zeros((4, 4, 5), np.uint8), portrait())]
        batches.announce(-2)
        return await asyncio.gather(*futures, return_exceptions=True)

    with batcher(engine) as (batches, sizes):
        bad, good = asyncio.run(ask(batches))
    assert sizes == [2]
    assert isinstance(bad, FrameError)
    assert len(good) == 1
