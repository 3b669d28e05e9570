"""What the options keep out of the files that commands write."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

import fastfer
from fastfer.cli.main import main
from tests.helpers.clips import moving_face, portrait, write_video


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), portrait())
    return path


@pytest.mark.parametrize("options", [["--blur", "faces"], ["--pixelate"]])
def test_saved_photos_show_no_face(photo: Path, options: list[str]) -> None:
    out = photo.parent / "out"
    rows = photo.parent / "rows.jsonl"
    arguments = ["image", str(photo), "--save", str(out), "--jsonl", str(rows), *options]
    assert main([*arguments, "--no-landmarks"]) == 0
    (face,) = json.loads(rows.read_text())["faces"]
    assert (face["emotion"], face["landmarks"]) == ("happy", None)
    saved = cv2.imread(str(out / "photo.png"))
    assert not [face for face in fastfer.analyze(saved) if face.emotion == "happy"]


def test_blurred_eyes_leave_the_rest(photo: Path) -> None:
    results = {}
    for name, options in (("plain", []), ("eyes", ["--blur", "eyes"])):
        out = photo.parent / name
        assert main(["image", str(photo), "--save", str(out), *options]) == 0
        results[name] = cv2.imread(str(out / "photo.png"))
    changed = (results["plain"] != results["eyes"]).any(axis=2)
    assert 0.001 < changed.mean() < 0.05


def test_videos_their_plots_and_reports(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", moving_face(24))
    rows, saved, report = tmp_path / "a.jsonl", tmp_path / "a.mp4", tmp_path / "a.html"
    outputs = ["--jsonl", str(rows), "--save", str(saved), "--report", str(report)]
    assert main(["video", str(clip), *outputs, "--pixelate", "--no-landmarks"]) == 0
    faces = [face for line in rows.read_text().splitlines() for face in json.loads(line)["faces"]]
    assert faces
    assert all(face["landmarks"] is None for face in faces)
    seen = sum(len(result) for result in fastfer.stream(str(saved), detect_every=1))
    assert seen < len(faces) / 4
    page = report.read_text(encoding="utf-8")
    assert '"id":1' in page
    assert "data:image/jpeg" in page
