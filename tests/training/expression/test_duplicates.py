"""Identical pictures in training and in splits that a network is measured on."""

from __future__ import annotations

import numpy as np

from tests.helpers.drawn_faces import csv_text, draw_faces
from training.expression.data import load_dataset
from training.expression.duplicates import straddling_duplicates


def test_duplicates_that_straddle_the_split_are_found(tmp_path):
    (a, ka), (b, kb) = draw_faces(14, 1), draw_faces(14, 2)
    b[3] = a[5]
    a[7] = a[8]  # duplicates within one split are no leak
    path = tmp_path / "a.csv"
    path.write_text(csv_text({"Training": (a, ka), "PublicTest": (b, kb)}))
    dataset = load_dataset(path)
    train = dataset.split("Training")
    assert straddling_duplicates(train, dataset.evaluated_splits(None)) == [
        {"training": [f"{path}:7"], "PublicTest": [f"{path}:19"]}
    ]


def test_duplicates_are_searched_in_all_evaluation_splits(tmp_path):
    faces, labels = draw_faces(28)
    others = draw_faces(28, 2)[0]
    copies = np.concatenate([faces, others[:4]])  # 0 to 3 are not in training
    path = tmp_path / "a.csv"
    path.write_text(
        csv_text(
            {
                "Training": (faces, labels),
                "PublicTest": (copies, np.append(labels, labels[:4])),
                "PrivateTest": (others, labels),
            }
        )
    )
    dataset = load_dataset(path)
    train, val = dataset.training_and_validation(0.5)
    evaluated = dataset.evaluated_splits(val)
    assert list(evaluated) == ["the held-out faces", "PublicTest", "PrivateTest"]
    groups = straddling_duplicates(train, evaluated)
    assert len(groups) == len(train)
    assert all(set(group) == {"training", "PublicTest"} for group in groups)
