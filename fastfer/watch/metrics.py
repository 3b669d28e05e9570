"""Numbers for Prometheus."""

from __future__ import annotations

from typing import Any, Protocol

from fastfer.errors import OutputError, UsageError
from fastfer.outputs.sinks.base import Sink
from fastfer.watch.config import Metrics
from fastfer.watch.feeds import Feed

_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Watched(Protocol):
    """What is measured."""

    feeds: dict[str, Feed]
    sinks: dict[str, Sink]


class MetricsServer:
    """Serves ``/metrics`` in a thread."""

    def __init__(self, config: Metrics, watched: Watched) -> None:
        """Listen.

        Raises:
            UsageError: prometheus-client is not installed (``missing_package``).
            OutputError: the port is taken (``address_in_use``).
        """
        try:
            from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
        except ImportError:
            raise UsageError(
                '[metrics] needs prometheus-client: pip install "fastfer[watch]"',
                code="missing_package",
            ) from None
        registry = CollectorRegistry()
        labels = ["camera"]
        self._frames = Counter("fastfer_watch_frames", "Frames analysed", labels, registry=registry)
        self._faces = Counter("fastfer_watch_faces", "Faces in them", labels, registry=registry)
        self._seconds = Histogram(
            "fastfer_watch_frame_seconds", "Seconds of analysis of a frame", labels,
            buckets=_BUCKETS, registry=registry,
        )  # fmt: skip
        registry.register(_State(watched))
        try:
            self._server, self._thread = start_http_server(
                config.port, config.host, registry=registry
            )
        except OSError as error:
            raise OutputError(
                f"[metrics]: cannot listen on {config.host}:{config.port}: {error.strerror}",
                code="address_in_use",
            ) from None
        self.port: int = self._server.server_port

    def frame(self, camera: str, faces: int, seconds: float) -> None:
        """Count an analysed frame."""
        self._frames.labels(camera).inc()
        self._faces.labels(camera).inc(faces)
        self._seconds.labels(camera).observe(seconds)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _State:
    """Numbers that the cameras and receivers count themselves."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def collect(self) -> Any:
        """Called by prometheus_client for each request."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        up = GaugeMetricFamily("fastfer_watch_up", "Whether a camera delivers", labels=["camera"])
        dropped = CounterMetricFamily(
            "fastfer_watch_dropped", "Frames of cameras that were not analysed", labels=["camera"]
        )
        for name, feed in list(self._watched.feeds.items()):
            up.add_metric([name], float(feed.connected))
            dropped.add_metric([name], feed.dropped)
        sent = CounterMetricFamily("fastfer_watch_sent", "Frames delivered", labels=["output"])
        lost = CounterMetricFamily("fastfer_watch_lost", "Frames given up", labels=["output"])
        waiting = GaugeMetricFamily("fastfer_watch_waiting", "Frames waiting", labels=["output"])
        for name, sink in list(self._watched.sinks.items()):
            sent.add_metric([name], sink.sent)
            lost.add_metric([name], sink.dropped)
            waiting.add_metric([name], sink.waiting)
        return [up, dropped, sent, lost, waiting]
