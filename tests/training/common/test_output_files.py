"""Output files appear complete and together, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastfer.errors import OutputError, UsageError
from tests.helpers.errors import raises
from tests.helpers.full_disk import full_disk
from tests.helpers.markers import requires_posix
from training.common import output_files
from training.common.output_files import (
    check_output,
    new_file,
    put_in_place,
    temporary_files,
    write_json,
)


def test_paths_that_cannot_hold_a_file_are_rejected(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "folder", tmp_path / "file" / "m.onnx"):
        with raises(OutputError, "output_failed", str(path)):
            check_output("--out", path, path.suffix)
    with raises(UsageError, "usage", "--out m.keras", ".onnx"):
        check_output("--out", Path("m.keras"), ".onnx")
    check_output("--out", tmp_path / "new" / "m.onnx", ".onnx")
    assert not (tmp_path / "new").exists()


def test_a_folder_without_permission_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(output_files.os, "access", lambda path, mode: Path(path) != tmp_path)
    with raises(OutputError, "output_failed", str(tmp_path)):
        check_output("--out", tmp_path / "new" / "m.onnx", ".onnx")


def test_temporary_files_lie_beside_their_targets_and_vanish(tmp_path):
    with temporary_files([tmp_path / "new" / "a.onnx"]) as (file,):
        assert file.parent.parent == tmp_path / "new"
        file.write_bytes(b"x")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_new_file_is_whole_or_the_old_one(tmp_path):
    target = tmp_path / "new" / "a.keras"
    with new_file(target) as file:
        file.write_bytes(b"whole")
        assert not target.exists()

    def fail():
        with new_file(target) as file:
            file.write_bytes(b"ha")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("before", [b"old content", None])
def test_files_are_moved_all_or_none(tmp_path, before):
    made = [tmp_path / "made" / name for name in ("a.onnx", "b.onnx")]
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    made[0].parent.mkdir()
    for path in made:
        path.write_bytes(b"new")
    if before:
        first.write_bytes(before)
    second.mkdir()
    with pytest.raises(OSError) as caught:
        put_in_place(made, [first, second])
    assert str(second) in (caught.value.filename, caught.value.filename2)
    assert (first.read_bytes() if before else first.exists()) == (before or False)
    made[0].write_bytes(b"new")
    second.rmdir()
    put_in_place(made, [first, second])
    assert first.read_bytes() == second.read_bytes() == b"new"


@requires_posix
def test_a_full_disk_is_named(tmp_path):
    target = tmp_path / "a.onnx"
    with (
        raises(OutputError, "output_failed", str(target)),
        temporary_files([target]) as (path,),
        full_disk(10),
    ):
        path.write_bytes(b"x" * 100)
    with full_disk(10), raises(OutputError, "output_failed", "report.json"):
        write_json(tmp_path / "report.json", ["x" * 100])
    assert [*tmp_path.iterdir()] == []
