"""The commands write the same faces as JSON Lines and CSV, for photos and videos."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from fastfer.image import main as image_main
from fastfer.outputs.columns import JSON_KEYS
from fastfer.video import main as video_main
from tests.helpers.clips import empty_scene, moving_face, write_video
from tests.helpers.commands import image, python
from tests.helpers.output_files import check_with_pandas, rows_of_csv, rows_of_json_lines
from tests.helpers.pictures import astronaut

KINDS = pytest.mark.parametrize("kind", ["photos", "video"])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two runs each over a folder of photos and over a clip, in other processes: ``KIND-RUN.jsonl``
    and ``.csv``."""
    folder = tmp_path_factory.mktemp("commands")
    album = folder / "album"
    album.mkdir()
    cv2.imwrite(str(album / "face.png"), astronaut())
    cv2.imwrite(str(album / "empty.png"), empty_scene(1)[0])
    (album / "void.jpg").touch()
    clip = write_video(folder / "clip.mp4", moving_face(10) + empty_scene(3))

    def words(kind: str, source: Path, run: int) -> list[str]:
        rows = (f"--{suffix}={folder / f'{kind}-{run}.{suffix}'}" for suffix in ("jsonl", "csv"))
        return [str(source), *rows]

    assert image(*words("photos", album, 1)).returncode == 3
    assert image_main(words("photos", album, 2)) == 3
    done = python("-m", "fastfer.video", *words("video", clip, 1))
    assert done.returncode == 0, done.stderr
    assert video_main(words("video", clip, 2)) == 0
    return {path.name: path for path in folder.iterdir()}


@KINDS
def test_csv_equals_json_lines(files: dict[str, Path], kind: str) -> None:
    expected = rows_of_json_lines(files[f"{kind}-1.jsonl"])
    assert any(row["emotion"] for row in expected)
    assert any(row["face_index"] is None for row in expected)
    assert rows_of_csv(files[f"{kind}-1.csv"]) == expected
    check_with_pandas(files[f"{kind}-1.csv"], expected)


@KINDS
def test_the_same_input_produces_the_same_bytes(files: dict[str, Path], kind: str) -> None:
    for suffix in ("jsonl", "csv"):
        first, second = (files[f"{kind}-{run}.{suffix}"].read_bytes() for run in (1, 2))
        assert first == second


@KINDS
def test_all_objects_have_the_documented_keys(files: dict[str, Path], kind: str) -> None:
    lines = files[f"{kind}-1.jsonl"].read_text("utf-8").splitlines()
    for record in map(json.loads, lines):
        assert tuple(record) == JSON_KEYS
        assert record["source"]


def test_a_failed_photo_has_an_error_code(files: dict[str, Path]) -> None:
    rows = rows_of_csv(files["photos-1.csv"])
    codes = {Path(row["source"]).name: row["error_code"] for row in rows}
    assert codes == {"face.png": None, "empty.png": None, "void.jpg": "empty_file"}
