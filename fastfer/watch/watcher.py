"""The loop of ``fastfer watch``.

Takes frames from the cameras in fair shares, analyses them with one engine, and hands the results
to the receivers.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from fastfer.errors import FastferError, FrameError
from fastfer.labels import CONTEMPT
from fastfer.outputs.sinks.base import Sink
from fastfer.outputs.sinks.files import FileSink
from fastfer.outputs.sinks.mqtt import MqttSink
from fastfer.outputs.sinks.webhook import WebhookSink
from fastfer.outputs.terminal_text import count_of
from fastfer.pipeline.push_tracker import Tracker
from fastfer.results import VideoFrameResult
from fastfer.watch.config import Config
from fastfer.watch.feeds import Feed, Shares
from fastfer.watch.metrics import MetricsServer

if TYPE_CHECKING:
    from fastfer.engine import Engine
    from fastfer.io.frame_source import VideoFrame


class Watcher:
    """Runs the cameras of a configuration."""

    def __init__(self, config: Config, say: Callable[[str], None]) -> None:
        """Load the engine and connect the receivers.

        Args:
            config: of :func:`fastfer.watch.config.read_config`.
            say: prints an event for the user; called in several threads.

        Raises:
            FastferError: the engine cannot be loaded, or a receiver cannot be made.
        """
        from fastfer.engine import Engine

        self.feeds: dict[str, Feed] = {}
        self.sinks: dict[str, Sink] = {}
        self.metrics: MetricsServer | None = None
        self.frames = 0
        """Frames analysed so far."""
        self._say = say
        self._config = config
        self._engine: Engine = Engine(**config.engine)
        self._trackers: dict[str, Tracker] = {}
        self._shares = Shares()
        self._ready = threading.Condition()
        self._stopping = False
        self._actions: deque[Callable[[], None]] = deque()
        try:
            for name in ("files", "mqtt", "webhook"):
                self._open_sink(name, config)
            if config.metrics is not None:
                self.metrics = MetricsServer(config.metrics, self)
        except BaseException:
            self._close_outputs()
            raise

    def run(self) -> None:
        """Analyse until :meth:`stop`, or until all recordings have ended."""
        try:
            for camera in self._config.cameras:
                self._start(camera.name)
            while self._step():
                pass
        finally:
            for feed in self.feeds.values():
                feed.close()
            self._close_outputs()

    def stop(self) -> None:
        """Let :meth:`run` end after the frame it works on; may be called in a signal handler's
        thread or another one."""
        self._stopping = True

    def reload(self, config: Config) -> None:
        """Continue with another configuration, before the next frame.

        Cameras and receivers that did not change are left alone. The engine and the options of
        videos need a restart.
        """
        self.call_soon(lambda: self._apply(config))

    def call_soon(self, action: Callable[[], None]) -> None:
        """Let :meth:`run` call ``action`` before the next frame, or within a quarter of a second;
        may be called in a signal handler, where ``action`` could not write a message."""
        self._actions.append(action)

    def _step(self) -> bool:
        """Analyse one frame, or wait a moment for one; False at the end."""
        while self._actions:
            self._actions.popleft()()
        for feed in self.feeds.values():
            feed.report()
        with self._ready:
            feeds = list(self.feeds.values())
            chosen = self._shares.next(feeds)
            if chosen is None:
                if self._stopping or all(f.ended for f in feeds):
                    return False
                self._ready.wait(0.25)
                return not self._stopping
            frame = chosen.take()
        if self._stopping:
            return False
        self._analyze(chosen, frame)
        return True

    def _analyze(self, feed: Feed, frame: VideoFrame) -> None:
        name = feed.camera.name
        now, begin = time.time(), time.perf_counter()
        try:
            result = self._track(name, frame)
        except FastferError as error:
            self._trackers.pop(name, None)
            self._say(f"{name}: {error}; tracking starts again")
            return
        seconds = time.perf_counter() - begin
        self._shares.spent(feed, seconds)
        self.frames += 1
        result = replace(result, source=name, frame_index=frame.index)
        for sink in self.sinks.values():
            sink.put(result, now)
        if self.metrics is not None:
            self.metrics.frame(name, len(result), seconds)

    def _track(self, name: str, frame: VideoFrame) -> VideoFrameResult:
        tracker = self._trackers.get(name)
        if tracker is not None:
            # After an outage the times of a camera start again: so does tracking.
            with suppress(FrameError):
                return tracker.update(frame.image, frame.pts)
        tracker = self._trackers[name] = Tracker(self._engine, options=self._config.video)
        return tracker.update(frame.image, frame.pts)

    # --- Configuration ---------------------------------------------------------------------------

    def _apply(self, config: Config) -> None:
        before, self._config = self._config, config
        if (config.engine, config.video) != (before.engine, before.video):
            self._say("[engine] and [video] changed: restart to use them")
            self._config = replace(config, engine=before.engine, video=before.video)
        if config.metrics != before.metrics:
            self._say("[metrics] changed: restart to use it")
        cameras = {camera.name: camera for camera in config.cameras}
        for name, feed in list(self.feeds.items()):
            if cameras.get(name) != feed.camera:
                feed.close()
                del self.feeds[name]
                self._trackers.pop(name, None)
        for name in cameras:
            if name not in self.feeds:
                self._start(name)
        for name in ("files", "mqtt", "webhook"):
            failed = getattr(config, name) is not None and name not in self.sinks
            if failed or getattr(config, name) != getattr(before, name):
                old = self.sinks.pop(name, None)
                if old is not None:
                    old.close()
                try:
                    self._open_sink(name, config)
                except FastferError as error:
                    self._say(f"[{name}]: {error}; there is none until the file is read again")
        self._say(f"read again: {count_of(len(cameras), 'camera')}")

    def _start(self, name: str) -> None:
        camera = next(camera for camera in self._config.cameras if camera.name == name)
        self.feeds[name] = Feed(camera, self._ready, self._say)

    def _open_sink(self, name: str, config: Config) -> None:
        sink: Sink | None = None
        if name == "files" and config.files is not None:
            contempt = (CONTEMPT,) if CONTEMPT in self._engine.emotions else ()
            sink = FileSink(config.files, self._say, (*self._config.attributes, *contempt))
        elif name == "mqtt" and config.mqtt is not None:
            sink = MqttSink(config.mqtt, self._say)
        elif name == "webhook" and config.webhook is not None:
            sink = WebhookSink(config.webhook, self._say)
        if sink is not None:
            sink.start()
            self.sinks[name] = sink

    def _close_outputs(self) -> None:
        for sink in self.sinks.values():
            sink.close()
        if self.metrics is not None:
            self.metrics.close()
