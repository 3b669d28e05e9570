"""Annotated copies of photos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fastfer.errors import OutputError
from fastfer.io.encoded_image import EncodedImage
from fastfer.outputs.annotated_images import AnnotatedImageWriter
from tests.helpers.errors import raises
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
    with raises(OutputError, "output_failed", "file"):
        AnnotatedImageWriter(tmp_path / "file" / "out", [])


def save(folder: Path, sources: list[Path]) -> list[str | None]:
    """Names of the copies of all ``sources`` in ``folder``."""
    writer = AnnotatedImageWriter(folder, list(map(str, sources)))
    results = [writer.save(photo(str(source), photo_face()), FRAME) for source in sources]
    return [result.saved_as and Path(result.saved_as).name for result in results]


def test_originals_are_spared_behind_links(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    out.mkdir()
    for name in ("plain.jpg", "symbolic.jpg", "hard.jpg", "entry.jpg"):
        (photos / name).write_bytes(b"original")
    (out / "symbolic.jpg").symlink_to(photos / "symbolic.jpg")
    (out / "hard.jpg").hardlink_to(photos / "hard.jpg")
    (out / "other.jpg").write_bytes(b"another photo")
    # A source that is a link in the folder itself.
    (out / "entry.jpg").symlink_to(photos / "entry.jpg")
    sources = [*sorted(photos.iterdir()), out / "entry.jpg", tmp_path / "elsewhere" / "other.jpg"]
    names = save(out, sources)
    assert names == [
        *("entry-2.jpg", "hard-2.jpg", "plain.jpg", "symbolic-2.jpg"),
        *("entry-3.jpg", "other-2.jpg"),
    ]
    assert all(path.read_bytes() == b"original" for path in photos.iterdir())
    assert (out / "other.jpg").read_bytes() == b"another photo"
    assert (out / "entry.jpg").is_symlink()


def test_copies_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    original = tmp_path / "a.jpg"
    original.write_bytes(b"original")
    for _ in range(2):
        assert save(tmp_path, [original]) == ["a-2.jpg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-2.jpg", "a.jpg"]
    assert EncodedImage.read(tmp_path / "a-2.jpg").is_annotated


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
def test_the_mark_of_a_copy_disturbs_no_decoder(tmp_path: Path, suffix: str) -> None:
    (name,) = save(tmp_path / "out", [tmp_path / f"a{suffix}"])
    assert name is not None
    image = Image.open(tmp_path / "out" / name)
    image.load()
    assert EncodedImage.read(tmp_path / "out" / name).decode().shape[1::-1] == image.size


def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    out.mkdir()
    (tmp_path / "private").mkdir()
    (out / "sub").symlink_to(tmp_path / "private")
    source = str(photos / "sub" / "a.jpg")
    (photos / "sub").mkdir(parents=True)
    writer = AnnotatedImageWriter(out, [source], paths=[str(photos)])
    with raises(OutputError, "output_failed", "sub"):
        writer.save(photo(source, photo_face()), FRAME)
    assert list((tmp_path / "private").iterdir()) == []


def test_a_picture_too_large_for_its_format_is_a_warning(tmp_path: Path) -> None:
    wide = np.zeros((4, 17_000, 3), np.uint8)
    writer = AnnotatedImageWriter(tmp_path, ["a.webp"])
    result = writer.save(photo("a.webp"), wide)
    assert result.warning is not None
    assert result.saved_as is None
    assert list(tmp_path.iterdir()) == []
