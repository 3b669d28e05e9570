"""Decoding: formats, colour models, orientation, limits, damage and reduced copies."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fastfer.errors import InputError, UsageError
from fastfer.io import encoded_image, image_headers
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.limits import DEFAULT_LIMITS, FileLimits
from fastfer.io.photos import find_photos, read_image
from tests.helpers.errors import raises
from tests.helpers.picture_files import tiff
from tests.helpers.pictures import encode, png_of_size, portrait, tiff16

FORMATS = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "BMP": {},
    "TIFF": {},
}


def decode(data: bytes, name: str = "test", pixels: int = DEFAULT_LIMITS.pixels) -> Any:
    return EncodedImage(data, name, FileLimits(pixels=pixels)).decode()


def bgr(image: Image.Image) -> Any:
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def difference(a: Any, b: Any) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


# --- Formats and colour models -------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_reads_colour(kind: str) -> None:
    frame = decode(encode(portrait(), kind, **FORMATS[kind]))
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
    image = EncodedImage(KINDS[kind]())
    frame, header, data = image.decode(), image.header, image.data
    assert (header.width, header.height) == portrait().size
    assert difference(frame, bgr(Image.open(io.BytesIO(data)))) < 6


def test_sixteen_bits_become_eight() -> None:
    deep = np.asarray(portrait(), np.uint16) * 257
    gray = np.asarray(portrait().convert("L"), np.uint16) * 257
    np.testing.assert_array_equal(decode(tiff16(deep)), bgr(portrait()))
    for kind in ("PNG", "TIFF"):
        frame = decode(encode(Image.fromarray(gray), kind))
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
    frame = decode(encode(image, kind, exif=exif.tobytes(), **options))
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image)
    want = bgr(paper.rotate(-90, expand=True) if orientation == 6 else paper)
    assert np.abs(frame.astype(int) - want).max() <= 2


def test_palette_with_a_transparent_colour() -> None:
    image = Image.new("P", (32, 32), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 16, 32))
    frame = decode(encode(image, "PNG", transparency=0))
    assert frame[5, 5].tolist() == [255, 255, 255]
    assert frame[5, 30].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF 16"])
def test_orientation_is_applied(kind: str, orientation: int) -> None:
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
    assert difference(decode(data), want) < 3


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
def test_names_that_are_not_text(tmp_path: Path) -> None:
    path = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.png")
    Path(path).write_bytes(encode(portrait(), "PNG"))
    assert read_image(path).shape == (64, 96, 3)
    assert [photo.name for photo in find_photos([str(tmp_path)])] == [path]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_in_memory(kind: Any) -> None:
    np.testing.assert_array_equal(read_image(kind(encode(portrait(), "PNG"))), bgr(portrait()))


def test_bytes_after_the_end_are_ignored() -> None:
    for kind, options in FORMATS.items():
        data = encode(portrait(), kind, **options)
        np.testing.assert_array_equal(decode(data + b"tail" * 50), decode(data))


# --- Limits and damage ---------------------------------------------------------------------------


def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_of_size(30_000, 30_000))
    with raises(InputError, "too_many_pixels", "huge.png", "900,000,000", "--max-pixels"):
        read_image(path)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_limit_is_one_of_pixels_and_can_be_raised(kind: str) -> None:
    data = encode(portrait(), kind, **FORMATS[kind])
    with raises(InputError, "too_many_pixels", "96 x 64"):
        read_image(data, limits=FileLimits(pixels=96 * 64 - 1))
    assert read_image(data, limits=FileLimits(pixels=96 * 64)).shape == (64, 96, 3)


def test_large_pictures_below_the_limit_are_read() -> None:
    assert read_image(png_of_size(9_000, 4_000)).shape == (4_000, 9_000, 3)
    assert DEFAULT_LIMITS.pixels > 9_000 * 4_000


@settings(deadline=None, max_examples=150)
@given(kind=st.sampled_from([*FORMATS, "LZW", "progressive"]), part=st.floats(0, 1))
def test_a_truncated_picture_is_never_returned(kind: str, part: float) -> None:
    data = {
        "LZW": lambda: encode(portrait(), "TIFF", compression="tiff_lzw"),
        "progressive": lambda: encode(portrait(), "JPEG", progressive=True),
    }.get(kind, lambda: encode(portrait(), kind, **FORMATS[kind]))()
    length = int(part * (len(data) - 1))
    if length >= len(data) - 3 and kind in ("JPEG", "progressive"):
        return  # Nothing but the end marker may be missing.
    with pytest.raises(InputError) as caught:
        decode(data[:length], "cut.xyz")
    assert "cut.xyz" in str(caught.value)
    if length >= 64:
        assert caught.value.code in ("truncated", "damaged")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("junk", [b"", b"\xff", bytes(9000)])
def test_a_jpeg_without_its_end_marker_is_read_with_a_warning(
    progressive: bool, junk: bytes
) -> None:
    data = encode(portrait(), "JPEG", progressive=progressive)
    whole = EncodedImage(data)
    image = EncodedImage(data[:-2] + junk)
    np.testing.assert_array_equal(image.decode(), whole.decode())
    assert image.warning is not None
    assert whole.warning is None


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_pixels_is_refused(progressive: bool) -> None:
    data = encode(portrait(), "JPEG", progressive=progressive)
    for missing in (6, 20, 200):
        for junk in (b"", bytes(9000)):
            with raises(InputError, "truncated"):
                decode(data[: -2 - missing] + junk)


@pytest.mark.parametrize("kind", FORMATS)
def test_truncation_has_its_code(kind: str) -> None:
    data = encode(portrait(), kind, **FORMATS[kind])
    with raises(InputError, "truncated", "cut.xyz"):
        decode(data[: len(data) * 3 // 4], "cut.xyz")


@settings(deadline=None, max_examples=120)
@given(
    kind=st.sampled_from([*FORMATS, "exif"]),
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damage_ends_in_an_input_error_or_a_frame(kind: str, flips: list[tuple[int, int]]) -> None:
    if kind == "exif":
        exif = Image.Exif()
        exif[274], exif[271] = 6, "maker"
        data = bytearray(encode(portrait(), "JPEG", exif=exif.tobytes()))
    else:
        data = bytearray(encode(portrait(), kind, **FORMATS[kind]))
    for at, value in flips:
        data[at % len(data)] = value
    try:
        frame = decode(bytes(data), "damaged", pixels=1_000_000)
    except InputError:
        return
    assert frame.ndim == 3


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300), st.sampled_from([b"", *image_headers._PARSERS]))
@example(b"x" * 100, b"BM")  # Sides of 2 billion pixels.
def test_noise_ends_in_an_input_error(noise: bytes, magic: bytes) -> None:
    with pytest.raises(InputError) as caught:
        decode(magic + noise, "noise", pixels=10_000)
    unreadable = "empty_file", "unsupported_format", "truncated", "damaged"
    assert caught.value.code in (*unreadable, "too_many_pixels")


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    with raises(InputError, "not_found", "absent.jpg"):
        read_image(tmp_path / "absent.jpg")
    if os.name == "posix":
        with raises(InputError, "is_directory", str(tmp_path)):
            read_image(tmp_path)
    with raises(InputError, "unreadable_input"):
        read_image("null\0byte.jpg")


def test_arguments_of_other_types() -> None:
    with raises(UsageError, "out_of_range", "BytesIO", "read()"):
        read_image(io.BytesIO(encode(portrait(), "JPEG")))  # type: ignore[arg-type]
    for source in ("absent.jpg", b"text"):
        with raises(UsageError, "out_of_range", "fastfer.FileLimits; got dict"):
            read_image(source, limits={"pixels": 9})  # type: ignore[arg-type]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_permission_denied(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(encode(portrait(), "JPEG"))
    path.chmod(0)
    with raises(InputError, "unreadable_input", "Permission denied"):
        read_image(path)


def reduction(data: bytes, min_side: int, pixels: int = DEFAULT_LIMITS.pixels) -> int:
    return EncodedImage(data, limits=FileLimits(pixels=pixels)).reduction(min_side)


def test_only_large_jpegs_within_the_limit_are_reduced() -> None:
    data = encode(portrait((2400, 1600)), "JPEG")
    assert reduction(data, 640) == 2
    assert reduction(data, 300) == 8
    assert reduction(data, 1201) == 1
    assert reduction(data, 0) == 1
    assert reduction(data[:-9], 640) == 1
    assert reduction(data, 640, pixels=3_500_000) == 1
    assert reduction(encode(portrait(), "JPEG"), 640) == 1
    assert reduction(encode(portrait((2400, 1600)), "PNG"), 640) == 1


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_reduced_copies_are_upright(factor: int) -> None:
    exif = Image.Exif()
    exif[274] = 6
    image = EncodedImage(encode(portrait((2400, 1600)), "JPEG", exif=exif.tobytes()))
    copy = image.decode_reduced(factor)
    assert copy is not None
    assert copy.shape == (2400 // factor, 1600 // factor, 3)
    whole = cv2.resize(image.decode(), copy.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(copy.astype(int) - whole).mean() < 2
    gray = image.decode_reduced(factor, gray=True)
    assert gray is not None
    assert gray.shape == copy.shape[:2]
    assert np.abs(gray.astype(int) - cv2.cvtColor(copy, cv2.COLOR_BGR2GRAY)).mean() < 2


def test_a_header_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    read_header = encoded_image.read_header
    monkeypatch.setattr(
        encoded_image,
        "read_header",
        lambda data, name: parsed.append(name) or read_header(data, name),
    )
    image = EncodedImage(encode(portrait((2400, 1600)), "JPEG"), "large")
    assert image.reduction(640) == 2
    assert image.decode_reduced(2) is not None
    assert image.decode().shape == (1600, 2400, 3)
    assert parsed == ["large"]


CASES = Path(__file__).parents[3] / "shared" / "cases"


needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="shared/cases is absent")


@needs_cases
def test_the_cases_that_were_found() -> None:
    for name in ("hidden.jpg", "dupz.tif"):
        with raises(InputError, "too_many_pixels", name):
            read_image(CASES / name)
    with raises(InputError, "unsupported_format", "bomb16000.gif"):
        read_image(CASES / "bomb16000.gif")
    assert read_image(CASES / "exifbomb.jpg").shape == (64, 64, 3)


@needs_cases
def test_an_animation_that_crashed_the_decoder() -> None:
    """In a process of its own, because a crash would end the tests."""
    code = f"""
