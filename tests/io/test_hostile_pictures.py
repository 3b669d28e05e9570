"""Small files that ask for much: what the header says is what the decoder sees."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from fastfer.errors import InputError
from fastfer.io.decode_pixels import imdecode
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.image_headers import read_header
from fastfer.io.photos import read_image
from fastfer.io.picture_formats.jpeg import MAX_SCANS
from tests.helpers.errors import raises
from tests.helpers.pictures import encode, portrait

CASES = Path(__file__).parents[3] / "shared" / "cases"
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="shared/cases is absent")


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def webp_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def webp_file(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bitstream(image: Image.Image, **options: object) -> bytes:
    """The VP8 or VP8L chunk of ``image``."""
    data = encode(image, "WEBP", **options)
    assert data[12:15] == b"VP8"
    return data[12:]


def canvas(width: int, height: int, flags: int = 0) -> bytes:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sizes)


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


# --- JPEG ----------------------------------------------------------------------------------------


def test_jpeg_markers_are_found_as_the_decoder_finds_them() -> None:
    """FF 00 is no marker: what follows is searched for the next one, which states the size."""
    data = encode(portrait(), "JPEG")
    fake = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, 16, 16, 1) + b"\1\x11\0"
    hidden = data[:2] + b"\xff\0" + struct.pack(">H", 4 + len(fake)) + data[2:]
    header = read_header(hidden, "hidden")
    assert (header.width, header.height) == (96, 64)
    np.testing.assert_array_equal(read_image(hidden), read_image(data))
    junk = data[:2] + b"\xff\0junk\xff\xff" + data[2:]
    np.testing.assert_array_equal(read_image(junk), read_image(data))
    with raises(InputError, "damaged"):
        read_header(data[:2] + fake + data[2:], "two sizes")


def test_jpeg_metadata_never_reaches_the_decoder() -> None:
    exif = Image.Exif()
    exif[271] = "maker" * 100
    data = encode(portrait(), "JPEG", exif=exif.tobytes(), comment=b"c" * 1000)
    seen = read_header(data, "test").decodable(data)
    assert b"maker" not in seen
    assert b"ccc" not in seen
    np.testing.assert_array_equal(imdecode(seen, 1), imdecode(data, 1))


def test_jpeg_of_too_many_scans() -> None:
    data = encode(portrait(), "JPEG", progressive=True)
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff\xc4", start)
    with raises(InputError, "damaged", str(MAX_SCANS)):
        read_header(data[:-2] + data[start:end] * (MAX_SCANS + 1) + data[-2:], "scans")


def test_bytes_between_jpeg_markers_cost_no_time() -> None:
    """Each of these would be a step of a loop in Python."""
    for junk in (b"\xff\0" * 3_000_000, b"\xff" * 6_000_000, b"\xff" + bytes(6_000_000)):
        data = encode(portrait(), "JPEG")
        assert read_header(data[:2] + junk + data[2:], "junk").width == 96
    with raises(InputError, "damaged", "segments"):
        read_header(data[:2] + b"\xff\xfe\0\2" * 1_000_000 + data[2:], "segments")


def exif_of(count: int, size: int) -> bytes:
    """A directory whose ``count`` tags all claim the same ``size`` bytes."""
    tags = b"".join(struct.pack("<HHII", 1000 + i, 3, size // 2, 8) for i in range(count))
    block = b"II*\0" + struct.pack("<IH", 8, count) + tags
    return block.ljust(size + 8, b"\0")


def test_tag_directories_that_overlap_cost_no_memory() -> None:
    exif = exif_of(2500, 60_000)
    large = exif_of(60_000, 20_000_000)
    plain = encode(portrait(), "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 8 + len(exif)) + b"Exif\0\0" + exif
    png = encode(portrait(), "PNG")
    files = (
        plain[:2] + segment + plain[2:],
        png[:33] + png_chunk(b"eXIf", large) + png[33:],
        webp_file(
            canvas(96, 64, 8),
            bitstream(portrait()),
            webp_chunk(b"EXIF", large),
        ),
    )
    for data in files:
        tracemalloc.start()
        try:
            assert read_header(data, "bomb").orientation == 1
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < len(data) + 1_000_000


# --- PNG -----------------------------------------------------------------------------------------


def test_png_decoders_see_nothing_but_the_picture() -> None:
    data = encode(portrait(), "PNG")
    extra = (
        png_chunk(b"acTL", struct.pack(">II", 1, 0))
        + png_chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 9000, 9000, 0, 0, 1, 1, 0, 0))
        + png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9_000_000)))
        + png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(9_000_000)))
        + png_chunk(b"fdAT", bytes(20))
    )
    stuffed = data[:33] + extra + data[33:]
    assert read_header(stuffed, "test").decodable(stuffed) == data
    np.testing.assert_array_equal(read_image(stuffed), read_image(data))


def test_png_of_a_million_chunks() -> None:
    data = encode(portrait(), "PNG")
    many = data[:33] + png_chunk(b"tEXt", b"") * 1_000_000 + data[33:]
    with raises(InputError, "damaged", "chunks"):
        read_header(many, "many")


def test_png_whose_header_makes_no_sense() -> None:
    data = bytearray(encode(portrait(), "PNG"))
    data[24] = 7  # Bits per sample.
    with raises(InputError, "damaged"):
        read_header(bytes(data), "bits")


# --- WebP ----------------------------------------------------------------------------------------


def test_webp_states_one_size() -> None:
    picture = bitstream(portrait())
    with raises(InputError, "damaged"):
        read_header(webp_file(canvas(16, 16), picture), "small canvas")
    with raises(InputError, "damaged"):
        read_header(webp_file(webp_chunk(b"JUNK", bytes(10)), picture), "order")
    # The simple format ends with its picture; the decoder never sees another canvas.
    tailed = webp_file(picture, canvas(9000, 9000), bitstream(portrait((200, 200))))
    assert read_header(tailed, "tail").decodable(tailed) == webp_file(picture)
    second = webp_file(canvas(96, 64), picture, bitstream(portrait((200, 200))))
    np.testing.assert_array_equal(read_image(second), read_image(webp_file(picture)))


def test_webp_of_a_huge_canvas() -> None:
    frame = bytes(6) + b"\x5f\0\0\x3f\0\0" + bytes(4) + bitstream(portrait())
    huge = webp_file(
        canvas(16_384, 16_384, 2), webp_chunk(b"ANIM", bytes(6)), webp_chunk(b"ANMF", frame)
    )
    with raises(InputError, "too_many_pixels", "16384"):
        read_image(huge)


@pytest.mark.skipif(cv2.__version__ < "4.11", reason="OpenCV 4.10 reads no animations")
def test_webp_whose_first_frame_covers_a_part_of_the_canvas() -> None:
    first = Image.new("RGBA", (96, 64), (0, 0, 0, 0))
    first.paste(portrait((20, 30)), (10, 10))
    data = encode(first, "WEBP", save_all=True, append_images=[first.rotate(9)], lossless=True)
    frame = read_image(data)
    assert frame.shape == (64, 96, 3)
    assert frame[5, 5].tolist() == [255, 255, 255]


def test_the_first_frame_of_an_animation_is_a_picture() -> None:
    frames = [portrait(), portrait().rotate(90)]
    data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    alone = encode(frames[0], "WEBP", lossless=True)
    np.testing.assert_array_equal(read_image(data), read_image(alone))


# --- TIFF ----------------------------------------------------------------------------------------


def tiff(image: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, photometric="rgb", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"tile": (16, 32), "compression": "zlib"},
        {"rowsperstrip": 5},
        {"planarconfig": "separate"},
        {"predictor": True},
    ],
)
def test_tiff_layouts(bigtiff: bool, byteorder: str, options: dict[str, object]) -> None:
    pixels = np.asarray(portrait())
    image = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    if "predictor" in options:
        options = options | {"compression": "zlib"}
    data = tiff(image, bigtiff=bigtiff, byteorder=byteorder, **options)
    np.testing.assert_array_equal(read_image(data), pixels[:, :, ::-1])


def test_tiff_of_duplicate_tags_has_the_first() -> None:
    """libtiff's choice; and the decoder gets one of each."""
    data = encode(portrait(), "TIFF")
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    entries = data[at + 2 : at + 2 + 12 * count]
    for first, second in ((20_000, 96), (96, 20_000)):
        sizes = b"".join(struct.pack("<HHII", 256, 4, 1, size) for size in (first, second))
        rest = b"".join(
            entries[i : i + 12] for i in range(0, len(entries), 12) if entries[i : i + 2] != b"\0\1"
        )
        block = struct.pack("<H", count + 1) + sizes + rest + bytes(4)
        twice = data[:4] + struct.pack("<I", len(data)) + data[8:] + block
        header = read_header(twice, "twice")
        assert header.width == first
        seen = header.decodable(twice)
        with tifffile.TiffFile(io.BytesIO(seen)) as file:
            assert [tag.value for tag in file.pages[0].tags if tag.code == 256] == [first]


