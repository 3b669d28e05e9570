"""Output paths: checks before a run, and files that appear when they are whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastfer.errors import OutputError, UsageError
from fastfer.outputs.paths import (
    WholeFile,
    check_folders,
    check_new,
    check_outputs,
    short_name,
    write_whole,
)
from tests.helpers.errors import raises


def test_standard_output_and_the_null_device_are_no_files() -> None:
    check_outputs({"--csv": "-", "--jsonl": "-", "--plot": None}, ["a.jpg", ""])
    check_outputs({"--csv": "/dev/null", "--jsonl": "/dev/null"}, [])


def test_an_empty_file_is_new(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    check_new({"--csv": tmp_path / "empty", "--jsonl": tmp_path / "none", "--events": None})
    (tmp_path / "empty").write_text("a row")
    with raises(UsageError, "would_overwrite", "--csv", "empty"):
        check_new({"--csv": tmp_path / "empty"})


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "original.jpg").write_bytes(b"original")
    (tmp_path / "copy.jpg").symlink_to("original.jpg")
    write_whole(tmp_path / "copy.jpg", b"new")
    assert (tmp_path / "original.jpg").read_bytes() == b"original"
    assert (tmp_path / "copy.jpg").read_bytes() == b"new"


def test_a_failure_leaves_the_earlier_file_alone(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "folder", b"data")
    file = WholeFile(tmp_path / "a.png")
    assert file.temporary.suffix == ".png"
    file.temporary.write_bytes(b"half")
    file.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_links_are_no_outputs(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("link", "dangling"):
        with raises(UsageError, "would_overwrite", "--csv", name):
            check_outputs({"--csv": tmp_path / name}, [])
    if Path("/dev/stdout").exists():
        check_outputs({"--csv": "/dev/stdout"}, [])


def test_a_temporary_file_is_new_and_readable_like_any_other(tmp_path: Path) -> None:
    first, second = WholeFile(tmp_path / "a.png"), WholeFile(tmp_path / "a.png")
    assert first.temporary != second.temporary
    assert first.temporary.stat().st_size == 0
    (tmp_path / "plain").touch()
    assert first.temporary.stat().st_mode == (tmp_path / "plain").stat().st_mode
    first.commit()
    second.discard()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "plain"]


def test_an_output_that_is_never_written_leaves_nothing(tmp_path: Path) -> None:
    WholeFile(tmp_path / "a.png").discard()
    assert list(tmp_path.iterdir()) == []
    with raises(OutputError, "output_failed", "a.png"):
        WholeFile(tmp_path / "no" / "a.png").temporary  # noqa: B018


def test_folders_must_exist(tmp_path: Path) -> None:
    check_folders({"--plot": tmp_path / "a.png", "--save": "-", "--report": None})
    (tmp_path / "file").touch()
    for folder in ("none", "file"):
        with raises(OutputError, "output_failed"):
            check_folders({"--report": tmp_path / folder / "a.html"})


def test_pages_do_not_show_folders() -> None:
    assert short_name("/home/anna/clip.mp4") == "clip.mp4"
    assert short_name("rtsp://camera/1") == "rtsp://camera/1"
    assert short_name("0") == "0"
