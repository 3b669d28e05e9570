"""Benchmarks run in a plain clone, without data beside it."""

from __future__ import annotations

import importlib
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import audit, inputs, report, resolution

ROOT = Path(inputs.__file__).resolve().parents[1]
COMMANDS = sorted(
    file.stem
    for file in ROOT.glob("benchmarks/*.py")
    if '__name__ == "__main__"' in file.read_text(encoding="utf-8")
)


@pytest.fixture(autouse=True)
def plain_clone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data beside the repository."""
    for module in (inputs, audit, resolution):
        for name in ("SHARED", "YUNET", "PHOTOS"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, tmp_path / "absent")


def test_a_portrait_replaces_clips() -> None:
    ((name, frames),) = inputs.clips().items()
    assert "portrait" in name
    assert {frame.shape for frame in frames} == {(270, 480, 3)}
    assert [id(f) for f in inputs.looped(frames[:3], 6)] == [
        id(frames[i]) for i in (0, 1, 2, 1, 0, 1)
    ]


def test_the_audit_has_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["audit", "--frames", "8"])
    audit.main()
    assert "| nano | portrait" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["bench_jpeg", "bench_network", "bench_pack", "bench_rotate"])
def test_a_benchmark_file_runs_pytest(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytest_benchmark", reason="needs the extra bench")
    importlib.import_module(f"benchmarks.{name}")
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--collect-only", "-q"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"benchmarks/{name}.py" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_a_command_has_short_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "segments":
        pytest.importorskip("pyarrow", reason="needs the extra batch")
    if name == "live_page":
        pytest.importorskip("playwright", reason="needs the extra test-studio")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: python -m benchmarks.{name}")
    assert len(text.splitlines()) < 45


def test_a_report_of_a_missing_photo_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path / "absent.jpg")])
    with pytest.raises(SystemExit) as caught:
        report.main()
    assert caught.value.code == 2
    assert "absent.jpg" in capsys.readouterr().err
