"""``fastfer video`` with several sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastfer.cli.several_videos import named_outputs
from fastfer.cli.video import parse
from tests.helpers.clips import moving_face, write_video
from tests.helpers.commands import DETECTOR, Run


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_video(folder / "b10.mp4", moving_face(9))
    write_video(folder / "b9.mp4", moving_face(6))
    (folder / "a").mkdir()
    write_video(folder / "a" / "one.mp4", moving_face(4))
    whole = write_video(folder / "a" / "cut.avi", moving_face(20))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return folder


@pytest.fixture
def video(run_fastfer: Run) -> Run:
    """``fastfer video``, which starts a process for each source."""
    return lambda *args: run_fastfer("video", "--detector", DETECTOR, *args)


def test_rows_of_all_sources_in_order(clips: Path, tmp_path: Path, video: Run) -> None:
    wanted = ["a/one.mp4", "b9.mp4", "b10.mp4"]
    paths = []
    for jobs in ("1", "3"):
        path = tmp_path / f"{jobs}.jsonl"
        done = video(
            clips / "a" / "one.mp4", clips, "--jobs", jobs, "--jsonl", path, "--csv",
            path.with_suffix(".csv"),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        paths.append(path)
    rows = [json.loads(line) for line in paths[0].read_text().splitlines()]
    assert [row["source"] for row in rows if row["frame_index"] == 0] == [
        str(clips / name) for name in wanted
    ]
    assert len(rows) == 4 + 6 + 9
    for suffix in (".jsonl", ".csv"):
        first, second = (path.with_suffix(suffix).read_bytes() for path in paths)
        assert first == second
    header, *lines = (tmp_path / "1.csv").read_text().splitlines()
    assert header.startswith("source,")
    assert header not in lines


def test_rows_equal_those_of_each_source_alone(clips: Path, video: Run) -> None:
    together = video(clips, "--jsonl", "-").stdout
    alone = [video(clips / n, "--jsonl", "-").stdout for n in ("b9.mp4", "b10.mp4")]
    assert together == "".join(alone)


@pytest.mark.parametrize("option", ["--csv", "--jsonl"])
def test_rows_do_not_change_another_file(
    clips: Path, tmp_path: Path, option: str, video: Run
) -> None:
    """As those of one source: a hard link is somebody's file, too."""
    (tmp_path / "kept.txt").write_text("kept")
    (tmp_path / "rows.txt").hardlink_to(tmp_path / "kept.txt")
    done = video(clips, option, tmp_path / "rows.txt", "--overwrite")
    assert done.returncode == 2
    assert (tmp_path / "kept.txt").read_text() == "kept"


def test_each_source_has_its_own_files(clips: Path, tmp_path: Path, video: Run) -> None:
    done = video(
        clips, "--save", tmp_path / "{name}.mp4", "--events", tmp_path / "{name}.srt", "--plot",
        tmp_path / "{name}.png",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = {f"{stem}.{kind}" for stem in ("b9", "b10") for kind in ("mp4", "srt", "png")}
    assert {file.name for file in tmp_path.iterdir()} == names


def test_a_single_source_replaces_its_name_too(clips: Path, tmp_path: Path, video: Run) -> None:
    """A folder may hold one video only."""
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "b9.mp4").hardlink_to(clips / "b9.mp4")
    for source in (folder, folder / "b9.mp4"):
        out = tmp_path / f"of {source.name}"
        out.mkdir()
        done = video(source, "--events", out / "{name}.srt", "--plot", out / "{name}.png")
        assert done.returncode == 0, done.stderr
        assert {file.name for file in out.iterdir()} == {"b9.srt", "b9.png"}


def test_the_name_of_a_single_source_is_checked(clips: Path, tmp_path: Path, video: Run) -> None:
    copy = tmp_path / "b9.mp4"
    data = (clips / "b9.mp4").read_bytes()
    copy.write_bytes(data)
    assert video(copy, "--save", tmp_path / "{name}.mp4").returncode == 2
    assert copy.read_bytes() == data


@pytest.mark.parametrize(
    ("words", "name"),
    [(["-"], "stdin"), (["--camera", "1"], "camera-1"), (["rtsp://host/door"], "door")],
)
def test_names_of_sources_without_a_file(words: list[str], name: str) -> None:
    args = parse([*words, "--save", "{name}.mp4"])
    assert named_outputs(args).save == Path(f"{name}.mp4")


def test_a_source_that_fails_does_not_stop_the_others(
    clips: Path, tmp_path: Path, video: Run
) -> None:
    rows = tmp_path / "rows.jsonl"
    done = video(clips / "a" / "cut.avi", clips / "gone.mp4", clips / "b9.mp4", "--jsonl", rows)
    assert done.returncode == 3
    assert "gone.mp4" in done.stderr
    sources = [json.loads(line)["source"] for line in rows.read_text().splitlines()]
    assert sources.count(str(clips / "b9.mp4")) == 6
    assert 5 < sources.count(str(clips / "a" / "cut.avi")) < 15


def test_summaries_follow_the_names(clips: Path, video: Run) -> None:
    done = video(clips)
    lines = done.stdout.splitlines()
    assert lines[0] == str(clips / "b9.mp4")
    assert str(clips / "b10.mp4") in lines


@pytest.mark.parametrize(
    "options",
    [
        ["--save", "out.mp4"],
        ["--events", "-"],
        ["--plot", "out.png"],
        ["--resume", "--jsonl", "rows.jsonl"],
        ["--audit"],
        ["--display"],
        ["--save", "{name}.mp4"],
    ],
)
def test_options_that_several_sources_cannot_share(
    clips: Path, tmp_path: Path, options: list[str], video: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last: copies beside their sources, with their names."""
    before = sorted(clips.rglob("*"))
    monkeypatch.chdir(clips if "{name}" in options[-1] else tmp_path)
    done = video(clips, *options)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(clips.rglob("*")) == before


def test_a_name_that_is_too_long_ends_only_its_own_analysis(clips: Path, video: Run) -> None:
    done = video(clips / "b9.mp4", f"{'a' * 5000}.mp4", "--jsonl", "-")
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == 6
