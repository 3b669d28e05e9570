"""The estimate of ``--dry-run``: what there is, and that nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastfer.batch.estimate import Estimate, estimate
from fastfer.batch.setup import Setup
from fastfer.batch.sources import Sources
from fastfer.errors import ModelError
from tests.helpers.errors import raises


def test_everything_is_counted_and_a_little_analysed(
    album: Path, clip: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    (album / "x.heic").touch()
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    sources = [str(album), str(clip), str(tmp_path / "broken.mp4"), str(tmp_path / "*.png")]
    before = sorted(tmp_path.rglob("*"))
    found = estimate(Sources(sources), Setup("t.csv", engine), jobs=2)
    assert (found.photos, found.videos, found.jobs) == (13, 2, 2)
    assert (found.problems, found.skipped) == ({"no_match": 1}, {".heic": 1})
    assert found.seconds is not None
    assert found.seconds > 0
    assert sorted(tmp_path.rglob("*")) == before


def test_without_photos_no_model_is_loaded(tmp_path: Path) -> None:
    setup = Setup("t.csv", {"model": str(tmp_path / "none.onnx")})
    found = estimate(Sources([str(tmp_path / "*.jpg")]), setup, jobs=None)
    assert (found.photos, found.videos, found.seconds) == (0, 0, None)
    assert found.jobs >= 1


def test_models_are_loaded(album: Path, tmp_path: Path) -> None:
    with raises(ModelError, "not_found"):
        estimate(Sources([str(album)]), Setup("t.csv", {"model": tmp_path / "none.onnx"}), 1)


def test_lines() -> None:
    text = Estimate(1200, 3, {"no_match": 2}, 4, 7300.0, {".heic": 1}).text()
    values = {line[:10].strip(): line[10:] for line in text.splitlines()}
    assert values == {
        "photos": "1,200",
        "videos": "3",
        "unread": "2: no_match 2",
        "skipped": "1 in other formats: .heic 1",
        "time": "about 2 h 2 min with --jobs 4",
    }
    assert len(Estimate(0, 0, {}, 4, None).text().splitlines()) == 2
