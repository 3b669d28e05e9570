"""``fastfer batch``, ``merge`` and ``watch``: options, exit codes, messages."""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from fastfer.cli import main
from fastfer.labels import AGE_GROUPS
from fastfer.outputs.columns import columns
from tests.helpers.commands import Run, environment
from tests.helpers.markers import requires_posix
from tests.helpers.waiting import wait_until


def test_a_folder_with_unreadable_photos(album: Path, tmp_path: Path, run_batch: Run) -> None:
    done = run_batch(album, "--out", tmp_path / "t.csv")
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert "7 photos" in lines[1]
    assert "truncated 1" in lines[3]
    assert done.stderr == ""
    again = run_batch(album, "--out", tmp_path / "t.csv")
    assert "7 done before" in again.stdout


def test_pictures_of_other_formats_are_counted(tmp_path: Path, run_batch: Run) -> None:
    for name in ("a.heic", "sub/b.HEIC", "sub/c.avif", "notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    expected = "skipped   3 in other formats: .avif 1, .heic 2"
    assert expected in run_batch(tmp_path / "in", "--out", tmp_path / "t.csv").stdout
    assert expected in run_batch(tmp_path / "in", "--dry-run").stdout


def test_dry_run(album: Path, tmp_path: Path, run_batch: Run) -> None:
    done = run_batch(album, album / "none.jpg*", "--dry-run")
    assert done.returncode == 0
    assert done.stdout.split()[:6] == ["photos", "7", "videos", "0", "unread", "1:"]
    assert list(tmp_path.iterdir()) == [album]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("photos/",),
        ("photos/", "--out=t.xlsx"),
        ("photos/", "--out=-"),
        ("photos/", "--out=t.xlsx", "--dry-run"),
        ("photos/", "--out=t.csv", "--partition-by=date", "--dry-run"),
        ("photos/", "--out=t.csv", "--shard=3/2"),
        ("photos/", "--out=t.csv", "--partition-by=folder"),
        ("photos/", "--out=t.csv", "--jobs=many"),
        ("--files-from=-", "--files-from=-", "--out=t.csv"),
    ],
)
def test_usage_errors(
    arguments: tuple[str, ...], run_batch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_batch(*arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_table_never_replaces_a_list(album: Path, tmp_path: Path, run_batch: Run) -> None:
    names = tmp_path / "names.csv"
    names.write_text(f"{album / 'blank.png'}\n", encoding="utf-8")
    before = names.read_bytes()
    done = run_batch("--files-from", names, "--out", names, "--overwrite")
    assert done.returncode == 2
    assert names.read_bytes() == before


@pytest.mark.parametrize("option", ["--csv=rows.parquet", "--jsonl=rows.csv", "--csv=rows.jsonl"])
def test_rows_with_the_ending_of_another_format_are_refused(
    option: str, album: Path, clip: Path, run_image: Run, run_video: Run
) -> None:
    for run, source in ((run_image, album), (run_video, clip)):
        done = run(source, option)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1


def test_the_commands_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--help"]) == 0
    shown = capfd.readouterr().out
    assert all(f"  {name}" in shown for name in ("batch", "merge", "watch"))


@requires_posix
def test_progress_on_a_terminal(album: Path, tmp_path: Path, model: str) -> None:
    """The real thing: a line on a pseudo-terminal that is gone at the end."""
    import pty

    for i in range(120):  # The line changes five times per second.
        (album / f"{i}.jpg").write_bytes((album / "ảnh.jpg").read_bytes())
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [
            sys.executable, "-m", "fastfer", "batch", str(album), "--out", str(tmp_path / "t.csv"),
            model, "--jobs=1",
        ],
        env=environment(), stdout=subprocess.DEVNULL, stderr=its,
    )  # fmt: skip
    os.close(its)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # The end of a pseudo-terminal.
        pass
    os.close(ours)
    assert process.wait() == 3
    assert b" of 127 files" in shown
    assert b"left" in shown
    assert shown.endswith(b"\r")


@requires_posix
@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals(stop: int, code: int, album: Path, tmp_path: Path, model: str) -> None:
    for i in range(200):
        (album / f"{i}.jpg").write_bytes((album / "ảnh.jpg").read_bytes())
    out = tmp_path / "t.csv"
    process = subprocess.Popen(
        [sys.executable, "-m", "fastfer", "batch", str(album), f"--out={out}", model, "--jobs=1"],
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    log = Path(f"{out}.journal-wal")
    # The tables of the journal take 60 kB, each task 10 to 20.
    wait_until(lambda: log.exists() and log.stat().st_size > 120_000)
    process.send_signal(stop)
    assert process.stderr is not None
    assert "continue from here" in process.stderr.read()
    assert process.wait() == code
    assert not out.exists()
    database = sqlite3.connect(f"{out}.journal")
    (done,) = database.execute("SELECT count(*) FROM done").fetchone()
    database.close()
    assert 0 < done < 207


def test_attributes_are_columns_only_if_asked_for(
    album: Path, run_batch: Run, tmp_path: Path
) -> None:
    out = tmp_path / "t.csv"
    done = run_batch(album, "--attributes", "age", f"--out={out}")
    assert done.returncode in (0, 3), done.stderr
    with out.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert tuple(rows[0]) == columns(("age",))
    faces = [row for row in rows if row["face_index"]]
    assert faces
    assert all(row["age_group"] in AGE_GROUPS for row in faces)
    # The journal belongs to a table with other columns.
    refused = run_batch(album, f"--out={out}")
    assert refused.returncode == 2
    assert "attributes" in refused.stderr


def test_a_name_that_is_too_long_is_one_row(album: Path, tmp_path: Path, run_batch: Run) -> None:
    names = [f"{tmp_path}/{'a' * 300}.jpg", f"{'a' * 5000}.mp4", str(album / "blank.png")]
    (tmp_path / "list").write_text("\n".join(names))
    done = run_batch("--files-from", tmp_path / "list", "--out", tmp_path / "t.csv")
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    assert "2 photos" in done.stdout
    with (tmp_path / "t.csv").open(encoding="utf-8") as table:
        errors = {row["source"]: row["error_code"] for row in csv.DictReader(table)}
    assert [bool(errors[name]) for name in names] == [True, True, False]


def test_a_store_that_cannot_be_reached_is_one_message(tmp_path: Path, run_batch: Run) -> None:
    done = run_batch("no-such-store://a/b.jpg", "--out", tmp_path / "t.csv")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
