"""Messages to an MQTT broker that is away, or acknowledges late."""

from __future__ import annotations

from typing import Any

import pytest

from fastfer.errors import UsageError
from fastfer.outputs.sinks.mqtt import MqttOptions, MqttSink
from fastfer.results import VideoFrameResult
from tests.helpers.errors import raises
from tests.helpers.late_answers import late_answers
from tests.helpers.ports import free_port
from tests.helpers.waiting import wait_until

pytest.importorskip("paho.mqtt.client")


def frame(index: int) -> VideoFrameResult:
    return VideoFrameResult((), 64, 48, source="a", frame_index=index, pts=index / 10)


def start(port: int, said: list[str], **options: Any) -> MqttSink:
    sink = MqttSink(
        MqttOptions("127.0.0.1", port, "cameras/{camera}", rows="all", **options), said.append
    )
    sink.start()
    return sink


def test_a_broker_that_is_away_is_said(said: list[str]) -> None:
    port = free_port()
    sink = start(port, said)
    sink.put(frame(0), 0.0)
    wait_until(lambda: len(said) == 1)
    assert f"127.0.0.1:{port}" in said[0]
    sink.close(0.1)
    assert (sink.sent, sink.dropped, sink.waiting) == (0, 1, 0)


@pytest.mark.parametrize("qos", [0, 1])
def test_messages_that_are_not_acknowledged_wait(
    said: list[str], broker: int, received: list[Any], qos: int
) -> None:
    with late_answers(broker, 0.5) as port:
        sink = start(port, said, qos=qos)
        assert sink.connected.wait(10)
        for i in range(20):
            sink.put(frame(i), 0.0)
        wait_until(lambda: len(received) == 20)
        # Those of quality 1 have arrived, but their acknowledgements have not.
        wait_until(lambda: sink.sent + sink.waiting == 20)
        sink.close()
    assert (sink.sent, sink.waiting, sink.dropped) == (20, 0, 0)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"host": 5}, "out_of_range"),
        ({"host": "a..b"}, "usage"),
        ({"port": 0}, "out_of_range"),
        ({"topic": "faces/#"}, "out_of_range"),
        ({"topic": "faces/+/x"}, "out_of_range"),
        ({"qos": 3}, "out_of_range"),
        ({"tls": 1}, "out_of_range"),
        ({"username": 1}, "out_of_range"),
        ({"password_env": 5}, "out_of_range"),
        ({"rows": "some"}, "out_of_range"),
        ({"queue": 0}, "out_of_range"),
    ],
)
def test_options_that_are_refused(wrong: dict[str, Any], code: str) -> None:
    with raises(UsageError, code):
        MqttOptions(**wrong)
