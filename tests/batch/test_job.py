"""Jobs: tables of photos and videos, resuming, full disks, refusals."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import pyarrow.parquet as pq

from fastfer import batch
from fastfer.batch.job import Job, JobOptions, Progress, parse_shard
from fastfer.batch.journal import Journal
from fastfer.batch.setup import Setup
from fastfer.errors import UsageError
from fastfer.labels import AGE_GROUPS, ATTRIBUTES, GENDERS
from fastfer.outputs.parquet_schema import schema
from tests.helpers.batch_jobs import Interrupted, photo, rows, run
from tests.helpers.commands import environment
from tests.helpers.errors import raises
from tests.helpers.markers import requires_posix
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


def test_every_unit_is_in_one_part(album: Path, tmp_path: Path, engine: dict[str, Any]) -> None:
    parts = [tmp_path / f"{i}.parquet" for i in (1, 2, 3)]
    for i, part in enumerate(parts, 1):
        run([album], part, engine, shard=parse_shard(f"{i}/3"))
    batch.merge([str(part) for part in parts], str(tmp_path / "merged.parquet"))
    run([album], tmp_path / "whole.parquet", engine)
    assert rows(tmp_path / "merged.parquet") == rows(tmp_path / "whole.parquet")
    with raises(UsageError, "would_overwrite"):
        batch.merge([str(parts[0]), str(tmp_path / "whole.parquet")], str(tmp_path / "m.parquet"))


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


def test_photos_and_clips_in_each_format(
    photos: list[Path], clip: Path, tmp_path: Path, asking: dict[str, Any]
) -> None:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for suffix in ("parquet", "csv", "jsonl"):
        out = tmp_path / f"t.{suffix}"
        run([*photos, clip], out, asking)
        if suffix == "parquet":
            table = pq.read_table(out)
            assert table.schema.equals(schema(ATTRIBUTES))
            faces = [row for row in rows(out) if row["face_index"] is not None]
            others = [row for row in rows(out) if row["face_index"] is None]
            assert others
            assert {row["age_group"] for row in others} == {None}
            for names in (GENDERS, [f"age_{group}" for group in AGE_GROUPS]):
                shares = np.array([[row[name] for name in names] for row in faces])
                # Each is rounded to four digits.
                assert np.allclose(shares.sum(axis=1), 1, atol=0.5e-4 * len(names) + 1e-6)
        elif suffix == "csv":
            with out.open(encoding="utf-8", newline="") as lines:
                faces = [row for row in csv.DictReader(lines) if row["face_index"]]
        else:
            records = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
            faces = [face["attributes"] for r in records for face in r["faces"] or ()]
        found[suffix] = sorted(
            (row["perceived_gender"], row["age_group"], round(float(row["expected_age"]), 1))
            for row in faces
        )
    assert found["parquet"] == found["csv"] == found["jsonl"]
    assert len(found["csv"]) >= 20
