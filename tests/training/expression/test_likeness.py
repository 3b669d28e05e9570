"""Likeness: the crops that it is fitted to, and the regression."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from fastfer.classifiers.native import EmotionClassifier
from fastfer.errors import InputError
from tests.helpers.drawn_faces import draw_faces
from tests.helpers.errors import raises
from training.expression import export, likeness
from training.expression.onnx_graph import _heads


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Twelve photos of noise for training, half of them with a drawn face; one more to validate."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    lines = []
    for i in range(13):
        image = rng.integers(0, 255, (120, 160), np.uint8)
        face = i % 2 == 0
        if face:
            image[20:68, 30:78] = draw_faces(13)[0][i]
        cv2.imwrite(str(tmp_path / "images" / f"{i}.png"), image)
        lines.append(
            {
                "file": f"{i}.png", "split": "train" if i < 12 else "val",
                "kind": "face" if face else "neg",
                "faces": [{"box": [30, 20, 48, 48], "score": 0.9}] if face else [],
                "fp": [] if i else [{"box": [90, 50, 30, 20]}],
            }
        )  # fmt: skip
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_crops(labels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likeness, "FACE_SHARE", 1.0)
    faces, squares, errors = likeness.read_crops(labels, "train")
    assert [len(crops) for crops in (faces, squares, errors)] == [6, 6 * likeness.SQUARES, 1]
    assert faces.shape[1:] == (48, 48, 1)
    assert 0 <= faces.min() < faces.max() <= 1
    validation = likeness.read_crops(labels, "val")
    assert [len(crops) for crops in validation] == [1, 0, 0]


def test_photos_that_cannot_be_read(labels: Path, tmp_path: Path) -> None:
    with raises(InputError, "damaged", "absent.jsonl"):
        likeness.read_crops(tmp_path / "absent.jsonl", "train")
    (labels.parent / "images" / "1.png").write_bytes(b"no picture")
    with raises(InputError, "damaged", "1.png"):
        likeness.read_crops(labels, "train")
    labels.write_text("{}")
    with raises(InputError, "damaged", "labels.jsonl"):
        likeness.read_crops(labels, "train")


def test_separable_groups_are_separated() -> None:
    rng = np.random.default_rng(0)
    centre = np.array([2.0, 0, 0, 0])
    groups = [
        (rng.normal(centre * sign, 1, (200, 4)).astype(np.float32), sign > 0, weight)
        for sign, weight in ((1, 1.0), (-1, 1.0), (-1, 0.25))
    ]
    kernel, bias = likeness.fit_likeness(groups)
    assert kernel.shape == (4,)
    assert (np.concatenate([f for f, *_ in groups[:1]]) @ kernel + bias > 0).mean() > 0.9
    assert (np.concatenate([f for f, *_ in groups[1:]]) @ kernel + bias < 0).mean() > 0.9


def test_groups_count_as_their_weights_say() -> None:
    """Two groups of non-faces on both sides of the faces: the heavier one is recognised."""
    rng = np.random.default_rng(0)
    faces, left, right = (rng.normal(at, 0.5, (300, 1)).astype(np.float32) for at in (0, -2, 2))
    for weight, recognised in ((0.05, left), (20.0, right)):
        kernel, bias = likeness.fit_likeness(
            [(faces, True, 1.0), (left, False, 1.0), (right, False, weight)]
        )
        assert (recognised @ kernel + bias < 0).mean() > 0.9


def test_the_output_stays_in_float32(
    two_heads: Path, labels: Path, tmp_path: Path, parts: dict
) -> None:
    out = tmp_path / "m.onnx"
    words = [two_heads, "--out", out, "--int8", "--allow-drop", 0.2, "--nonfaces", labels]
    assert export.main([str(w) for w in words]) == 0
    classifier = EmotionClassifier(out)
    assert classifier.contract.likeness == "likeness"
    faces = parts["PublicTest"][0].astype(np.float32)[..., None] / 255
    probabilities, odds = classifier.classify(faces)
    assert odds is not None
    assert (odds > 0).mean() > 0.9
    trained = parts["Training"][0].astype(np.float32)[..., None] / 255
    below = (classifier.classify(trained).likeness < 0).mean()
    assert below == pytest.approx(likeness.FACES_BELOW, abs=0.03)
    assert probabilities.shape == (70, 7)
    graph = onnx.load(out).graph
    heads = [node for node in graph.node if node.name in _heads(out)]
    assert {output.name for output in graph.output} <= {n for h in heads for n in h.output}
    assert not {"QuantizeLinear", "DequantizeLinear"} & {node.op_type for node in heads}
