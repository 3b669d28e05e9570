"""Standard streams, signals, encodings and full disks of the commands."""

from __future__ import annotations

import csv
import functools
import json
import os
import select
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastfer.cli import terminal
from tests.cli.conftest import Done
from tests.helpers.commands import Run, environment, image
from tests.helpers.forked import run_forked
from tests.helpers.markers import requires_dev_full, requires_posix
from tests.helpers.pictures import encode, portrait


def rows(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_library_warnings_are_discarded(tmp_path: Path, model: str, face: bytes) -> None:
    """libjpeg and libpng print warnings regardless of the log level."""
    hole = bytearray(encode(portrait((640, 480)), "JPEG", progressive=True))
    del hole[len(hole) // 2 : len(hole) // 2 + 300]
    (tmp_path / "hole.jpg").write_bytes(hole)
    broken = bytearray(encode(portrait((640, 480)), "PNG"))
    broken[len(broken) // 2 : len(broken) // 2 + 40] = bytes(40)
    (tmp_path / "broken.png").write_bytes(broken)
    (tmp_path / "float.tif").write_bytes(encode(portrait().convert("F"), "TIFF"))
    done = image(tmp_path, model)
    assert done.returncode == 3
    assert all(line.startswith("fastfer: ") for line in done.stderr.splitlines())
    assert "broken.png" in done.stderr
    assert "float.tif" in done.stderr


@requires_dev_full
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_full_disk(album: Path, model: str, option: list[str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = image(
            album / "ảnh.jpg", model, *option, capture_output=False, stdout=full,
            stderr=subprocess.PIPE,
        )  # fmt: skip
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@requires_dev_full
def test_a_table_on_a_full_disk(album: Path, run_image: Run) -> None:
    done = run_image(album / "ảnh.jpg", "--csv", "/dev/full")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@requires_posix
def test_a_full_disk_while_saving(album: Path, model: str, tmp_path: Path) -> None:
    import resource

    done = image(
        album / "ảnh.jpg", model, "--save", tmp_path / "out",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "ảnh.jpg" in done.stderr
    assert list((tmp_path / "out").iterdir()) == [], "no partial picture"


def test_outputs_that_cannot_be_opened(album: Path, run_image: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for option in (["--csv", tmp_path / "none" / "a.csv"], ["--save", tmp_path / "file" / "out"]):
        done = run_image(album / "ảnh.jpg", *option)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


@requires_posix
def test_a_closed_pipe_is_an_output_that_failed(album: Path, model: str) -> None:
    photos = [str(album / "blank.png")] * 200
    command = [sys.executable, "-m", "fastfer.image", model, *photos]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), **pipes) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 1


@requires_posix
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(
    album: Path, model: str, clip: Path, closed: str, tmp_path: Path
) -> None:
    photo, table = album / "ảnh.jpg", album / "out.csv"
    lost = int(">&-" in closed.split())  # Results that nobody can read.
    expected = {
        ("image", model, photo, "--json"): lost,
        ("image", model, photo): lost,
        ("image", model, photo, "--csv", table): 0,
        ("image", model, album / "cut.jpg"): 1 if lost else 3,
        ("video", model, clip): lost,
        ("models", "list"): lost,
        ("--version",): lost,
        ("image", "--top", "8"): 2,
        ("nonsense",): 2,
    }
    commands = [("fastfer", *arguments) for arguments in expected]
    codes, errors = run_forked(commands, tmp_path, closed)
    assert dict(zip(expected, codes, strict=True)) == expected
    assert "Traceback" not in errors
    assert len(table.read_text("utf-8").splitlines()) == 2, "no other text in the file"


@requires_posix
@pytest.mark.parametrize("alone", [True, False])
def test_interrupted(album: Path, model: str, tmp_path: Path, alone: bool) -> None:
    """Ctrl-C while a photo is read from a pipe: the CSV has the photos before it."""
    pipe = tmp_path / "slow.jpg"
    os.mkfifo(pipe)
    target = tmp_path / "out.csv"
    # Short names, so that each row of the table is one line.
    first = [Path("album/ảnh.jpg"), Path("album/blank.png")]
    photos = [pipe] if alone else [*first, pipe, pipe, pipe]
    command = [sys.executable, "-m", "fastfer.image", model, *photos, "--csv", target]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    pipes["cwd"] = tmp_path
    with subprocess.Popen(list(map(str, command)), env=environment(), **pipes) as running:
        assert running.stdout is not None
        for _ in range(0 if alone else 3):
            running.stdout.readline()
        with pipe.open("wb"):  # Returns once the command reads the pipe.
            running.send_signal(signal.SIGINT)
            _, errors = running.communicate(timeout=20)
    assert running.returncode == 130
    assert errors == b"fastfer: interrupted\n"
    if alone:
        assert not target.exists()
        return
    with target.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2


@requires_posix
def test_sigint_stays_ignored_under_nohup(album: Path, model: str, tmp_path: Path) -> None:
    pipe = tmp_path / "slow.jpg"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "fastfer.image", model, str(pipe)]
    ignore = functools.partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    with subprocess.Popen(command, env=environment(), preexec_fn=ignore) as running:
        with pipe.open("wb") as file:
            running.send_signal(signal.SIGINT)
            file.write((album / "ảnh.jpg").read_bytes())
        assert running.wait(timeout=60) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:strict"},
    ],
)
def test_encodings_that_lack_letters(album: Path, model: str, changes: dict[str, str]) -> None:
    env = environment(**changes)
    args = (album / "ảnh.jpg", album / "deep" / "写真.jpg", album / "absent é.jpg", "--lang", "vi")
    done = image(*args, model, env=env)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert r"\u5199\u771f.jpg" in done.stdout
    done = image(*args, "--json", model, env=env)
    assert rows(done)[1]["source"].endswith("写真.jpg"), "JSON is UTF-8 in every locale"


@requires_posix
@pytest.mark.parametrize("strict", [False, True])
def test_the_c_locale(album: Path, model: str, strict: bool) -> None:
    changes = {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": ""}
    if strict:  # Without the UTF-8 mode that Python uses in this locale.
        changes |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = image(album, "--recursive", "--lang", "vi", model, env=environment(**changes))
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "512 x 512" in done.stdout
    if not strict:
        assert "写真.jpg" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_file_names_that_are_not_text(
    tmp_path: Path, model: str, face: bytes, run_image: Run
) -> None:
    path = os.fsdecode(bytes(tmp_path) + b"/caf\xe9\x1b[31m.jpg")
    Path(path).write_bytes(face)
    done = image(path, "--json", "--save", tmp_path / "out", model)
    assert done.returncode == 0
    assert rows(done)[0]["source"] == path
    assert len(list((tmp_path / "out").iterdir())) == 1
    done = run_image(path, "--csv", tmp_path / "out.csv")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout, "escape sequences of file names"


@requires_posix
def test_the_progress_bar_needs_a_terminal(album: Path, model: str, run_image: Run) -> None:
    import fcntl
    import pty
    import termios

    photos = [str(album / "blank.png")] * 4
    assert run_image(*photos).stderr == ""

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    done = image(
        *photos, "--json", model, capture_output=False, stdout=subprocess.PIPE, stderr=theirs
    )
    ready, _, _ = select.select([ours], [], [], 5)
    shown = os.read(ours, 100_000) if ready else b""
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0
    assert len(rows(done)) == 4
    assert b"/4 [" in shown


def said(capsys: pytest.CaptureFixture[str], total: int, steps: int, seconds: float) -> list[str]:
    """The lines of a run whose standard error is no terminal: ``steps`` items at regular times."""
    now = iter([0.0] + [seconds * (i + 1) for i in range(steps)])
    with terminal.Progress(total, clock=lambda: next(now)) as progress:
        for _ in range(steps):
            progress.advance()
    return capsys.readouterr().err.splitlines()


def test_log_files_have_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, total=500, steps=66, seconds=0.5)
    assert lines == [
        "fastfer: 20 of 500 photos (4 %), 2.0 per second, about 4 min left",
        "fastfer: 40 of 500 photos (8 %), 2.0 per second, about 3 min left",
        "fastfer: 60 of 500 photos (12 %), 2.0 per second, about 3 min left",
    ]


def test_slow_items_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, total=3, steps=3, seconds=30)
    assert [line.split(" photos")[0] for line in lines] == [
        "fastfer: 1 of 3",
        "fastfer: 2 of 3",
        "fastfer: 3",
    ]


@pytest.mark.parametrize("total", [0, 5])
def test_progress_without_a_known_total(capsys: pytest.CaptureFixture[str], total: int) -> None:
    assert said(capsys, total, steps=10, seconds=1) == ["fastfer: 10 photos, 1.0 per second"]


def test_short_runs_have_no_progress_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, total=90, steps=90, seconds=0.1) == []
