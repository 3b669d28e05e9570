"""FER-2013 as the CSV of Kaggle: plain, compressed or in a zip; parsed once, then cached."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import lzma
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import InputError
from fastfer.labels import EMOTIONS
from training.expression.bad_rows import BadRows
from training.expression.face_sources import SIDE, USAGES

# Names of FER-2013 among several tables in a .zip.
KNOWN_TABLES = ("fer2013.csv", "icml_face_data.csv")


def cache_dir() -> Path:
    """Folder of parsed data: in ``FASTFER_HOME`` if it is set, else in the user's cache folder."""
    home = os.environ.get("FASTFER_HOME")
    base = Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / ("training" if home else "fastfer/training")


def read_csv(path: Path, bad: BadRows) -> Mapping[str, Any]:
    """The table of a CSV, from the cache if the file has not changed since.

    Returns:
        ``images`` (n, 48, 48) uint8, ``labels`` (n,), ``usage`` (n,) text, ``row`` (n,) row numbers
        without blank rows, ``line`` (n,) line numbers, ``rows``: the number of rows, and
        ``has_usage``: whether the file has that column.

    Raises:
        InputError: the file cannot be read or is not FER-2013.
    """
    stat = path.stat()
    key = f"4|{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    cached = cache_dir() / (hashlib.blake2b(key.encode(), digest_size=12).hexdigest() + ".npz")
    table = _read_cache(cached)
    if table is None:
        table = _parse_csv(path, bad)
        if not bad.found:
            _write_cache(cached, table)
    return table


def _read_cache(source: Path) -> dict[str, Any] | None:
    try:
        with np.load(source) as f:
            return {name: f[name] for name in f.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None  # Absent, or truncated by a full disk: parse again.


def _write_cache(target: Path, table: dict[str, Any]) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as f:
            np.savez(f, **table)
        part.replace(target)
    except OSError:
        return  # Without a cache the next run only parses again.


UNREADABLE = (
    OSError, EOFError, UnicodeDecodeError, csv.Error, lzma.LZMAError, zlib.error,
    zipfile.BadZipFile, RuntimeError,  # an encrypted .zip
)  # fmt: skip


def open_text(path: Path) -> IO[str]:
    raw: IO[bytes]
    match path.suffix.lower():
        case ".gz":
            raw = cast(IO[bytes], gzip.open(path))  # noqa: SIM115  (closed by the wrapper)
        case ".xz":
            raw = lzma.open(path)  # noqa: SIM115
        case ".zip":
            archive = zipfile.ZipFile(path)
            raw = archive.open(_table_in(archive, path))
        case _:
            raw = path.open("rb")
    # Some programs write a byte-order mark first.
    return io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")


def _table_in(archive: zipfile.ZipFile, path: Path) -> str:
    """The CSV to read: the only one, or the only one with a known name."""
    names = [n for n in archive.namelist() if n.lower().endswith(".csv") and "__MACOSX" not in n]
    known = [n for n in names if Path(n).name in KNOWN_TABLES]
    for candidates in (names, known):
        if len(candidates) == 1:
            return candidates[0]
    raise InputError(
        f"{path}: expected one .csv inside, found {', '.join(names) or 'none'}; unpack it and pass "
        "the .csv file or the folder with train/<emotion>/*",
        code="no_match",
    )


MAX_LINE = 100_000
"""Characters of a row; one of FER-2013 has at most 9,300."""
MAX_DIGITS = 9
"""Digits of a label; Python refuses to read numbers of thousands."""
MAX_LINES = 1_000_000
"""Rows of a table; FER-2013 has 35,888 with the header."""


def _lines(text: IO[str], path: Path) -> Iterator[str]:
    """The lines of ``text``, which may be unpacked from a small archive: never a whole file that
    has no lines.

    Raises:
        InputError: code ``damaged``, a line or the table is too long.
    """
    for number in range(MAX_LINES + 1):
        line = text.readline(MAX_LINE + 1)
        if not line:
            return
        if len(line) > MAX_LINE or number == MAX_LINES:
            raise InputError(
                f"{path}: line {number + 1:,} is longer than {MAX_LINE:,} characters, or the table "
                f"than {MAX_LINES:,} lines; this is not FER-2013",
                code="damaged",
            )
        yield line


def _parse_csv(path: Path, bad: BadRows) -> dict[str, Any]:
    """The table that :func:`read_csv` returns."""
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    usages: list[str] = []
    rows: list[tuple[int, int]] = []
    n_rows = 0
    try:
        with open_text(path) as text:
            reader = csv.reader(_lines(text, path))
            header = [h.strip().lower() for h in next(reader, [])]
            if not {"emotion", "pixels"} <= set(header):
                raise InputError(
                    f"{path}: the header is {header}; expected emotion,pixels,Usage as on Kaggle",
                    code="unsupported_format",
                )
            i_label, i_pixels = header.index("emotion"), header.index("pixels")
            i_usage = header.index("usage") if "usage" in header else None
            for row in filter(None, reader):
                problem = _row_problem(row, len(header), i_label, i_usage)
                if not problem:
                    face = _parse_pixels(row[i_pixels])
                    if isinstance(face, str):
                        problem = face
                    else:
                        images.append(face)
                        labels.append(int(row[i_label]))
                        usages.append(row[i_usage].strip() if i_usage is not None else "Training")
                        rows.append((n_rows, reader.line_num))
                if problem:
                    bad.add(f"{path}:{reader.line_num}", problem)
                n_rows += 1
    except UNREADABLE as e:
        raise InputError(f"{path}: cannot be read: {e}", code="damaged") from e
    if not images and not bad.found:
        raise InputError(f"{path}: no rows after the header", code="empty_file")
    places = np.array(rows, np.int64).reshape(-1, 2)
    return {
        "images": np.stack(images) if images else np.zeros((0, SIDE, SIDE), np.uint8),
        "labels": np.array(labels, np.int64),
        "usage": np.array(usages, dtype=np.str_),
        "row": places[:, 0],
        "line": places[:, 1],
        "rows": np.int64(n_rows),
        "has_usage": np.bool_(i_usage is not None),
    }


def _row_problem(row: list[str], columns: int, i_label: int, i_usage: int | None) -> str:
    if len(row) != columns:
        return f"{len(row)} columns instead of {columns}"
    label = row[i_label].strip()
    if not label.isdecimal() or len(label) > MAX_DIGITS or int(label) >= len(EMOTIONS):
        return f"unknown label {label[:20]!r}, expected 0 to {len(EMOTIONS) - 1}"
    if i_usage is not None and row[i_usage].strip() not in USAGES:
        return f"unknown Usage {row[i_usage].strip()!r}, expected one of {', '.join(USAGES)}"
    return ""


def _parse_pixels(text: str) -> NDArray[np.uint8] | str:
    """The face (48, 48), or the problem of the text."""
    try:
        with warnings.catch_warnings():
            # NumPy only warns if text follows the last number it could read.
            warnings.simplefilter("error", DeprecationWarning)
            values = np.fromstring(text, np.int64, sep=" ")
    except (ValueError, DeprecationWarning):
        return "pixels are not all integers"
    if values.size != SIDE * SIDE:
        return f"{values.size} pixels instead of {SIDE * SIDE}"
    if values.min() < 0 or values.max() > 255:
        return (
            f"a pixel of {values.max() if values.max() > 255 else values.min()}, expected 0 to 255"
        )
    return values.astype(np.uint8).reshape(SIDE, SIDE)
