"""Rows as MQTT messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from fastfer.errors import UsageError
from fastfer.results import VideoFrameResult
from fastfer.watch.config import Mqtt
from fastfer.watch.files import encode
from fastfer.watch.sinks import POLL, Sink


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
        self._client: Any = Client(CallbackAPIVersion.VERSION2)
        self._client.max_queued_messages_set(config.queue)
        if config.username is not None:
            self._client.username_pw_set(config.username, config.password)
        if config.tls:
            self._client.tls_set()
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_publish = self._arrived
        self._client.connect_async(config.host, config.port)
        self._client.loop_start()

    def _take(self, result: VideoFrameResult, now: float) -> None:
        # What is published while the client connects may go out before its greeting.
        while not self.connected.is_set():
            if time.monotonic() >= self._deadline:
                self.dropped += 1
                return
            self.connected.wait(POLL)
        topic = self._config.topic.replace("{camera}", result.source)
        message = self._client.publish(topic, encode(result, now), qos=self._config.qos)
        if message.rc == 15:  # MQTT_ERR_QUEUE_SIZE
            self.dropped += 1
        else:
            self._published += 1

    def _finish(self) -> None:
        # The client forgets at once what it has not sent when it disconnects.
        while self.sent < self._published and time.monotonic() < self._deadline:
            time.sleep(0.01)
        self.dropped += self._published - self.sent
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self._say(f"mqtt: {self._config.host} refuses the connection: {reason}")
        else:
            self.connected.set()

    def _disconnected(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if self.connected.is_set() and reason.is_failure:
            self._say(f"mqtt: lost {self._config.host}: {reason}; connecting again")
        self.connected.clear()

    def _arrived(self, *_: Any) -> None:
        self.sent += 1
