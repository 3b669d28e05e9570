"""Rows as MQTT messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fastfer.errors import UsageError
from fastfer.io.addresses import is_host
from fastfer.outputs.sinks.base import POLL, ROWS, Rows, Sink
from fastfer.outputs.sinks.environment import secret
from fastfer.outputs.sinks.json_row import encode
from fastfer.results import VideoFrameResult
from fastfer.validation import check_choice, check_flag, check_integer, check_text

# Results of the client's publish().
_NO_CONNECTION: Final = 4
_QUEUE_SIZE: Final = 15


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """``[mqtt]``: a message for each frame."""

    host: str = "localhost"
    port: int = 1883
    topic: str = "fastfer/{camera}"
    qos: int = 1
    username: str | None = None
    password_env: str | None = None
    """Environment variable with the password."""
    tls: bool = False
    rows: Rows = "faces"
    queue: int = 1000
    """Messages that wait for a broker that is away; more are dropped and counted."""

    def __post_init__(self) -> None:
        check_integer(port=(self.port, 1, 65535), qos=(self.qos, 0, 2), queue=(self.queue, 1))
        check_choice(rows=(self.rows, ROWS))
        check_text(host=self.host, topic=self.topic)
        if not is_host(self.host):
            raise UsageError(f"host {self.host!r} is not the name or address of a machine")
        if set(self.topic) & set("+#"):
            raise UsageError(
                f"topic {self.topic!r}: + and # stand for others, rows need one of their own",
                code="out_of_range",
            )
        for name in ("username", "password_env"):
            if getattr(self, name) is not None:
                check_text(**{name: getattr(self, name)})
        check_flag(tls=self.tls)

    @property
    def password(self) -> str | None:
        """The password."""
        return secret(self.password_env)


class MqttSink(Sink):
    """Publishes a JSON object for each frame; keeps some while the broker is away."""

    name = "mqtt"

    def __init__(self, options: MqttOptions, say: Callable[[str], None]) -> None:
        """Connect in the background.

        Raises:
            UsageError: paho-mqtt is not installed (``missing_package``), or the password is not
                set.
        """
        super().__init__(options.rows, options.queue, say)
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise UsageError(
                '[mqtt] needs paho-mqtt: pip install "fastfer[watch]"', code="missing_package"
            ) from None
        self._options = options
        self._published = 0
        """Messages that the client has taken; :attr:`sent` counts those that arrived."""
        self.connected = threading.Event()
        self._away = ""
        """What was reported of the connection that is missing."""
        self._client: Any = Client(CallbackAPIVersion.VERSION2)
        self._client.max_queued_messages_set(options.queue)
        if options.username is not None:
            self._client.username_pw_set(options.username, options.password)
        if options.tls:
            self._client.tls_set()
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect = self._connected
        self._client.on_connect_fail = self._not_reached
        self._client.on_disconnect = self._disconnected
        self._client.on_publish = self._arrived
        self._client.connect_async(options.host, options.port)
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
        topic = self._options.topic.replace("{camera}", result.source)
        message = self._client.publish(topic, encode(result, now), qos=self._options.qos)
        # Without a connection the client keeps a message, unless its quality is 0.
        if message.rc == _QUEUE_SIZE or (message.rc == _NO_CONNECTION and self._options.qos == 0):
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
        return f"{self._options.host}:{self._options.port}"

    def _give_up(self, problem: str) -> None:
        """Count messages that were published and will not arrive."""
        lost, self._published = self._published - self.sent, self.sent
        self._lose(lost, problem)

    def _disconnected(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if self.connected.is_set() and reason.is_failure:
            self._report(f"lost {self._broker}: {reason}")
        self.connected.clear()
        if self._options.qos == 0 and self.sent < self._published:
            self._give_up(f"lost {self._broker}")  # Quality 0 is not sent again.

    def _arrived(self, *_: Any) -> None:
        self.sent += 1
