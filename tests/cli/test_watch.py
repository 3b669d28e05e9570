"""The command ``fastfer watch`` as a process: its file, its signals."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.helpers.cameras import StallingServer
from tests.helpers.commands import Run, environment, python
from tests.helpers.markers import requires_posix
from tests.helpers.waiting import wait_until
from tests.helpers.watching import camera


@pytest.fixture
def outputs(tmp_path: Path, model: str) -> str:
    """The sections that choose a random network, and a folder for rows."""
    network = model.removeprefix("--model=")
    engine = f"[engine]\nmodel = '{network}'\nthreads = 1\n"
    return f"{engine}[files]\nfolder = '{tmp_path / 'rows'}'\nformat = 'jsonl'\n"


def test_check_reads_the_file_only(tmp_path: Path, run_fastfer: Run) -> None:
    file = tmp_path / "cameras.toml"
    file.write_text("[files]\nfolder = 'rows'\n[[camera]]\nname = 'door'\nsource = 0\n")
    done = run_fastfer("watch", file, "--check")
    assert (done.returncode, done.stdout.split()[-1]) == (0, "door")
    assert list(tmp_path.iterdir()) == [file]
    file.write_text("[[camera]]\n")
    assert run_fastfer("watch", file, "--check").returncode == 2


def test_recordings_end_the_command(tmp_path: Path, clip: Path, outputs: str) -> None:
    file = tmp_path / "cameras.toml"
    file.write_text(outputs + camera("clip", clip))
    done = python("-m", "fastfer", "watch", file)
    assert done.returncode == 0
    assert "40 frames" in done.stderr.splitlines()[-1]
    (rows,) = (tmp_path / "rows" / "clip").iterdir()
    assert len(rows.read_bytes().splitlines()) == 40


def test_refuses_to_start(tmp_path: Path) -> None:
    file = tmp_path / "cameras.toml"
    file.write_text(f"[engine]\nmodel = '/none.onnx'\n[files]\nfolder = 'x'\n{camera('a', 0)}")
    done = python("-m", "fastfer", "watch", file)
    assert done.returncode == 4
    assert "/none.onnx" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert python("-m", "fastfer", "watch").returncode == 2


@requires_posix
def test_signals(tmp_path: Path, clip: Path, outputs: str) -> None:
    file = tmp_path / "cameras.toml"

    def rows(name: str) -> int:
        folder = tmp_path / "rows" / name
        return sum(len(f.read_bytes().splitlines()) for f in folder.glob("*.jsonl"))

    with closing(StallingServer(20, repeat=250)) as live:
        text = outputs + camera("live", live.url)
        file.write_text(text)
        process = subprocess.Popen(
            [sys.executable, "-m", "fastfer", "watch", str(file)],
            env=environment(), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stderr is not None
        try:
            wait_until(lambda: rows("live") > 2)
            for wrong in ("[[camera", f"deep = {'[' * 100_000}", "engine = 5"):
                file.write_text(wrong)
                process.send_signal(signal.SIGHUP)
                assert str(file) in process.stderr.readline()
            file.write_text(text + camera("clip", clip))
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: rows("clip") == 40)
            process.terminate()
            assert process.wait(20) == 143
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
