"""Targets: labels, votes, smoothing, teachers and class weights."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fastfer.labels import EMOTIONS
from tests.helpers.drawn_faces import FERPLUS_NAMES, csv_text, draw_faces, votes_text
from training.expression import targets
from training.expression.attribute_weights import attribute_weights
from training.expression.config import ExpressionConfig
from training.expression.data import balanced_weights, load_dataset
from training.expression.ferplus_targets import label_given_votes
from training.expression.targets import make_targets


def targets_of(dataset, **options):
    config = ExpressionConfig(data="x", epochs=1, batch_size=8, learning_rate=0.1, **options)
    return make_targets(config, *dataset.training_and_validation(), dataset.classes)


def test_class_weights_and_smoothing_change_only_the_training_targets(tmp_path):
    faces, labels = draw_faces(70, 3)
    keep = np.flatnonzero((labels != 3) | (np.arange(70) % 2 == 0))
    path = tmp_path / "a.csv"
    path.write_text(
        csv_text({"Training": (faces[keep], labels[keep]), "PublicTest": (faces, labels)})
    )
    dataset = load_dataset(path)
    train_targets, val_targets = targets_of(dataset, class_weight="balanced", label_smoothing=0.07)
    source = dataset.split("Training")
    rows = train_targets["fer2013"]
    weight = rows.sum(axis=1)
    counts = np.bincount(source.labels)
    np.testing.assert_allclose(weight, len(source) / (7 * counts[source.labels]), rtol=1e-5)
    assert weight.mean() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(rows.max(axis=1) / weight, 0.93 + 0.01, rtol=1e-5)
    np.testing.assert_array_equal(
        val_targets["fer2013"], np.eye(7)[dataset.split("PublicTest").labels]
    )


def test_votes_smooth_the_labels_of_faces_with_votes(faces_csv, votes_csv):
    dataset = load_dataset(faces_csv, votes=votes_csv)
    source = dataset.split("Training")
    train_targets, val_targets = targets_of(dataset, vote_smoothing=0.25, class_weight="balanced")
    rows = train_targets["fer2013"]
    counts = np.bincount(source.labels, minlength=7)
    weight = len(source) / (7 * counts[source.labels])
    voted = source.votes.any(axis=1)
    assert voted.any()
    assert not voted.all()
    labels = np.eye(7)[source.labels]
    expected = np.where(
        voted[:, None],
        0.75 * labels + 0.25 * label_given_votes(source.votes, source.labels),
        labels,
    )
    np.testing.assert_allclose(rows, expected * weight[:, None], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(
        val_targets["fer2013"], np.eye(7)[dataset.split("PublicTest").labels]
    )


def test_weights_by_age_and_gender_multiply_the_class_weights(tmp_path):
    faces, labels = draw_faces(35, 3)
    (tmp_path / "a.csv").write_text(
        csv_text({"Training": (faces, labels), "PublicTest": (faces, labels)})
    )
    dataset = load_dataset(tmp_path / "a.csv")
    plain, _ = targets_of(dataset, class_weight="balanced")
    weighted, validation = targets_of(
        dataset, class_weight="balanced", older_weight=4, male_weight=2
    )
    factor = attribute_weights(dataset.split("Training"), 4, 2)[:, None]
    assert np.ptp(factor) > 0.01
    np.testing.assert_allclose(weighted["fer2013"], plain["fer2013"] * factor, rtol=1e-5)
    np.testing.assert_array_equal(validation["fer2013"].sum(axis=1), 1)


def test_class_weights_apply_to_labels_votes_and_teachers(tmp_path, monkeypatch):
    """The sum of each row is the weight of its face."""
    faces, labels = draw_faces(70, 3)
    keep = np.flatnonzero((labels != 3) | (np.arange(70) % 2 == 0))
    faces, labels = faces[keep], labels[keep]
    data, votes = tmp_path / "a.csv", tmp_path / "v.csv"
    data.write_text(csv_text({"Training": (faces, labels), "PublicTest": (faces, labels)}))
    counts = [
        {FERPLUS_NAMES[EMOTIONS[k]]: 10} if i % 9 else {"unknown": 10} for i, k in enumerate(labels)
    ] * 2
    votes.write_text(votes_text(["Training"] * len(keep) + ["PublicTest"] * len(keep), counts))
    dataset = load_dataset(data, votes=votes)
    source = dataset.split("Training")
    taught = np.random.default_rng(0).dirichlet(np.ones(7), len(source)).astype(np.float32)
    teacher = SimpleNamespace(predict_all=lambda _: {"fer2013": taught, "ferplus": taught})
    monkeypatch.setattr(targets, "Teachers", lambda *_: teacher)
    found, _ = targets_of(
        dataset, targets="both", class_weight="balanced", distill=("a.onnx",), distill_share=0.7
    )
    weight = balanced_weights(source, 7)[source.labels]
    assert np.ptp(weight) > 0.3
    np.testing.assert_allclose(found["fer2013"].sum(axis=1), weight, rtol=1e-5)
    voted = source.votes.any(axis=1)
    assert not voted.all()
    for rows, own in (
        (found["fer2013"], np.eye(7)[source.labels]),
        (found["ferplus"], source.votes),
    ):
        np.testing.assert_allclose(rows, (0.3 * own + 0.7 * taught) * weight[:, None], rtol=1e-4)
