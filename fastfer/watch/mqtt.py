"""Rows as MQTT messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from fastfer.errors import UsageError
from fastfer.results import VideoFrameResult
from fastfer.watch.config import Mqtt
from fastfer.watch.files import encode
from fastfer.watch.sinks import POLL, Sink

# Results of the client's publish().
_NO_CONNECTION: Final = 4
_QUEUE_SIZE: Final = 15


class MqttSink(Sink):
    """Publishes a JSON object for each frame; keeps some while the broker is away."""

    name = "mqtt"

    def __init__(self, config: Mqtt, say: Callable[[str], None]) -> None:
        """Connect in the background.

        Raises:
            UsageError: paho-mqtt is not installed (``missing_package``), or the password is not
                set.
        """
        super().__init__(config.rows, config.queue, say)
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise UsageError(
                '[mqtt] needs paho-mqtt: pip install "fastfer[watch]"', code="missing_package"
            ) from None
        self._config = config
        self._published = 0
        """Messages that the client has taken; :attr:`sent` counts those that arrived."""
        self.connected = threading.Event()
        self._away = ""
        """What was reported of the connection that is missing."""
        self._client: Any = Client(CallbackAPIVersion.VERSION2)
        self._client.max_queued_messages_set(config.queue)
        if config.username is not None:
            self._client.username_pw_set(config.username, config.password)
        if config.tls:
            self._client.tls_set()
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect = self._connected
        self._client.on_connect_fail = self._not_reached
        self._client.on_disconnect = self._disconnected
        self._client.on_publish = self._arrived
        self._client.connect_async(config.host, config.port)
        self._client.loop_start()

    @property
    def waiting(self) -> int:
        """Frames in the queue, and messages that the broker has not acknowledged."""
        return super().waiting + max(self._published - self.sent, 0)

    def _take(self, result: VideoFrameResult, now: float) -> None:
        # What is published while the client connects may go out before its greeting.
        while not self.connected.is_set():
            if time.monotonic() >= self._deadline:
                self._lose(1, f"no connection to {self._broker}")
                return
            self.connected.wait(POLL)
        topic = self._config.topic.replace("{camera}", result.source)
        message = self._client.publish(topic, encode(result, now), qos=self._config.qos)
        # Without a connection the client keeps a message, unless its quality is 0.
        if message.rc == _QUEUE_SIZE or (message.rc == _NO_CONNECTION and self._config.qos == 0):
            self.dropped += 1
        else:
            self._published += 1

    def _finish(self) -> None:
        # The client forgets at once what it has not sent when it disconnects.
        while self.sent < self._published and time.monotonic() < self._deadline:
            time.sleep(0.01)
        if self.sent < self._published:
            self._give_up(f"messages that {self._broker} did not acknowledge")
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self._report(f"{self._broker} refuses the connection: {reason}")
            return
        if self._away:
            self._away = ""
            self._say(f"mqtt: connected to {self._broker}")
        self.connected.set()

    def _not_reached(self, client: Any, data: Any) -> None:
        self._report(f"cannot reach {self._broker}")

    def _report(self, problem: str) -> None:
        """Report a missing connection once, until there is one."""
        if self._away != problem:
            self._away = problem
            self._say(f"mqtt: {problem}; trying again")

    @property
    def _broker(self) -> str:
        return f"{self._config.host}:{self._config.port}"

    def _give_up(self, problem: str) -> None:
        """Count messages that were published and will not arrive."""
        lost, self._published = self._published - self.sent, self.sent
        self._lose(lost, problem)

    def _disconnected(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if self.connected.is_set() and reason.is_failure:
            self._report(f"lost {self._broker}: {reason}")
        self.connected.clear()
        if self._config.qos == 0 and self.sent < self._published:
            self._give_up(f"lost {self._broker}")  # Quality 0 is not sent again.

    def _arrived(self, *_: Any) -> None:
        self.sent += 1
