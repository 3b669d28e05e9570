"""The pictures of a request: raw bytes, a form, or JSON with base64."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from typing import Any, Final, NamedTuple

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from fastfer.errors import InputError
from fastfer.server.problems import RequestError

MAX_NAME: Final = 200
"""Characters of a file name that results repeat."""
FIELDS: Final = 8
"""Most fields of a form that are not files."""
JSON_MARKS: Final = 100
"""Most quotes, brackets, commas and colons of JSON for each picture, which has a dozen."""


class NamedPicture(NamedTuple):
    """The bytes of a picture file and the name that its result repeats."""

    name: str
    data: bytes


async def read_pictures(request: Request, most: int) -> list[NamedPicture]:
    """The pictures of ``request``, ``most`` at the most.

    Raises:
        RequestError: a content type that is not supported, or too many pictures.
        InputError: a body without a picture, or one that is damaged.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        pictures = await _from_form(request, most)
    elif kind == "application/json":
        pictures = await asyncio.to_thread(_from_json, await request.body(), most)
    elif kind == "application/octet-stream" or kind.startswith("image/"):
        pictures = [NamedPicture("picture", await request.body())]
    else:
        raise RequestError(
            f"content type {kind[:60]!r} is not supported: send image/*, multipart/form-data, "
            "application/json or application/octet-stream",
            code="unsupported_format",
        )
    if not pictures:
        raise InputError("the request holds no picture", code="empty_file")
    return pictures


def safe_name(name: str | None) -> str:
    """The last part of a file name, without control characters; it is shown, never opened."""
    last = (name or "picture").replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:MAX_NAME] or "picture"


async def _from_form(request: Request, most: int) -> list[NamedPicture]:
    parser = MultiPartParser(request.headers, request.stream(), max_files=most, max_fields=FIELDS)
    parser.spool_max_size = 1 << 62  # The guard limits the size; no picture is written to a disk.
    try:
        form = await parser.parse()
    except MultiPartException as error:
        many = "Too many" in error.message
        raise (RequestError if many else InputError)(
            f"the form cannot be read: {error.message}",
            code="too_large" if many else "damaged",
        ) from None
    except (KeyError, AssertionError):
        raise InputError("the form has no boundary", code="damaged") from None
    pictures = []
    for _, value in form.multi_items():
        if isinstance(value, UploadFile):
            pictures.append(NamedPicture(safe_name(value.filename), await value.read()))
    await form.close()
    return pictures


def _from_json(body: bytes, most: int) -> list[NamedPicture]:
    # Before it is parsed: objects take a hundred times the memory of their text. Base64 has none.
    marks = sum(map(body.count, (b'"', b"{", b"[", b",", b":")))
    if marks > JSON_MARKS * (most + 1):
        raise RequestError(
            f"the JSON has {marks:,} quotes, brackets, commas and colons, more than the limit of "
            f"{most} pictures needs",
            code="too_large",
        )
    try:
        values: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise InputError("the request is not valid JSON", code="damaged") from None
    images = values.get("images") if isinstance(values, dict) else None
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise InputError(
            'JSON must be {"images": [{"name": "a.jpg", "data": "BASE64"}]}', code="usage"
        )
    if len(images) > most:
        raise RequestError(f"{len(images)} pictures; the limit is {most}", code="too_large")
    pictures = []
    for image in images:
        text, name = image.get("data"), image.get("name")
        if not isinstance(text, str):
            raise InputError("each image needs base64 in data; URLs are not fetched", code="usage")
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise InputError("data is not base64", code="damaged") from None
        pictures.append(NamedPicture(safe_name(name if isinstance(name, str) else None), data))
    return pictures
