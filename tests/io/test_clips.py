"""Which videos the paths of a command name."""

from __future__ import annotations

from pathlib import Path

from fastfer.io.clips import find_clips


def test_a_directory_stands_for_its_videos_in_natural_order(tmp_path: Path) -> None:
    for name in ("10.mp4", "2.MKV", ".hidden.mp4", "1.jpg", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    found = find_clips(["x.mp4", str(tmp_path)])
    assert found == ["x.mp4", str(tmp_path / "2.MKV"), str(tmp_path / "10.mp4")]


def test_a_directory_of_pictures_stays(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    assert find_clips([str(tmp_path)]) == [str(tmp_path)]
