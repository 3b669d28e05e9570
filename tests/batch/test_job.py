"""Jobs: tables of photos and videos, resuming, workers that die, refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from fastfer import batch
from fastfer.batch.job import Job, JobOptions, Progress, parse_shard
from fastfer.batch.journal import Journal
from fastfer.batch.setup import Setup
from fastfer.errors import UsageError
from fastfer.io.limits import FileLimits
from tests.helpers.batch_jobs import Interrupted, photo, rows, run
from tests.helpers.clips import moving_face, write_video
from tests.helpers.commands import environment, python
from tests.helpers.errors import raises
from tests.helpers.hostile_clips import INDEX_BOMB_CODE, index_bomb
from tests.helpers.markers import requires_posix
from tests.helpers.pictures import encode, portrait
from tests.helpers.waiting import wait_until


def test_photos_and_a_video_in_one_table(
    album: Path, clip: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    summary = run([album, clip], tmp_path / "t.parquet", engine, jobs=2)
    assert summary.counts["photos"] == 13
    assert summary.counts["videos"] == 1
    assert summary.counts["frames"] == 24
    assert summary.errors == {"truncated": 1}
    table = rows(tmp_path / "t.parquet")
    assert len(table) == summary.rows == 13 + 24
    assert {r["source"] for r in table} == {str(p) for p in album.rglob("*.jpg")} | {str(clip)}
    assert [r["frame_index"] for r in table if r["source"] == str(clip)] == list(range(24))


def test_counts_of_runs_with_other_sources(tmp_path: Path, engine: dict[str, Any]) -> None:
    first, second = photo(tmp_path / "in" / "1.jpg"), photo(tmp_path / "in" / "2.jpg")
    out = tmp_path / "t.csv"
    # A name that comes again is not from before this run.
    assert run([first, second, first, first], out, engine).done_before == 0
    again = run([photo(tmp_path / "in" / "3.jpg")], out, engine)
    assert (again.done_before, again.done_now, again.counts["photos"]) == (2, 1, 3)


def test_what_names_nothing_is_no_photo(tmp_path: Path, engine: dict[str, Any]) -> None:
    (tmp_path / "damaged.tar").write_bytes(b"no archive")
    sources = [photo(tmp_path / "1.jpg"), tmp_path / "none*.jpg", tmp_path / "damaged.tar"]
    summary = run(sources, tmp_path / "t.csv", engine)
    assert (summary.counts["photos"], summary.rows) == (1, 3)
    assert summary.errors == {"no_match": 1, "damaged": 1}


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_formats_and_what_is_new(name: str, tmp_path: Path, engine: dict[str, Any]) -> None:
    photo(tmp_path / "in" / "1.jpg")
    out = tmp_path / name
    assert run([tmp_path / "in"], out, engine).rows == 1
    before = out.read_bytes()
    again = run([tmp_path / "in"], out, engine)
    assert (again.done_before, again.done_now, out.read_bytes()) == (1, 0, before)
    photo(tmp_path / "in" / "2.jpg")
    assert run([tmp_path / "in"], out, engine).rows == 2
    merged = tmp_path / f"all-{name}"
    assert batch.merge([str(out)], str(merged)) == 1
    assert merged.read_bytes() == out.read_bytes()


def test_csv_equals_that_of_the_image_command(
    album: Path, tmp_path: Path, real_engine: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    from fastfer.cli import image

    run([album], tmp_path / "batch.csv", real_engine)
    assert image.main([
        str(album), "--recursive", f"--csv={tmp_path / 'image.csv'}",
        f"--model={real_engine['model']}",
    ]) == 3  # fmt: skip
    assert sorted((tmp_path / "batch.csv").read_text().splitlines()) == sorted(
        (tmp_path / "image.csv").read_text().splitlines()
    )


def test_partitions_and_shards_of_a_folder(
    album: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    run([album], tmp_path / "out", engine, partition_by="folder", shard_rows=4)
    files = sorted((tmp_path / "out").rglob("*.parquet"))
    assert {f.parent.name.rpartition("%2F")[2] for f in files} == {"a", "b"}
    assert len(files) > 2
    assert sum(len(rows(f)) for f in files) == 13


def test_every_unit_is_in_one_part(album: Path, tmp_path: Path, engine: dict[str, Any]) -> None:
    parts = [tmp_path / f"{i}.parquet" for i in (1, 2, 3)]
    for i, part in enumerate(parts, 1):
        run([album], part, engine, shard=parse_shard(f"{i}/3"))
    batch.merge([str(part) for part in parts], str(tmp_path / "merged.parquet"))
    run([album], tmp_path / "whole.parquet", engine)
    assert rows(tmp_path / "merged.parquet") == rows(tmp_path / "whole.parquet")
    with raises(UsageError, "would_overwrite"):
        batch.merge([str(parts[0]), str(tmp_path / "whole.parquet")], str(tmp_path / "m.parquet"))


@pytest.fixture(params=["folder", "memory://tables/faces"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A folder for the files of a table, on the disk or in an object store."""
    import fsspec

    monkeypatch.chdir(tmp_path)
    yield request.param
    files, path = fsspec.core.url_to_fs(request.param)
    files.rm(path, recursive=True)


