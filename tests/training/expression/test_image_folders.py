"""FER-2013 as image folders."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastfer.errors import InputError
from fastfer.labels import EMOTIONS
from tests.helpers.drawn_faces import draw_faces, write_folders
from tests.helpers.errors import raises
from training.expression.data import class_counts, load_dataset
from training.expression.duplicates import straddling_duplicates


@pytest.mark.parametrize("validation", ["test", "validation"])
def test_reads_image_folders(tmp_path, parts, validation):
    named = {"train": parts["Training"], validation: parts["PublicTest"]}
    dataset = load_dataset(write_folders(tmp_path, named, ".png"))
    train, val = dataset.training_and_validation()
    assert (len(train), len(val)) == (210, 70)
    assert set(class_counts(train, EMOTIONS).values()) == {30}
    faces, labels = parts["PublicTest"]
    for i in range(0, 70, 9):
        number = int(Path(val.where(i)).stem)
        np.testing.assert_array_equal(val.load(np.array([i]))[0], faces[number])
        assert val.labels[i] == labels[number]


def test_reads_folders_with_other_names_and_other_files(tmp_path):
    for name in ("Anger", "happiness", "SURPRISED"):
        folder = tmp_path / "train" / name
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "a.JPG"), np.full((48, 48), 7, np.uint8))
        (folder / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "notes").mkdir()
    source = load_dataset(tmp_path).split("train")
    assert sorted(EMOTIONS[k] for k in source.labels) == ["angry", "happy", "surprise"]


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n broken"])
def test_an_unreadable_image_is_named_and_stops_or_is_skipped(tmp_path, content):
    write_folders(tmp_path, {"train": draw_faces(7)}, ".png")
    bad = tmp_path / "train" / "happy" / "bad.png"
    bad.write_bytes(content)
    with raises(InputError, "damaged", "bad.png"):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path, skip_bad=True).split("train")) == 7


def test_an_unknown_emotion_folder_is_named(tmp_path):
    write_folders(tmp_path, {"train": draw_faces(7)}, ".png")
    (tmp_path / "train" / "contempt").mkdir()
    with raises(InputError, "damaged", "contempt"):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path, skip_bad=True).split("train")) == 7


def test_rejects_folders_without_faces(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError) as caught:
        load_dataset(tmp_path)
    assert caught.value.code == "no_pictures"


def test_folders_stream_with_bounded_memory(tmp_path):
    """Three times the pictures need no more memory, except for their paths."""
    pytest.importorskip("keras")
    from training.expression.augment import Augmentation
    from training.expression.batches import FaceBatches, label_targets

    faces, labels = draw_faces(21)
    large = np.stack([cv2.resize(f, (120, 120)) for f in faces])

    def peak(copies: int) -> int:
        root = tmp_path / str(copies)
        write_folders(
            root, {"train": (np.tile(large, (copies, 1, 1)), np.tile(labels, copies))}, ".bmp"
        )
        tracemalloc.start()
        source = load_dataset(root).split("train")
        straddling_duplicates(source, {})
        targets = {"logits": label_targets(source.labels, 7)}
        batches = FaceBatches(source, targets, 16, Augmentation(), seed=1)
        assert sum(len(batches[i][0]) for i in range(len(batches))) == 21 * copies
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)  # warm-up: allocations that happen once
    # Both numbers are above the faces of one chunk.
    few, many = peak(13), peak(39)
    assert many - few < (39 - 13) * 21 * 48 * 48, "less than the packed faces alone"


def oversized_png() -> bytes:
    """A picture of 60000 x 60000 pixels in a few bytes; OpenCV refuses it by an exception."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["folder", "dangling", "oversized"])
def test_what_only_has_the_name_of_a_picture_is_bad(tmp_path, kind):
    write_folders(tmp_path, {"train": draw_faces(7)}, ".png")
    bad = tmp_path / "train" / "happy" / "bad.png"
    if kind == "folder":
        bad.mkdir()
    elif kind == "dangling":
        bad.symlink_to(tmp_path / "absent.png")
    else:
        bad.write_bytes(oversized_png())
    with raises(InputError, "damaged", "bad.png"):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path, skip_bad=True).split("train")) == 7


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    """Those of macOS and of notebooks."""
    write_folders(tmp_path, {"train": draw_faces(7)}, ".png")
    (tmp_path / "train" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "train" / "happy" / "._0.png").write_bytes(b"no picture")
    dataset = load_dataset(tmp_path)
    assert len(dataset.split("train")) == 7
    assert dataset.bad.found == []


def test_data_of_bad_pictures_alone_is_refused_even_if_they_are_skipped(tmp_path):
    folder = tmp_path / "train" / "happy"
    folder.mkdir(parents=True)
    (folder / "bad.png").write_bytes(b"no picture")
    with raises(InputError, "empty_file", "bad.png"):
        load_dataset(tmp_path, skip_bad=True)


def test_names_of_splits_may_be_capitalised(tmp_path):
    write_folders(tmp_path, {"Train": draw_faces(7), "TEST": draw_faces(7)}, ".png")
    train, val = load_dataset(tmp_path).training_and_validation()
    assert (len(train), len(val)) == (7, 7)


def test_two_folders_of_one_split_are_refused(tmp_path):
    write_folders(tmp_path, {"train": draw_faces(7), "Train": draw_faces(7)}, ".png")
    if len([*tmp_path.iterdir()]) == 1:
        pytest.skip("this file system knows no capitals")
    with raises(InputError, "unreadable_input", "train", "Train"):
        load_dataset(tmp_path)
