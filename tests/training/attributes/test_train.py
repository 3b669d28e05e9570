"""Training of the attribute network."""

from __future__ import annotations

from tests.helpers.attribute_faces import random_faces
from training.attributes import train


def test_held_out_faces_are_not_trained_on() -> None:
    faces = random_faces(100)
    training, held_out = train.split(faces)
    assert len(held_out) > 0
    assert training.found.all()
    known = {face.tobytes() for face in training.pixels}
    assert not any(face.tobytes() in known for face in held_out.pixels)
    assert len(training) + len(held_out) == faces.found.sum()
