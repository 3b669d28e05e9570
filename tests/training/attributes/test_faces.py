"""Cropped faces of FairFace."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastfer.engine import Engine
from training.attributes.faces import crop_faces, main
from training.attributes.fairface import AGES, Faces, read_table


def test_the_face_of_a_photo_is_cropped(fairface: Path) -> None:
    faces = crop_faces(read_table(fairface, "val"), Engine(threads=1))
    assert faces.found.tolist() == [True, False]
    assert faces.quality[0] > 0
    assert faces.pixels[0].std() > 20
    assert not faces.pixels[1].any()


def test_command_writes_what_training_reads(
    fairface: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "faces"
    assert main(["--data", str(fairface), "--out", str(out)]) == 0
    assert "50.00%" in capsys.readouterr().out
    faces = Faces.read(out, "train")
    assert len(faces) == 2
    assert faces.age.tolist() == [AGES.index("30-39"), AGES.index("3-9")]
    assert len(faces.take(faces.found)) == 1
    assert main(["--data", str(tmp_path / "none"), "--out", str(out)]) == 3
