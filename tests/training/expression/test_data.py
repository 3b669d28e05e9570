"""Data sets: splits, classes, held-out faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastfer.errors import InputError, UsageError
from fastfer.labels import EMOTIONS
from tests.helpers.drawn_faces import csv_text, draw_faces, row, write_folders
from tests.helpers.errors import raises
from training.expression.data import (
    FIVE_CLASSES,
    balanced_weights,
    class_counts,
    load_dataset,
)
from training.expression.face_sources import ArraySource, FaceSource


def all_faces(source: FaceSource) -> np.ndarray:
    return source.load(np.arange(len(source)))


def test_without_usage_all_faces_are_for_training(tmp_path):
    faces, labels = draw_faces(14)
    path = tmp_path / "a.csv"
    lines = [row(k, f).rsplit(",", 1)[0] for f, k in zip(faces, labels, strict=True)]
    path.write_text("\n".join(["emotion,pixels", *lines]))
    dataset = load_dataset(path)
    assert len(dataset.split("Training")) == 14
    with raises(UsageError, "usage", "--split fraction"):
        dataset.training_and_validation()


def test_missing_data_and_unknown_splits_are_rejected(tmp_path, faces_csv):
    for call, code in (
        (lambda: load_dataset(tmp_path / "nowhere"), "not_found"),
        (lambda: load_dataset(faces_csv, classes=6), "out_of_range"),
        (lambda: load_dataset(faces_csv).split("PrivateTest"), "unknown_option"),
    ):
        with pytest.raises((InputError, UsageError)) as caught:
            call()
        assert caught.value.code == code


def test_a_validation_share_is_stratified_and_repeatable(faces_csv):
    dataset = load_dataset(faces_csv)
    train, val = dataset.training_and_validation(0.2, seed=3)
    assert (len(train), len(val)) == (168, 42)
    assert set(class_counts(val, EMOTIONS).values()) == {6}
    places = {val.where(i) for i in range(len(val))} | {train.where(i) for i in range(len(train))}
    assert len(places) == 210  # every face once
    _, again = dataset.training_and_validation(0.2, seed=3)
    _, other = dataset.training_and_validation(0.2, seed=4)
    np.testing.assert_array_equal(all_faces(again), all_faces(val))
    assert not np.array_equal(all_faces(other), all_faces(val))


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_validation_share_outside_0_to_1_is_rejected(faces_csv, share):
    with raises(UsageError, "out_of_range", "--val-fraction"):
        load_dataset(faces_csv).training_and_validation(share)


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_validation_share_must_leave_faces_on_both_sides(faces_csv, share):
    with raises(UsageError, "usage", "--val-fraction"):
        load_dataset(faces_csv).training_and_validation(share)


def test_five_classes_exclude_disgust_and_fear(faces_csv, votes_csv, parts):
    dataset = load_dataset(faces_csv, votes=votes_csv, classes=5)
    assert dataset.classes == FIVE_CLASSES
    faces, labels = parts["Training"]
    kept = [i for i, k in enumerate(labels) if EMOTIONS[k] in FIVE_CLASSES]
    source = dataset.split("Training")
    np.testing.assert_array_equal(all_faces(source), faces[kept])
    assert [FIVE_CLASSES[k] for k in source.labels] == [EMOTIONS[labels[i]] for i in kept]
    assert source.votes.shape == (len(kept), 5)
    total = source.votes.sum(axis=1)
    assert set(np.round(total, 5)) == {0, 1}


def test_a_split_without_faces_is_rejected(tmp_path):
    faces, labels = draw_faces(14)
    fear = labels == EMOTIONS.index("fear")
    path = tmp_path / "a.csv"
    path.write_text(
        csv_text({"Training": (faces, labels), "PublicTest": (faces[fear], labels[fear])})
    )
    with raises(InputError, "empty_file", "PublicTest"):
        load_dataset(path, classes=5).training_and_validation()


def test_an_empty_folder_is_an_empty_split(tmp_path):
    (tmp_path / "test").mkdir()
    write_folders(tmp_path, {"train": draw_faces(7)}, ".png")
    with pytest.raises(InputError) as caught:
        load_dataset(tmp_path).split("test")
    assert caught.value.code == "empty_file"


def test_balanced_weights_by_hand():
    labels = np.array([0, 0, 0, 1])
    source = ArraySource(np.zeros((4, 48, 48), np.uint8), labels, None, labels, Path("x"))
    # 4 faces, 3 classes: 4 / (3 * 3), 4 / (3 * 1); a class without faces divides by one.
    np.testing.assert_allclose(balanced_weights(source, 3), [4 / 9, 4 / 3, 4 / 3], rtol=1e-6)


def test_data_without_training_faces_is_rejected(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(csv_text({"PublicTest": draw_faces(7)}))
    for share in (None, 0.2):
        with raises(UsageError, "usage", "PublicTest"):
            load_dataset(path).training_and_validation(share)


def test_reads_the_original_file(shared):
    folder = shared / "data" / "fer2013"
    dataset = load_dataset(folder / "fer2013.csv.xz", votes=folder / "fer2013new.csv")
    assert {k: len(v) for k, v in dataset.splits.items()} == {"Training": 28709, "PublicTest": 3589}
    counts = class_counts(dataset.split("Training"), dataset.classes)
    assert counts == {
        "angry": 3995, "disgust": 436, "fear": 4097, "happy": 7215, "sad": 4830,
        "surprise": 3171, "neutral": 4965,
    }  # fmt: skip
    agree = dataset.split("PublicTest")
    voted = agree.votes.any(axis=1)
    assert voted.mean() > 0.9
    # Votes and FER-2013 labels agree on about two thirds of the faces.
    assert 0.5 < (agree.votes[voted].argmax(axis=1) == agree.labels[voted]).mean() < 0.8
