"""Endings of photos, videos and archives."""

from __future__ import annotations

import pytest

from fastfer.io.endings import is_archive, is_packed, is_zip, kind_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a/1.JPG", "photo"),
        ("1.tiff", "photo"),
        ("clip.Mp4", "video"),
        ("x.gif", "video"),
        ("x.heic", "nothing"),
        ("jpg", "nothing"),
        (".jpg", "nothing"),
        ("a.jpg/notes", "nothing"),
    ],
)
def test_photos_and_videos(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_archives() -> None:
    packed = ["a.tar.gz", "A.TGZ", "a.tar.bz2", "a.tbz2", "a.tar.xz", "a.txz"]
    plain = ["a.tar", "a.ZIP"]
    assert all(map(is_archive, packed + plain))
    assert [name for name in packed + plain if is_packed(name)] == packed
    assert [name for name in packed + plain if is_zip(name)] == ["a.ZIP"]
    assert not any(map(is_archive, ("a.gz", "a.tar.jpg", "zip", "a.7z")))
