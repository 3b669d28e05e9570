"""Reading pictures: every format and kind that must work, every bad one that must not."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fastfer.errors import InputError
from fastfer.io import image_headers
from fastfer.io.photos import (
    MAX_PIXELS,
    Photo,
    decode,
    decode_reduced,
    find_photos,
    read_image,
    read_photos,
    reduction,
)
from tests.helpers.pictures import encode, png_of_size, portrait, tiff16

FORMATS = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "BMP": {},
    "TIFF": {},
}


def bgr(image: Image.Image) -> Any:
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def difference(a: Any, b: Any) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


# --- What must work ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_reads_colour(kind: str) -> None:
    frame = decode(encode(portrait(), kind, **FORMATS[kind]), "test")
    assert frame.dtype == np.uint8
    assert frame.flags.c_contiguous
    assert difference(frame, bgr(portrait())) < (4 if kind == "JPEG" else 0.01)


KINDS: dict[str, Callable[[], bytes]] = {
    "gray JPEG": lambda: encode(portrait().convert("L"), "JPEG", quality=95),
    "CMYK JPEG": lambda: encode(portrait().convert("CMYK"), "JPEG", quality=95),
    "progressive JPEG": lambda: encode(portrait(), "JPEG", quality=95, progressive=True),
    "gray PNG": lambda: encode(portrait().convert("L"), "PNG"),
    "palette PNG": lambda: encode(portrait().convert("P"), "PNG"),
    "one-bit PNG": lambda: encode(portrait().convert("1"), "PNG"),
    "gray BMP": lambda: encode(portrait().convert("L"), "BMP"),
    "lossy WebP": lambda: encode(portrait(), "WEBP", quality=95),
    "animated WebP": lambda: encode(
        portrait(), "WEBP", lossless=True, save_all=True, append_images=[portrait().rotate(9)]
    ),
    "LZW TIFF": lambda: encode(portrait(), "TIFF", compression="tiff_lzw"),
    "CMYK TIFF": lambda: encode(portrait().convert("CMYK"), "TIFF"),
    "gray TIFF": lambda: encode(portrait().convert("L"), "TIFF"),
    "one-bit TIFF": lambda: encode(portrait().convert("1"), "TIFF", compression="group4"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_reads_every_colour_model(kind: str) -> None:
    if kind == "animated WebP" and cv2.__version__ < "4.11":
        pytest.skip("OpenCV 4.10 reads no animations, and fastfer says so")
    data = KINDS[kind]()
    frame = decode(data, "test")
    header = image_headers.read_header(data, "test")
    assert (header.width, header.height) == portrait().size
    assert difference(frame, bgr(Image.open(io.BytesIO(data)))) < 6


def test_sixteen_bits_become_eight() -> None:
    deep = np.asarray(portrait(), np.uint16) * 257
    gray = np.asarray(portrait().convert("L"), np.uint16) * 257
    np.testing.assert_array_equal(decode(tiff16(deep), "test"), bgr(portrait()))
    for kind in ("PNG", "TIFF"):
        frame = decode(encode(Image.fromarray(gray), kind), "test")
        assert difference(frame, bgr(portrait().convert("L"))) < 1


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_transparent_parts_become_white(kind: str, options: Any, orientation: int) -> None:
    image = portrait()
    alpha = np.zeros((64, 96), np.uint8)
    alpha[:20], alpha[20:40] = 255, 128
    image.putalpha(Image.fromarray(alpha))
    exif = Image.Exif()
    exif[274] = orientation
    frame = decode(encode(image, kind, exif=exif.tobytes(), **options), "test")
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image)
    want = bgr(paper.rotate(-90, expand=True) if orientation == 6 else paper)
    assert np.abs(frame.astype(int) - want).max() <= 2


def test_palette_with_a_transparent_colour() -> None:
    image = Image.new("P", (32, 32), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 16, 32))
    frame = decode(encode(image, "PNG", transparency=0), "test")
    assert frame[5, 5].tolist() == [255, 255, 255]
    assert frame[5, 30].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF 16"])
def test_pictures_are_turned_upright(kind: str, orientation: int) -> None:
    image = Image.new("RGB", (48, 32))
    image.paste("red", (0, 0, 16, 8))
    image.paste("green", (32, 0, 48, 24))
    if kind == "TIFF 16":
        data = tiff16(np.asarray(image, np.uint16) * 257, orientation)
    else:
        exif = Image.Exif()
        exif[274] = orientation
        options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else FORMATS[kind]
        data = encode(image, kind, exif=exif.tobytes(), **options)
    tagged = image.copy()
    tagged.getexif()[274] = orientation
    want = bgr(ImageOps.exif_transpose(tagged))
    assert difference(decode(data, "test"), want) < 3


@pytest.mark.parametrize(
    "name", ["ảnh của tôi.jpg", "写真.jpg", "صورة.jpg", "📷 café.JPG", "-dash.jpg", "a[1]*.jpg"]
)
def test_names_in_any_script(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encode(portrait(), "JPEG"))
    assert read_image(path).shape == (64, 96, 3)
    assert read_image(str(path)).shape == (64, 96, 3)
    assert [photo.name for photo in find_photos([str(path)])] == [str(path)]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    path = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.png")
    Path(path).write_bytes(encode(portrait(), "PNG"))
    assert read_image(path).shape == (64, 96, 3)
    assert [photo.name for photo in find_photos([str(tmp_path)])] == [path]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_in_memory(kind: Any) -> None:
    np.testing.assert_array_equal(read_image(kind(encode(portrait(), "PNG"))), bgr(portrait()))


def test_bytes_after_the_end_do_no_harm() -> None:
    for kind, options in FORMATS.items():
        data = encode(portrait(), kind, **options)
        np.testing.assert_array_equal(decode(data + b"tail" * 50, "t"), decode(data, "t"))


# --- What must not -------------------------------------------------------------------------------


def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_of_size(30_000, 30_000))
    start = time.perf_counter()
    with pytest.raises(
        InputError, match=r"30000 x 30000 is 900,000,000 pixels.*--max-pixels"
    ) as caught:
        read_image(path)
    assert time.perf_counter() - start < 0.5
    assert "huge.png" in str(caught.value)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_limit_is_one_of_pixels_and_can_be_raised(kind: str) -> None:
    data = encode(portrait(), kind, **FORMATS[kind])
    with pytest.raises(InputError, match="96 x 64"):
        read_image(data, max_pixels=96 * 64 - 1)
    assert read_image(data, max_pixels=96 * 64).shape == (64, 96, 3)


def test_large_pictures_below_the_limit_are_read() -> None:
    assert read_image(png_of_size(9_000, 4_000)).shape == (4_000, 9_000, 3)
    assert MAX_PIXELS > 9_000 * 4_000


@settings(deadline=None, max_examples=150)
@given(kind=st.sampled_from([*FORMATS, "LZW", "progressive"]), part=st.floats(0, 1))
def test_a_truncated_picture_is_never_returned(kind: str, part: float) -> None:
    data = {
        "LZW": lambda: encode(portrait(), "TIFF", compression="tiff_lzw"),
        "progressive": lambda: encode(portrait(), "JPEG", progressive=True),
    }.get(kind, lambda: encode(portrait(), kind, **FORMATS[kind]))()
    with pytest.raises(InputError, match="cut: "):
        decode(data[: int(part * (len(data) - 1))], "cut")


@pytest.mark.parametrize("kind", FORMATS)
def test_truncation_is_called_by_its_name(kind: str) -> None:
    data = encode(portrait(), kind, **FORMATS[kind])
    with pytest.raises(InputError, match="truncated"):
        decode(data[: len(data) * 3 // 4], "cut")


@settings(deadline=None, max_examples=300)
@given(
    kind=st.sampled_from([*FORMATS, "exif"]),
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damage_gives_an_input_error_or_a_frame(kind: str, flips: list[tuple[int, int]]) -> None:
    if kind == "exif":
        exif = Image.Exif()
        exif[274], exif[271] = 6, "maker"
        data = bytearray(encode(portrait(), "JPEG", exif=exif.tobytes()))
    else:
        data = bytearray(encode(portrait(), kind, **FORMATS[kind]))
    for at, value in flips:
        data[at % len(data)] = value
    try:
        frame = decode(bytes(data), "damaged", max_pixels=1_000_000)
    except InputError:
        return
    assert frame.ndim == 3


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300), st.sampled_from([b"", *image_headers._PARSERS]))
def test_noise_gives_an_input_error(noise: bytes, magic: bytes) -> None:
    with pytest.raises(InputError, match="noise: "):
        decode(magic + noise, "noise", max_pixels=10_000)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"just some notes\n", "this is text, not a picture"),
        ("chữ tiếng Việt, dài hơn sáu mươi tư byte, cắt giữa một chữ: ếế".encode(), "is text"),
        (b"<!doctype html><html>", "this is text"),
        (b"GIF89a\1\0\1\0", "GIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"\x1a\x45\xdf\xa3\1\2", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "RIFF"),
        (b"%PDF-1.7", "PDF"),
        (bytes(100), "zeros"),
        (b"\x7fELF\2\1\1\0", "not a picture"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_image(tmp_path / "absent.jpg")
    with pytest.raises(InputError, match=r"directory|Permission"):
        read_image(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_image("zero\0byte.jpg")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_permission_denied(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(encode(portrait(), "JPEG"))
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read_image(path)


# --- Finding them --------------------------------------------------------------------------------


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
    assert "no file matches" in str(nothing.error)


def test_a_name_that_looks_like_a_pattern_is_a_name_first(tmp_path: Path) -> None:
    (tmp_path / "me [1].jpg").touch()
    (tmp_path / "me 1.jpg").touch()
    assert names(find_photos([str(tmp_path / "me [1].jpg")]), tmp_path) == ["me [1].jpg"]


def test_a_directory_without_pictures(archive: Path, tmp_path: Path) -> None:
    (archive / "deep" / "d.tiff").rename(archive / "deep" / ".git" / "d.tiff")
    (photo,) = find_photos([str(archive / "deep")])
    assert "holds no pictures (JPEG, PNG, WebP, BMP and TIFF)" in str(photo.error)
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (photo,) = find_photos([str(tmp_path / "outer")])
    assert "--recursive" in str(photo.error)
    with pytest.raises(InputError, match="holds no"):
        photo.read_bytes()


def test_what_does_not_exist_is_found_and_fails_when_read(tmp_path: Path) -> None:
    (photo,) = find_photos([str(tmp_path / "absent.jpg")])
    with pytest.raises(InputError, match="there is no such file"):
        photo.read_bytes()


def test_read_ahead_keeps_the_order_and_goes_on_after_errors(tmp_path: Path) -> None:
    for i in range(7):
        data = encode(portrait((20 + i, 30)), "PNG")
        (tmp_path / f"{i}.png").write_bytes(data if i != 3 else data[:100])
    loads = list(read_photos(find_photos([str(tmp_path)])))
    widths = [None if load.frame is None else load.frame.shape[1] for load in loads]
    assert widths == [20, 21, 22, None, 24, 25, 26]
    assert "truncated" in str(loads[3].error)
    assert all(load.read_ms > 0 for load in loads)


def test_reading_may_stop_early(tmp_path: Path) -> None:
    for i in range(9):
        (tmp_path / f"{i}.png").write_bytes(encode(portrait(), "PNG"))
    loads = read_photos(find_photos([str(tmp_path)]))
    assert next(loads).frame is not None
    loads.close()  # type: ignore[attr-defined]


def test_what_is_refused_is_not_decoded_reduced_either() -> None:
    data = encode(portrait((2400, 1600)), "JPEG")
    assert reduction(data, "large", 640) == 2
    assert reduction(data, "large", 300) == 8
    assert reduction(data, "large", 1201) is None
    assert reduction(data[:-9], "cut", 640) is None
    assert reduction(data, "over the limit", 640, max_pixels=3_500_000) is None
    assert reduction(encode(portrait(), "JPEG"), "small", 640) is None
    assert reduction(encode(portrait((2400, 1600)), "PNG"), "no JPEG", 640) is None


@pytest.mark.parametrize("ratio", [2, 4, 8])
def test_reduced_copies(ratio: int) -> None:
    exif = Image.Exif()
    exif[274] = 6
    data = encode(portrait((2400, 1600)), "JPEG", exif=exif.tobytes())
    copy = decode_reduced(data, "large", ratio)
    assert copy is not None
    assert copy.shape == (2400 // ratio, 1600 // ratio, 3), "upright, as the whole"
    whole = cv2.resize(decode(data, "large"), copy.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(copy.astype(int) - whole).mean() < 2
