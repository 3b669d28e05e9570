"""FER-2013 as CSV: packed in every way, cached, and broken in every way."""

from __future__ import annotations

import gzip
import lzma
import tracemalloc
import zipfile

import numpy as np
import pytest

from fastfer.errors import InputError
from tests.helpers.drawn_faces import csv_text, draw_faces, row
from tests.helpers.errors import raises
from training.expression import fer2013_csv
from training.expression.data import describe, load_dataset
from training.expression.face_sources import USAGES, FaceSource


def all_faces(source: FaceSource) -> np.ndarray:
    return source.load(np.arange(len(source)))


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.xz", ".zip"])
def test_reads_the_csv_plain_and_compressed(tmp_path, parts, suffix):
    path = tmp_path / f"fer2013{suffix}"
    text = csv_text(parts).encode()
    match suffix:
        case ".csv":
            path.write_bytes(text)
        case ".csv.gz":
            path.write_bytes(gzip.compress(text))
        case ".csv.xz":
            path.write_bytes(lzma.compress(text, preset=0))
        case _:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
                z.writestr("fer2013/fer2013.csv", text)
                z.writestr("__MACOSX/fer2013/._fer2013.csv", b"\0\1")
                z.writestr("fer2013/README", "read me")
    dataset = load_dataset(path)
    assert list(dataset.splits) == ["Training", "PublicTest"]
    for name, (faces, labels) in parts.items():
        np.testing.assert_array_equal(all_faces(dataset.split(name)), faces)
        np.testing.assert_array_equal(dataset.split(name).labels, labels)


def test_reads_the_variant_with_spaces_in_its_header(tmp_path, parts):
    faces, labels = parts["PublicTest"]
    path = tmp_path / "icml_face_data.csv"
    lines = ["emotion, Usage, pixels"]
    lines += [
        f"{k}, PublicTest, {' '.join(map(str, f.ravel()))}"
        for f, k in zip(faces, labels, strict=True)
    ]
    path.write_text("\r\n".join(lines))
    source = load_dataset(path).split("PublicTest")
    np.testing.assert_array_equal(all_faces(source), faces)
    np.testing.assert_array_equal(source.labels, labels)


def test_reads_the_known_table_of_a_zip_with_several(tmp_path, parts):
    path = tmp_path / "challenge.zip"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("example_submission.csv", "emotion\n")
        z.writestr("icml_face_data.csv", csv_text(parts))
    assert len(load_dataset(path).split("Training")) == 210


@pytest.mark.parametrize("names", [(), ("a.csv", "b.csv")])
def test_rejects_a_zip_without_exactly_one_table(tmp_path, names):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as z:
        for name in names:
            z.writestr(name, "emotion,pixels\n")
    with pytest.raises(InputError) as caught:
        load_dataset(path)
    assert caught.value.code == "no_match"


def test_skips_blank_lines_and_a_byte_order_mark(tmp_path):
    faces, labels = draw_faces(7)
    text = "\ufeff" + csv_text({"Training": (faces, labels)}).replace("\n", "\n\n") + "\n"
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    source = load_dataset(path).split("Training")
    np.testing.assert_array_equal(all_faces(source), faces)
    assert source.where(0) == f"{path}:3"


def test_reads_every_usage(tmp_path):
    faces = draw_faces(7)
    path = tmp_path / "a.csv"
    path.write_text(csv_text(dict.fromkeys(USAGES, faces)))
    assert tuple(load_dataset(path).splits) == USAGES


def test_the_cache_is_used_and_follows_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTFER_HOME", str(tmp_path / "home"))
    path = tmp_path / "a.csv"
    path.write_text(csv_text({"Training": draw_faces(14, 1)}))
    first = load_dataset(path)
    (cached,) = fer2013_csv.cache_dir().iterdir()

    def never(*_):
        raise AssertionError("parsed again")

    with monkeypatch.context() as m:
        m.setattr(fer2013_csv, "_parse_csv", never)
        again = load_dataset(path)
    np.testing.assert_array_equal(
        all_faces(again.splits["Training"]), all_faces(first.splits["Training"])
    )
    assert again.split("Training").where(3) == first.split("Training").where(3)

    cached.write_bytes(cached.read_bytes()[:1000])  # as by a full disk
    assert len(load_dataset(path).split("Training")) == 14
    path.write_text(csv_text({"Training": draw_faces(21, 2)}))
    assert len(load_dataset(path).split("Training")) == 21


