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


def test_copies_of_subdirectories_keep_them(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "a" / "b").mkdir(parents=True)
    (photos / "c").mkdir()
    paths = [str(photos), str(tmp_path / "x" / "*" / "*.jpg"), str(tmp_path / "one.jpg")]
    sources = [
        *(str(photos / name) for name in ("1.jpg", "a/1.jpg", "a/b/1.jpg", "c/1.gif")),
        *(str(tmp_path / name) for name in ("x/y/1.jpg", "one.jpg")),
    ]
    out = tmp_path / "out"
    writer = AnnotatedImageWriter(out, sources, paths=paths)
    write_all(writer, [photo(source, photo_face()) for source in sources], FRAME)
    copies = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert copies == {"1.jpg", "a/1.jpg", "a/b/1.jpg", "c/1.png", "y/1.jpg", "one.jpg"}


def test_copies_into_the_directory_itself_spare_the_originals(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    original = tmp_path / "a" / "1.jpg"
    original.touch()
    writer = AnnotatedImageWriter(tmp_path, [str(original)], paths=[str(tmp_path)])
    write_all(writer, [photo(str(original), photo_face())], FRAME)
    assert original.stat().st_size == 0
    assert (tmp_path / "a" / "1-2.jpg").is_file()


def test_failed_photos_are_skipped(tmp_path: Path) -> None:
    write_all(AnnotatedImageWriter(tmp_path / "out", ["b.jpg"]), [FAILED])
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file") as caught:
        AnnotatedImageWriter(tmp_path / "file" / "out", [])
    assert caught.value.code == "output_failed"