from fastfer.errors import InputError
from fastfer.io.photos import read_image
try:
    print(read_image({str(CASES / "crash-apng.png")!r}).shape)
except InputError as error:
    print(error.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.strip() in ("damaged", "(160, 160, 3)")


_MEASURE = """
import sys
from fastfer.io.encoded_image import EncodedImage
import cv2
cv2.setNumThreads(1)

def status(key):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024

for path in sys.argv[1:]:
    image = EncodedImage.read(path)
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS") - len(image.data)
    image.decode()
    print(path, image.memory, status("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is measured on Linux")
def test_memory_is_what_is_stated(tmp_path: Path) -> None:
    size = (2400, 1800)
    photo = portrait(size)
    alpha = photo.convert("RGBA")
    deep = np.zeros((size[1], size[0], 4), np.uint16)
    turned = Image.Exif()
    turned[274] = 6
    files = {
        "a.jpg": encode(photo, "JPEG"),
        "turned.jpg": encode(photo, "JPEG", exif=turned.tobytes()),
        "progressive.jpg": encode(photo, "JPEG", progressive=True, subsampling=0),
        "cmyk.jpg": encode(photo.convert("CMYK"), "JPEG", progressive=True),
        "rgb.png": encode(photo, "PNG", compress_level=1),
        "rgba.png": encode(alpha, "PNG", compress_level=1),
        "deep.png": bytes(cv2.imencode(".png", deep)[1]),
        "lossy.webp": encode(photo, "WEBP", method=0),
        "lossless.webp": encode(alpha, "WEBP", method=0, quality=0, lossless=True),
        "a.bmp": encode(photo, "BMP"),
        "rgb.tif": encode(photo, "TIFF"),
        "rgba.tif": encode(alpha, "TIFF", compression="tiff_lzw"),
        "deep.tif": tiff(deep, compression="zlib", extrasamples=["unassalpha"]),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", _MEASURE, *(str(tmp_path / name) for name in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        path, stated, measured = line.split()
        assert int(measured) < int(stated) + 12_000_000, path


def test_too_much_memory_is_refused_before_decoding() -> None:
    from fastfer.io.limits import FileLimits

    image = EncodedImage(encode(portrait(), "PNG"), limits=FileLimits(memory=96 * 64 * 6))
    with raises(InputError, "too_much_memory", "--max-memory"):
        image.decode()