def test_parts_share_a_folder(store: str, album: Path, engine: dict[str, Any]) -> None:
    import fsspec

    for number in ("1/2", "2/2", "1/2"):
        run([album], store, engine, shard=parse_shard(number))
    files, path = fsspec.core.url_to_fs(store)
    run([album], store, engine, shard=parse_shard("1/2"), overwrite=True)
    found = sorted(file for file in files.find(path) if file.endswith(".parquet"))
    assert [file.rpartition("/")[2] for file in found] == [
        "part-1-of-2-00000.parquet",
        "part-2-of-2-00000.parquet",
    ]
    with raises(UsageError, "would_overwrite"):
        run([album], store, engine)


def test_overwriting_a_folder_spares_what_is_not_the_jobs(
    store: str, album: Path, engine: dict[str, Any]
) -> None:
    import fsspec

    files, path = fsspec.core.url_to_fs(store)
    run([album], store, engine)
    others = ["photo.jpg", "run1/part-00000.parquet", "run1/folder=a/part-00000.parquet"]
    for name in others:
        files.makedirs(f"{path}/{name}".rpartition("/")[0], exist_ok=True)
        files.pipe_file(f"{path}/{name}", b"of somebody else")
    run([album], store, engine, overwrite=True)
    assert all(files.cat_file(f"{path}/{name}") == b"of somebody else" for name in others)
    table = files.cat_file(f"{path}/part-00000.parquet")
    files.pipe_file(f"{path}/part-00000-c1d2.snappy.parquet", table)
    with raises(UsageError, "would_overwrite"):
        run([album], store, engine, overwrite=True)
    assert files.exists(f"{path}/part-00000-c1d2.snappy.parquet")
    assert files.cat_file(f"{path}/part-00000.parquet") == table


