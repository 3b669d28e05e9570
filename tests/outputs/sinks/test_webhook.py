"""Webhooks: what counts as delivered, and what is repeated."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from fastfer.errors import UsageError
from fastfer.outputs.sinks.webhook import WebhookOptions, WebhookSink
from fastfer.results import VideoFrameResult
from tests.helpers.errors import raises
from tests.helpers.waiting import wait_until


def frame(index: int) -> VideoFrameResult:
    return VideoFrameResult((), 64, 48, source="door", frame_index=index, pts=index / 10)


def sink_to(receiver: Any, said: list[str], user: str = "", **options: Any) -> WebhookSink:
    url = f"http://{user}127.0.0.1:{receiver.server_port}/faces"
    sink = WebhookSink(WebhookOptions(url, rows="all", every=0.01, **options), said.append)
    sink.start()
    return sink


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_is_no_delivery(receiver: Any, said: list[str], status: int) -> None:
    """Followed, it would become a GET without rows, whose answer says nothing about them."""
    receiver.statuses += [status] * 10
    sink = sink_to(receiver, said)
    sink.put(frame(0), 0.0)
    wait_until(lambda: sink.dropped == 1)
    sink.close()
    assert (sink.sent, sink.retries, len(receiver.received)) == (0, 0, 1)
    assert "/elsewhere" in said[0]


def test_an_answer_that_is_no_http_is_repeated(receiver: Any, said: list[str]) -> None:
    receiver.statuses += [0]
    sink = sink_to(receiver, said)
    sink.put(frame(0), 0.0)
    wait_until(lambda: sink.sent == 1)
    sink.close()
    assert (sink.retries, sink.dropped, said) == (1, 0, [])


def test_frames_of_a_request_under_way_wait(receiver: Any, said: list[str]) -> None:
    receiver.statuses += [503] * 100
    sink = sink_to(receiver, said)
    sink.put(frame(0), 0.0)
    wait_until(lambda: sink.retries == 1)
    assert (sink.waiting, sink.sent, sink.dropped) == (1, 0, 0)
    sink.close(0.01)
    assert (sink.waiting, sink.sent, sink.dropped) == (0, 0, 1)


def test_user_and_password_are_sent(receiver: Any, said: list[str]) -> None:
    sink = sink_to(receiver, said, user="door:p%40ss@")
    sink.put(frame(0), 0.0)
    wait_until(lambda: sink.sent == 1)
    sink.close()
    expected = base64.b64encode(b"door:p@ss").decode()
    ((headers, _),) = receiver.received
    assert headers["Authorization"] == f"Basic {expected}"


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org", "http://", "http://[", "http://a:99999/", "http://a:0/", "http://a/ b",
     "https://example..org/", f"https://{'a' * 64}.org/", "https://example.org/mặt"],
)  # fmt: skip
def test_addresses_that_are_refused(url: str) -> None:
    with raises(UsageError, "usage"):
        WebhookOptions(url)


def test_an_address_is_shown_without_its_password() -> None:
    with raises(UsageError, "usage") as caught:
        WebhookOptions("ftp://door:secret@example.org")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"url": 5}, {"rows": "some"}, {"every": 0}, {"retry_for": -1}, {"timeout": float("inf")},
     {"secret_env": 5}, {"queue": 0}],
)  # fmt: skip
def test_options_that_are_refused(wrong: dict[str, Any]) -> None:
    with raises(UsageError, "out_of_range"):
        WebhookOptions(**{"url": "https://example.org"} | wrong)


def test_the_key_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTFER_TEST_SECRET", "key")
    assert WebhookOptions("http://a", secret_env="FASTFER_TEST_SECRET").secret == "key"
    monkeypatch.delenv("FASTFER_TEST_SECRET")
    with raises(UsageError, "usage", "FASTFER_TEST_SECRET"):
        WebhookSink(WebhookOptions("http://a", secret_env="FASTFER_TEST_SECRET"), print)
