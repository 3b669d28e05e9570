"""Passwords are hidden; URLs and cameras are known by their names."""

from __future__ import annotations

import pytest

from fastfer.io.addresses import hide_passwords, is_camera, is_host, scheme


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://me:secret@host/x", "rtsp://me:***@host/x"),
        ("rtsp://me:se#c/r?e@t[@host:554/x", "rtsp://me:***@host:554/x"),
        ("rtsp://me@mail.example:secret@host/x", "rtsp://me@mail.example:***@host/x"),
        ("http://host/x?user=me&password=secret&n=1", "http://host/x?user=me&password=***&n=1"),
        ("http://host/x?n=1&access_token=se#c/r?et", "http://host/x?n=1&access_token=***"),
        ("http://host/x?X-Amz-Signature=secret", "http://host/x?X-Amz-Signature=***"),
        ("rtsp://host/user=me_password=secret&n=0.sdp", "rtsp://host/user=me_password=***&n=0.sdp"),
        ("http://host/x?p%61ssword=secret", "http://host/x?p%61ssword=***"),
        ("http://host/x?a=1&token=secret: no route", "http://host/x?a=1&token=***: no route"),
        ("RTMPS://me:secret@host", "RTMPS://me:***@host"),
        ("ftp://me:secret@host/clip.mp4", "ftp://me:***@host/clip.mp4"),
    ],
)
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert hide_passwords(url) == shown
    assert hide_passwords(shown) == shown
    assert hide_passwords(f"two sources: a.mp4 {url}") == f"two sources: a.mp4 {shown}"


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://host:554/x",
        "http://[fe80::1]:80/x?size=5",
        "C:\\me@home\\a.mp4",
        "key=value",
        "a:b@c",
    ],
)
def test_other_text_is_shown_as_it_is(text: str) -> None:
    assert hide_passwords(text) == text


@pytest.mark.parametrize("piece", ["a=", "a:=", "a=:", "%", "://", "token"])
def test_long_addresses_are_read_once(piece: str) -> None:
    """Quadratic time would be minutes, a call for each piece too deep."""
    url = f"http://host/?{piece * 100_000}"
    assert hide_passwords(f"{url}&key=secret") == f"{url}&key=***"


def test_scheme() -> None:
    assert scheme("RTSP://host[/x") == "rtsp"
    assert scheme("C:/a.mp4") == scheme("c://a.mp4") == scheme("a.mp4") == ""


def test_cameras_by_path() -> None:
    assert is_camera("/dev/video0")
    assert is_camera("/dev/v4l/by-id/usb-Logitech-video-index0")
    assert not is_camera("/dev/null")
    assert not is_camera("video0")


def test_hosts_that_can_be_looked_up() -> None:
    assert all(map(is_host, ("localhost", "192.168.0.9", "a-b.example.org", "bücher.example")))
    assert not any(map(is_host, (None, "", "a..b", f"{'a' * 64}.org", "a\n")))
