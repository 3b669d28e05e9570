"""Annotated copies of photos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fastfer.errors import OutputError
from fastfer.outputs.annotated_images import AnnotatedImageWriter
from tests.helpers.results import FAILED, photo, photo_face, write_all

FRAME = np.zeros((480, 640, 3), np.uint8)


def test_copies_have_unique_names_and_spare_the_originals(tmp_path: Path) -> None:
    original = tmp_path / "A.jpg"
    original.touch()
    sources = [str(original), "x/a.jpg", "y/a.png", "z/b.gif", "-"]
    writer = AnnotatedImageWriter(tmp_path, sources)
    write_all(writer, [photo(source, photo_face()) for source in sources], FRAME)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"A.jpg", "A-2.jpg", "a-3.jpg", "a.png", "b.png", "stdin.png"}
    assert original.stat().st_size == 0
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture is not None
    assert picture.any()


def test_failed_photos_are_skipped(tmp_path: Path) -> None:
    write_all(AnnotatedImageWriter(tmp_path / "out", ["b.jpg"]), [FAILED])
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file") as caught:
        AnnotatedImageWriter(tmp_path / "file" / "out", [])
    assert caught.value.code == "output_failed"