def test_reads_without_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "home").write_text("a file where a folder should be")
    monkeypatch.setenv("FASTFER_HOME", str(tmp_path / "home"))
    path = tmp_path / "a.csv"
    path.write_text(csv_text({"Training": draw_faces(7)}))
    assert len(load_dataset(path).split("Training")) == 7


FACE = np.full((48, 48), 7, np.uint8)
GOOD = row(0, FACE)


BAD_ROWS = [
    ("0," + "7 " * 2303 + "7 7,Training", "2305 pixels instead of 2304"),
    ("0,7 7 7,Training", "3 pixels instead of 2304"),
    ("0,,Training", "0 pixels instead of 2304"),
    (GOOD.replace("7", "256", 1), "a pixel of 256, expected 0 to 255"),
    (GOOD.replace("7", "-1", 1), "a pixel of -1, expected 0 to 255"),
    (GOOD.replace("7", "1.5", 1), "pixels are not all integers"),
    (GOOD.replace("7", "x", 1), "pixels are not all integers"),
    (GOOD.replace("7", "99999999999999999999999", 1), "a pixel of"),
    ("7" + GOOD[1:], "unknown label '7', expected 0 to 6"),
    ("-1" + GOOD[1:], "unknown label '-1'"),
    ("9" * 5000 + GOOD[1:], "unknown label '999"),
    ("happy" + GOOD[1:], "unknown label 'happy'"),
    ("²" + GOOD[1:], "unknown label '²'"),
    (GOOD[1:], "unknown label ''"),
    (GOOD.replace("Training", "Trainig"), "unknown Usage 'Trainig', expected one of Training"),
    (GOOD.replace("Training", " "), "unknown Usage ''"),
    (GOOD + ",more", "4 columns instead of 3"),
    ("0", "1 columns instead of 3"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "what"), BAD_ROWS, ids=[w for _, w in BAD_ROWS])
def test_a_bad_row_is_named_and_stops_or_is_skipped(tmp_path, line, what):
    path = tmp_path / "a.csv"
    path.write_text(f"emotion,pixels,Usage\n{GOOD}\n{line}\n{GOOD}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_dataset(path)
    text = str(caught.value)
    assert f"{path}:3: {what}" in text
    assert caught.value.code == "damaged"
    dataset = load_dataset(path, skip_bad=True)
    assert len(dataset.split("Training")) == 2
    assert dataset.split("Training").where(1) == f"{path}:4"
    assert f"{path}:3" in describe(dataset)


def test_many_bad_rows_are_counted_and_the_first_ones_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("emotion,pixels,Usage\n" + "9,1,Training\n" * 50)
    with pytest.raises(InputError) as caught:
        load_dataset(path)
    text = str(caught.value)
    assert "50 bad rows" in text
    assert "a.csv:21:" in text
    assert "a.csv:22:" not in text


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"", "unsupported_format"),
        ("a.csv", b"emotion,pixels,Usage\n", "empty_file"),
        ("a.csv", b"label,image\n0,1\n", "unsupported_format"),
        ("a.csv", b"\xff\xfe\x00emotion", "damaged"),
        ("a.csv", b"emotion,pixels,Usage\n0," + b"1 " * 70000 + b",Training\n", "damaged"),
        ("a.csv.gz", b"not gzip at all", "damaged"),
        ("a.csv.gz", gzip.compress(GOOD.encode() * 9, mtime=0)[:60], "damaged"),
        ("a.csv.gz", gzip.compress(GOOD.encode() * 9, mtime=0)[:12] + b"\xff" * 60, "damaged"),
        ("a.csv.xz", b"not xz", "damaged"),
        ("a.zip", b"PK but no more", "damaged"),
    ],
)
def test_rejects_a_file_that_is_not_the_table(tmp_path, name, content, code):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_dataset(path, skip_bad=True)
    assert caught.value.code == code
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["long line", "long header", "many lines"])
def test_a_small_archive_of_gigabytes_is_refused(tmp_path, monkeypatch, kind):
    """Nothing is read beyond a line that is too long, nor beyond too many lines."""
    monkeypatch.setattr(fer2013_csv, "MAX_LINES", 2000)
    path = tmp_path / "fer2013.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("fer2013.csv", "w", force_zip64=True) as file,
    ):
        if kind != "long header":
            file.write(b"emotion,pixels,Usage\n")
        block = b"0,1,Training\n" * 1000 if kind == "many lines" else bytes(1 << 20)
        for _ in range(64):
            file.write(block)
    tracemalloc.start()
    try:
        with raises(InputError, "damaged", "fer2013.zip"):
            load_dataset(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000
