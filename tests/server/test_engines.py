"""The engines of a server: what requests select keeps the options of the server."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fastfer.engine import Engine
from fastfer.server.engines import EnginePool
from tests.helpers.clips import portrait
from tests.helpers.servers import JPEG

httpx = pytest.importorskip("httpx", reason="needs the extra test-studio")


@pytest.fixture(scope="module")
def pool() -> EnginePool:
    return EnginePool(Engine(prior="photos", min_face=60, threads=1, min_quality=0.2))


def test_the_default_is_the_engine_of_the_server(pool: EnginePool) -> None:
    assert pool.select() is pool.main
    assert pool.is_frequent(pool.main)


def test_a_head_keeps_the_prior(pool: EnginePool) -> None:
    expected = pool.main.analyze(portrait())
    found = pool.select(head="ferplus").analyze(portrait())
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    other = pool.select(head="fer2013").analyze(portrait())
    direct = Engine(prior="photos", min_face=60, head="fer2013", threads=1).analyze(portrait())
    np.testing.assert_array_equal(other.probabilities, direct.probabilities)


def test_a_detector_keeps_the_smallest_face(pool: EnginePool) -> None:
    small = cv2.resize(portrait(), None, fx=0.4, fy=0.4)
    assert len(Engine().analyze(small)) == 1
    assert len(pool.main.analyze(small)) == 0
    assert len(pool.select("nano").analyze(small)) == 0


def test_only_detectors_that_are_there_are_offered(client: httpx.Client, photo: bytes) -> None:
    offered = client.get("/v1/info").json()["detectors"]
    assert offered[:2] == ["default", "nano"]
    for name in ("default", "nano", "yunet", "haar"):
        answer = client.post("/v1/analyze", content=photo, headers=JPEG, params={"detector": name})
        assert (answer.status_code == 200) == (name in offered)
        if name not in offered:
            assert answer.status_code == 503
            assert "/" not in answer.json()["error"]  # No path of the server.
