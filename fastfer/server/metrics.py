"""What ``/metrics`` reports, in the text format of Prometheus."""

from __future__ import annotations

import os
import time
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MULTIPROCESS: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus_client: the folder by which workers share their numbers."""

REQUESTS = Counter("fastfer_requests", "Requests answered", ["route", "status"])
SECONDS = Histogram(
    "fastfer_request_seconds",
    "Seconds from the head of a request to its answer",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
PICTURES = Counter("fastfer_pictures", "Pictures analysed")
FACES = Counter("fastfer_faces", "Faces in the results of pictures")
BATCH = Histogram(
    "fastfer_batch_size", "Pictures analysed together", buckets=(1, 2, 4, 8, 16, 32, 64)
)
IN_PROGRESS = Gauge(
    "fastfer_requests_in_progress",
    "Requests with pictures in progress",
    multiprocess_mode="livesum",
)
STREAMS = Gauge("fastfer_streams", "Open WebSocket streams", multiprocess_mode="livesum")
STREAM_FRAMES = Counter("fastfer_stream_frames", "Frames of streams", ["outcome"])
JOBS = Counter("fastfer_jobs", "Video jobs", ["outcome"])
REFUSED = Counter("fastfer_refused", "Requests refused before they were read", ["reason"])


def render() -> Response:
    """The current values, of all workers together."""
    registry = REGISTRY
    if os.environ.get(MULTIPROCESS):
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})


class Measure:
    """ASGI middleware that counts and times requests by route and status."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            REQUESTS.labels(route, str(status)).inc()
            SECONDS.labels(route).observe(time.perf_counter() - start)
