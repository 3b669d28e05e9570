"""Which files a path names, and reading them ahead of the caller."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastfer.errors import InputError
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.photos import Photo, find_photos, read_photos
from tests.helpers.errors import raises
from tests.helpers.pictures import encode, portrait


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "c.txt", ".hidden.jpg", "deep/d.tiff", "deep/.git/e.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(photos: list[Photo], root: Path) -> list[str]:
    return [Path(photo.name).relative_to(root).as_posix() for photo in photos]


def test_find_in_a_directory(archive: Path) -> None:
    assert names(find_photos([str(archive)]), archive) == ["a.PNG", "b.jpg"]
    found = find_photos([str(archive)], recursive=True)
    assert names(found, archive) == ["a.PNG", "b.jpg", "deep/d.tiff"]


def test_find_by_pattern(archive: Path) -> None:
    assert names(find_photos([str(archive / "*.jpg")]), archive) == ["b.jpg"]
    assert names(find_photos([str(archive / "**" / "*.tiff")]), archive) == ["deep/d.tiff"]
    (nothing,) = find_photos([str(archive / "*.webp")])
    assert nothing.error is not None
    assert nothing.error.code == "no_match"


def test_natural_order(tmp_path: Path) -> None:
    wanted = ["1.jpg", "2.jpg", "10.jpg", "a1/x.jpg", "a2/x.jpg", "a10/x.jpg", "a10/Y.jpg"]
    for name in reversed(wanted):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert names(find_photos([str(tmp_path)], recursive=True), tmp_path) == wanted
    assert names(find_photos([str(tmp_path / "**" / "*.jpg")]), tmp_path) == wanted


def test_a_name_that_looks_like_a_pattern_is_a_name_first(tmp_path: Path) -> None:
    (tmp_path / "me [1].jpg").touch()
    (tmp_path / "me 1.jpg").touch()
    assert names(find_photos([str(tmp_path / "me [1].jpg")]), tmp_path) == ["me [1].jpg"]


def test_a_directory_without_pictures(archive: Path, tmp_path: Path) -> None:
    (archive / "deep" / "d.tiff").rename(archive / "deep" / ".git" / "d.tiff")
    (photo,) = find_photos([str(archive / "deep")])
    assert photo.error is not None
    assert photo.error.code == "no_pictures"
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (photo,) = find_photos([str(tmp_path / "outer")])
    assert "--recursive" in str(photo.error)
    with raises(InputError, "no_pictures", str(tmp_path / "outer")):
        photo.read()


def test_pictures_of_other_formats_are_counted_and_named(archive: Path) -> None:
    for name in ("1.HEIC", "2.heic", "3.heic", "anim.gif", "deep/x.avif"):
        (archive / name).touch()
    notes: list[str] = []
    assert len(find_photos([str(archive)], notes=notes)) == 2
    assert len(notes) == 1
    assert "3 .heic, 1 .gif (1.HEIC, 2.heic, 3.heic, ...)" in notes[0]
    find_photos([str(archive)], recursive=True, notes=notes)
    assert "1 .avif" in notes[1]


@pytest.mark.parametrize("end", ["a.jpg", "a.jpg?size=2", "*.jpg"])
def test_an_address_is_no_missing_file_and_no_pattern(end: str) -> None:
    (photo,) = find_photos([f"https://example.org/{end}"])
    with raises(InputError, "not_found", end, "curl"):
        photo.read()


def test_an_absent_file_fails_when_it_is_read(tmp_path: Path) -> None:
    (photo,) = find_photos([str(tmp_path / "absent.jpg")])
    with raises(InputError, "not_found", "absent.jpg"):
        photo.read()


def test_read_ahead_keeps_the_order_and_goes_on_after_errors(tmp_path: Path) -> None:
    for i in range(7):
        data = encode(portrait((20 + i, 30)), "PNG")
        (tmp_path / f"{i}.png").write_bytes(data if i != 3 else data[:100])
    loads = list(read_photos(find_photos([str(tmp_path)])))
    widths = [None if load.frame is None else load.frame.shape[1] for load in loads]
    assert widths == [20, 21, 22, None, 24, 25, 26]
    assert loads[3].error is not None
    assert loads[3].error.code == "truncated"


def test_reading_may_stop_early(tmp_path: Path) -> None:
    for i in range(9):
        (tmp_path / f"{i}.png").write_bytes(encode(portrait(), "PNG"))
    loads = read_photos(find_photos([str(tmp_path)]))
    assert next(loads).frame is not None
    loads.close()  # type: ignore[attr-defined]


def test_large_photos_are_read_when_their_turn_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(5):
        (tmp_path / f"{i}.png").write_bytes(encode(portrait((20 + i, 30)), "PNG"))
    sizes = [EncodedImage.read(tmp_path / f"{i}.png").memory for i in range(5)]
    assert sizes == sorted(sizes)
    monkeypatch.setattr("fastfer.io.photos.LARGE", sizes[1])
    loads = list(read_photos(find_photos([str(tmp_path)])))
    assert [load.frame is None for load in loads] == [False, False, True, True, True]
    assert all(load.encoded is not None for load in loads[2:])
    assert [load.photo.name for load in loads] == [str(tmp_path / f"{i}.png") for i in range(5)]
