"""Small valid files that the mutators start from, made when they are needed."""

from __future__ import annotations

import io
import tempfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

from tests.fuzz import mutators
from tests.fuzz.mutators import Mutator
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import encode, portrait, tiff16


@cache
def pictures() -> list[tuple[str, Mutator, bytes]]:
    """Name, mutator and bytes of pictures of every format and colour model."""
    photo = portrait((40, 28))
    alpha = photo.convert("RGBA")
    alpha.putalpha(Image.linear_gradient("L").resize(photo.size))
    exif = Image.Exif()
    exif[274], exif[271] = 6, "maker"
    tagged = {"exif": exif.tobytes()}
    deep = np.asarray(photo, np.uint16) * 257
    pixels = np.asarray(photo)

    def tiled(**options: object) -> bytes:
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, pixels, photometric="rgb", **options)
        return buffer.getvalue()

    jpeg, png, webp, tiff = mutators.jpeg, mutators.png, mutators.webp, mutators.tiff
    return [
        ("jpg", jpeg, encode(photo, "JPEG", **tagged)),
        ("jpg", jpeg, encode(photo, "JPEG", progressive=True)),
        ("jpg", jpeg, encode(photo.convert("L"), "JPEG")),
        ("jpg", jpeg, encode(photo.convert("CMYK"), "JPEG")),
        ("png", png, encode(photo, "PNG", **tagged)),
        ("png", png, encode(alpha, "PNG")),
        ("png", png, encode(photo.convert("P"), "PNG", transparency=3)),
        ("png", png, bytes(cv2.imencode(".png", deep)[1])),
        ("png", png, encode(photo, "PNG", save_all=True, append_images=[photo.rotate(9)])),
        ("webp", webp, encode(photo, "WEBP", **tagged)),
        ("webp", webp, encode(alpha, "WEBP")),
        ("webp", webp, encode(alpha, "WEBP", lossless=True)),
        ("webp", webp, encode(alpha, "WEBP", save_all=True, append_images=[alpha.rotate(9)])),
        ("bmp", mutators.bmp, encode(photo, "BMP")),
        ("bmp", mutators.bmp, encode(photo.convert("P"), "BMP")),
        ("bmp", mutators.bmp, encode(alpha, "BMP")),
        ("tif", tiff, encode(photo, "TIFF")),
        ("tif", tiff, encode(photo, "TIFF", compression="tiff_lzw")),
        ("tif", tiff, encode(photo.convert("1"), "TIFF", compression="group4")),
        ("tif", tiff, encode(alpha, "TIFF", compression="tiff_adobe_deflate")),
        ("tif", tiff, encode(photo, "TIFF", compression="jpeg")),
        ("tif", tiff, tiff16(deep)),
        ("tif", tiff, tiled(tile=(16, 16), compression="zlib")),
        ("tif", tiff, tiled(byteorder=">", rowsperstrip=5)),
    ]


@cache
def clips() -> list[tuple[str, Mutator, bytes]]:
    """The same for clips of a few frames."""
    frames = [np.asarray(portrait((48, 32)).rotate(i))[:, :, ::-1] for i in range(6)]
    made: list[tuple[str, Mutator, bytes]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, code, mutator in (
            ("mp4", "mp4v", mutators.mp4),
            ("avi", "MJPG", mutators.flip_bytes),
            ("mkv", "mp4v", mutators.flip_bytes),
        ):
            path = Path(folder, f"a.{name}")
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 10, (48, 32))
            for frame in frames:
                writer.write(np.ascontiguousarray(frame))
            writer.release()
            made.append((name, mutator, path.read_bytes()))
    images = [Image.fromarray(frame[:, :, ::-1]) for frame in frames]
    made.append(
        ("gif", mutators.gif, encode(images[0], "GIF", save_all=True, append_images=images[1:]))
    )
    return made


@cache
def models() -> list[tuple[str, Mutator, bytes]]:
    """The same for expression networks."""
    with tempfile.TemporaryDirectory() as folder:
        return [("onnx", mutators.onnx_model, write_model(Path(folder, "a.onnx")).read_bytes())]
