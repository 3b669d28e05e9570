"""Long videos in segments: the frames, times and tracks of the unsplit video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from fastfer.batch.job import Job, JobOptions, Progress
from fastfer.batch.segments import Seam, join
from fastfer.batch.setup import Setup
from tests.helpers.batch_jobs import Interrupted, rows, run
from tests.helpers.clips import empty_scene, moving_face, write_video

FRAMES = 188


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 seconds in which a face is in view, leaves, and comes back."""
    first, empty, again = 90, 20, 78
    frames = moving_face(first, side=200, speed=6) + empty_scene(empty, side=200)
    frames += moving_face(again, side=200, speed=6)
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4", frames, fps=FRAMES / 30)


@pytest.fixture(scope="session")
def whole(
    film: Path, tmp_path_factory: pytest.TempPathFactory, real_engine: dict[str, Any]
) -> list[dict[str, Any]]:
    """Its rows without segments."""
    out = tmp_path_factory.mktemp("whole") / "t.parquet"
    run([film], out, real_engine, segment=0)
    return rows(out)


def test_a_film_in_segments(
    film: Path, whole: list[dict[str, Any]], tmp_path: Path, real_engine: dict[str, Any]
) -> None:
    summary = run([film], tmp_path / "t.parquet", real_engine, jobs=2, segment=6.0)
    split = rows(tmp_path / "t.parquet")
    assert summary.counts["videos"] == 1
    assert summary.counts["frames"] == FRAMES
    assert summary.counts["faces"] == sum(r["face_index"] is not None for r in split)

    def keys(table: list[dict[str, Any]]) -> list[Any]:
        return [(r["frame_index"], round(r["pts"], 4)) for r in table]

    assert sorted(set(keys(split))) == sorted(set(keys(whole)))
    faces = {r["frame_index"]: r for r in whole if r["face_index"] is not None}
    found = {r["frame_index"]: r for r in split if r["face_index"] is not None}
    assert len(faces.keys() ^ found.keys()) < 0.05 * len(faces)
    both = faces.keys() & found.keys()
    assert all(faces[i]["track_id"] == found[i]["track_id"] for i in both)
    assert all(abs(faces[i]["box_x"] - found[i]["box_x"]) < 12 for i in both)


@pytest.mark.parametrize("tasks", [3, 7])
def test_an_interrupted_film_goes_on(
    tasks: int, film: Path, whole: list[dict[str, Any]], tmp_path: Path, real_engine: dict[str, Any]
) -> None:
    options = JobOptions(jobs=0, segment=6.0)
    setup = Setup(str(tmp_path / "t.parquet"), real_engine, segment=6.0)
    with pytest.raises(KeyboardInterrupt):
        Job(
            [str(film)], (), setup, options, Progress(),
            make_pool=lambda setup, _: Interrupted(setup, tasks),
        ).run()  # fmt: skip
    summary = run([film], tmp_path / "t.parquet", real_engine, segment=6.0)
    assert summary.counts["frames"] == FRAMES
    found = [r["frame_index"] for r in rows(tmp_path / "t.parquet") if not r["face_index"]]
    assert found == list(range(FRAMES))


def test_tracks_are_joined_by_their_boxes() -> None:
    first = Seam(tracks=(1, 2), tail={9.0: {1: (0, 0, 10, 10), 2: (50, 0, 10, 10)}})
    second = Seam(
        tracks=(1, 2, 3),
        head={9.0: {1: (51, 0, 10, 10), 2: (1, 0, 10, 10)}, 9.1: {1: (51, 0, 10, 10)}},
    )
    third = Seam(tracks=(1,))
    assert join([first, second, third]) == [{1: 1, 2: 2}, {1: 2, 2: 1, 3: 3}, {1: 4}]
