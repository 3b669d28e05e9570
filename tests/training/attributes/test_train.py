"""Training of the attribute network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.attribute_faces import random_faces
from training.attributes import batches, train
from training.attributes.fairface import GROUPS, Faces
from training.attributes.network import load


def test_held_out_faces_are_not_trained_on() -> None:
    faces = random_faces(100)
    training, held_out = train.split(faces)
    assert len(held_out) > 0
    assert training.found.all()
    known = {face.tobytes() for face in training.pixels}
    assert not any(face.tobytes() in known for face in held_out.pixels)
    assert len(training) + len(held_out) == faces.found.sum()


def test_faces_of_a_group_can_come_twice(
    attribute_faces: Path, attribute_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Faces] = []

    class Recording(batches.AttributeBatches):
        def __init__(self, faces: Faces, *arguments: object, **options: object) -> None:
            shown.append(faces)
            super().__init__(faces, *arguments, **options)

    monkeypatch.setattr(batches, "AttributeBatches", Recording)
    out = tmp_path / "run"
    words = ["--data", str(attribute_faces), "--out", str(out), "--epochs", "1", "--inner", "48"]
    assert train.main([*words, "--repeat-group", "Indian, White"]) == 0
    once, val = train.split(Faces.read(attribute_faces, "train"))
    for number, name in enumerate(GROUPS):
        times = 2 if name in ("Indian", "White") else 1
        assert (shown[0].group == number).sum() == times * (once.group == number).sum()
    assert len(shown[1]) == len(val)
    assert load(out).count_params() < load(attribute_run).count_params()
    assert json.loads((out / "config.json").read_text())["repeat_group"] == ["Indian", "White"]


def test_unknown_groups_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main(["--data", "x", "--out", "y", "--repeat-group", "Martian"])
    assert "'Martian'" in capsys.readouterr().err