def test_tiff_pages_and_metadata_never_reach_the_decoder() -> None:
    pixels = np.stack([np.asarray(portrait())] * 3)
    data = tiff(pixels, description="d" * 5000)
    seen = read_header(data, "pages").decodable(data)
    with tifffile.TiffFile(io.BytesIO(seen)) as file:
        assert len(file.pages) == 1
        assert 270 not in file.pages[0].tags


def edited_tiff(tag: int, kind: int, count: int, value: int) -> bytes:
    """A TIFF one of whose tags was replaced."""
    data = bytearray(encode(portrait(), "TIFF"))
    (at,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        if struct.unpack_from("<H", data, entry) == (tag,):
            struct.pack_into("<HHII", data, entry, tag, kind, count, value)
            return bytes(data)
    raise AssertionError(tag)


def test_tiff_of_huge_pieces_and_counts() -> None:
    with raises(InputError, "damaged", "samples"):
        read_header(edited_tiff(277, 3, 1, 60_000), "samples")
    with raises(InputError, "truncated"):
        read_header(edited_tiff(273, 4, 0xFFFFFFFF, 8), "count")
    # A tile may be larger than the picture, but its memory counts.
    tiled = bytearray(tiff(np.asarray(portrait()), tile=(16, 16)))
    with tifffile.TiffFile(io.BytesIO(bytes(tiled))) as file:
        for code in (322, 323):
            struct.pack_into("<I", tiled, file.pages[0].tags[code].offset + 8, 30_000)
    with raises(InputError, "too_much_memory"):
        read_image(bytes(tiled))


def test_tiff_of_old_jpeg_is_refused() -> None:
    with raises(InputError, "damaged"):
        read_header(edited_tiff(259, 3, 1, 6), "old")


# --- Memory --------------------------------------------------------------------------------------

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


# --- Damage that a decoder fills -----------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"tile": (16, 32)}, {"rowsperstrip": 5}])
def test_tiff_with_damaged_pieces(options: dict[str, object]) -> None:
    """libtiff leaves them black or gray, and reports success."""
    data = tiff(np.asarray(portrait()), compression="zlib", **options)
    assert read_image(data).shape
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        starts, sizes = file.pages[0].dataoffsets, file.pages[0].databytecounts
    for place in (0, len(starts) // 2, len(starts) - 1):
        for damage in (b"\xff" * 20, bytes(sizes[place] // 2)):
            broken = bytearray(data)
            end = starts[place] + sizes[place]
            broken[end - len(damage) : end] = damage
            with raises(InputError, "damaged"):
                read_image(bytes(broken))


def test_tiff_of_too_few_or_short_pieces() -> None:
    data = tiff(np.asarray(portrait()), rowsperstrip=5)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tags = file.pages[0].tags
        starts, sizes = tags["StripOffsets"], tags["StripByteCounts"]
    fewer = bytearray(data)
    struct.pack_into("<I", fewer, starts.offset + 4, starts.count - 1)
    short = bytearray(data)
    short[sizes.valueoffset] -= 1
    for broken in (fewer, short):
        with raises(InputError, "damaged"):
            read_image(bytes(broken))
    alone = edited_tiff(279, 4, 1, 0)  # Of the only strip: libtiff computes it.
    np.testing.assert_array_equal(read_image(alone), np.asarray(portrait())[:, :, ::-1])


def test_png_with_more_data_than_its_pixels_take() -> None:
    """A thousand times as much would be unpacked."""
    data = encode(portrait(), "PNG")
    at = data.index(b"IDAT") - 4
    more = png_chunk(b"IDAT", bytes(200_000))
    assert read_image(data[:at] + png_chunk(b"IDAT", b"") * 200 + data[at:]).shape
    with raises(InputError, "damaged"):
        read_image(data[:-12] + more + data[-12:])


def test_messages_quote_nothing_of_the_file() -> None:
    for text in (b"password = hunter2\n", b"<!DOCTYPE html><title>hunter2</title>"):
        with pytest.raises(InputError) as caught:
            read_header(text, "notes.jpg")
        assert caught.value.code == "unsupported_format"
        assert "hunter2" not in str(caught.value)
        assert "password" not in str(caught.value)