def test_a_folder_with_other_tables_is_refused(
    album: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    """Readers of the folder would count their rows too."""
    run([album], tmp_path / "one.parquet", engine)
    (tmp_path / "out").mkdir()
    (tmp_path / "one.parquet").rename(tmp_path / "out" / "one.parquet")
    with raises(UsageError, "would_overwrite"):
        run([album], tmp_path / "out", engine)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["one.parquet"]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_wrong_shards(text: str) -> None:
    with raises(UsageError, "out_of_range"):
        parse_shard(text)


@pytest.mark.parametrize("tasks", [1, 3])
@pytest.mark.parametrize("name", ["t.parquet", "folder"])
def test_an_interrupted_job_goes_on(
    tasks: int, name: str, album: Path, clip: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    out = tmp_path / name
    setup = Setup(str(out), engine)
    options = JobOptions(jobs=0, shard_rows=5)
    with pytest.raises(KeyboardInterrupt):
        Job(
            [str(album), str(clip)], (), setup, options, Progress(),
            make_pool=lambda setup, _: Interrupted(setup, tasks),
        ).run()  # fmt: skip
    summary = run([album, clip], out, engine, shard_rows=5)
    assert summary.done_before > 0
    run([album, clip], tmp_path / "whole.parquet", engine)
    assert rows(out) == rows(tmp_path / "whole.parquet")


@requires_posix
def test_photos_that_end_their_worker(tmp_path: Path, engine: dict[str, Any]) -> None:
    for i in range(10):
        photo(tmp_path / "in" / f"{i}.jpg")
    for width in (101, 102, 104):
        photo(tmp_path / "in" / f"w{width}.jpg", width)
    summary = run([tmp_path / "in"], tmp_path / "t.parquet", engine, jobs=2)
    codes = {Path(r["source"]).name: r["error_code"] for r in rows(tmp_path / "t.parquet")}
    assert len(codes) == summary.counts["photos"] == 13
    assert {name: code for name, code in codes.items() if code} == {
        "w101.jpg": "worker_crashed",
        "w102.jpg": "worker_killed",
        "w104.jpg": "failed",  # An exception, which the worker outlives.
    }
    assert summary.restarts >= 2  # Two photos may end one worker together, but each ends one alone.


def test_bad_pictures_print_nothing(tmp_path: Path, engine: dict[str, Any]) -> None:
    """libpng and libjpeg write to standard error themselves."""
    broken = bytearray(encode(portrait((640, 480)), "PNG"))
    broken[len(broken) // 2 : len(broken) // 2 + 40] = bytes(40)
    (tmp_path / "broken.png").write_bytes(broken)
    code = (
        "import json, sys\n"
        "from fastfer import batch\n"
        "if __name__ == '__main__':\n"
        "    photo, out, engine = sys.argv[1:]\n"
        "    options = batch.JobOptions(jobs=1)\n"
        "    print(batch.run([photo], out, engine=json.loads(engine), options=options).errors)\n"
    )
    (tmp_path / "job.py").write_text(code)
    paths = [str(tmp_path / name) for name in ("job.py", "broken.png", "t.jsonl")]
    done = subprocess.run(
        [sys.executable, *paths, json.dumps({key: str(value) for key, value in engine.items()})],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("{'damaged': 1}\n", "")


@pytest.mark.parametrize("segment", [0, 1.0])
def test_a_detector_that_fails_in_a_video(
    tmp_path: Path, engine: dict[str, Any], segment: float
) -> None:
    """The row names the line of the detector's file."""
    clip = write_video(tmp_path / "clip.mp4", moving_face(30, side=152))
    run([clip], tmp_path / "t.jsonl", engine, segment=segment)
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    (row,) = [row for row in lines if row["error"] is not None]
    assert row["error_code"] == "failed"
    assert "moody.py, line " in row["error"]
    assert "a fault in a video" in row["error"]


def test_a_photo_that_hangs_is_given_up(tmp_path: Path, engine: dict[str, Any]) -> None:
    photo(tmp_path / "in" / "good.jpg")
    photo(tmp_path / "in" / "hangs.jpg", 103)
    summary = run([tmp_path / "in"], tmp_path / "t.parquet", engine, jobs=1, timeout=2.0)
    assert summary.errors == {"timeout": 1}
    assert summary.counts["faces"] == 1


@requires_posix
def test_a_video_that_takes_all_memory_is_its_error(tmp_path: Path, engine: dict[str, Any]) -> None:
    """The decoder process refuses; the worker lives on, and the other files are analysed."""
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "a bomb.mp4").write_bytes(index_bomb(tmp_path / "clip.mp4", 20_000_000))
    write_video(folder / "good.mp4", moving_face(5))
    out = tmp_path / "rows.jsonl"
    limits = FileLimits(memory=200_000_000)
    summary = batch.run(
        [str(folder)], str(out), engine=engine, limits=limits, options=JobOptions(jobs=1)
    )
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    failed = [row for row in rows if row["error"] is not None]
    assert [row["error_code"] for row in failed] == [INDEX_BOMB_CODE]
    assert len(rows) == 6
    assert summary.errors == {INDEX_BOMB_CODE: 1}


def test_models_that_cannot_be_loaded_end_the_job(album: Path, tmp_path: Path) -> None:
    from fastfer.errors import ModelError

    with raises(ModelError, "not_found"):
        run([album], tmp_path / "t.csv", {"model": tmp_path / "none.onnx"}, jobs=1)


def test_a_table_of_another_job_is_refused(
    album: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    out = tmp_path / "t.parquet"
    run([album], out, engine)
    with raises(UsageError, "cannot_resume"):
        run([album], out, engine | {"min_quality": 0.5})
    run([album], out, engine | {"min_quality": 0.5}, overwrite=True)
    out.write_bytes(out.read_bytes()[:-100])
    with raises(UsageError, "other_schema"):
        run([album], out, engine | {"min_quality": 0.5})
    out.unlink()
    with raises(UsageError, "cannot_resume"):
        run([album], out, engine | {"min_quality": 0.5})


def test_a_table_without_journal_is_refused(
    album: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    out = tmp_path / "t.csv"
    out.write_text("name,age\nAda,36\n")
    with raises(UsageError, "other_schema"):
        run([album], out, engine)
    run([album], out, engine, overwrite=True)
    Path(f"{out}.journal").unlink()
    with raises(UsageError, "would_overwrite"):
        run([album], out, engine)
    with raises(UsageError, "unsupported_format"):
        run([album], tmp_path / "t.xlsx", engine)


def test_two_jobs_on_one_table_are_refused(
    album: Path, tmp_path: Path, engine: dict[str, Any]
) -> None:
    out = tmp_path / "t.csv"
    holder = Journal(Path(f"{out}.journal"))
    for overwrite in (False, True):
        with raises(UsageError, "job_running"):
            run([album], out, engine, overwrite=overwrite)
    holder.close()
    run([album], out, engine)


@requires_posix
def test_a_killed_process_goes_on(tmp_path: Path, engine: dict[str, Any]) -> None:
    """The real thing: SIGKILL of the main process while its workers run."""
    for i in range(60):
        photo(tmp_path / "in" / f"{i:02}.jpg")
    arguments = [
        sys.executable, "-m", "fastfer", "batch", str(tmp_path / "in"), "--jobs=1",
        f"--out={tmp_path / 't.csv'}", f"--detector={engine['detector']}",
        f"--model={engine['model']}",
    ]  # fmt: skip
    process = subprocess.Popen(arguments, env=environment(), stdout=subprocess.DEVNULL)
    journal = tmp_path / "t.csv.journal-wal"
    wait_until(lambda: process.poll() is not None or journal.exists())
    begun = journal.stat().st_size if journal.exists() else 0
    wait_until(
        lambda: process.poll() is not None or not journal.exists() or journal.stat().st_size > begun
    )
    process.kill()
    process.wait()
    done = subprocess.run(arguments, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sources = [line.split(",")[0] for line in (tmp_path / "t.csv").read_text().splitlines()[1:]]
    assert sorted(sources) == sorted(str(p) for p in (tmp_path / "in").iterdir())


@requires_posix
@pytest.mark.parametrize("kilobytes", [10, 60, 120])
def test_a_limit_on_the_size_of_files_ends_the_job(
    kilobytes: int, tmp_path: Path, engine: dict[str, Any]
) -> None:
    """Waiting would not help; the same command continues it without the limit."""
    for i in range(40):
        photo(tmp_path / "in" / f"{i:02}.jpg")
    given = {name: str(value) for name, value in engine.items()}
    code = (
        "import resource\n"
        "from fastfer import batch\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes << 10}, {kilobytes << 10}))\n"
        f"batch.run([{str(tmp_path / 'in')!r}], {str(tmp_path / 't.jsonl')!r}, engine={given!r},\n"
        "    options=batch.JobOptions(jobs=0))\n"
    )
    done = python("-c", code)
    assert "OutputError" in done.stderr.splitlines()[-1]
    assert "(ulimit -f)" in done.stderr
    assert run([tmp_path / "in"], tmp_path / "t.jsonl", given).rows == 40


@requires_posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_pauses_the_job(tmp_path: Path, engine: dict[str, Any]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let tests mount a file system")
    try:
        for i in range(40):
            photo(tmp_path / "in" / f"{i:02}.jpg")
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(290_000))

        class MakeRoom(Progress):
            said: list[str] = []  # noqa: RUF012

            def say(self, message: str) -> None:
                self.said.append(message)
                ballast.unlink(missing_ok=True)

        receiver = MakeRoom()
        summary = batch.run(
            [str(tmp_path / "in")], str(disk / "t.jsonl"), engine=engine, progress=receiver,
            options=JobOptions(jobs=0),
        )  # fmt: skip
        assert summary.rows == len((disk / "t.jsonl").read_text().splitlines()) == 40
        assert receiver.said
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_one_path_in_place_of_a_list_is_refused(tmp_path: Path) -> None:
    for sources in ("/photos", Path("/photos")):
        with raises(UsageError, "out_of_range", "photos"):
            batch.run(sources, str(tmp_path / "t.csv"))  # type: ignore[arg-type]
    with raises(UsageError, "out_of_range", "sources"):
        batch.run([3], str(tmp_path / "t.csv"))  # type: ignore[list-item]
    with raises(UsageError, "unknown_option", "threads"):
        batch.run([], str(tmp_path / "t.csv"), engine={"threads": 2})
    assert not list(tmp_path.iterdir())


def test_paths_are_taken(tmp_path: Path) -> None:
    options = JobOptions(jobs=1)
    summary = batch.run([tmp_path / "gone.jpg"], tmp_path / "t.csv", options=options)
    assert summary.errors == {"not_found": 1}
