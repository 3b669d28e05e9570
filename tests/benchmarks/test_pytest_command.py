"""The command line of the files bench_*.py."""

from __future__ import annotations

import importlib
import sys

import pytest

from benchmarks import pytest_command


def test_help_is_the_benchmarks_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        pytest_command.run("benchmarks/bench_pack.py", "What is measured.\n\nHow.\n", ["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: python -m benchmarks.bench_pack")
    assert "What is measured.\n\nHow." in text
    assert len(text.splitlines()) < 20


def test_other_options_reach_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytest_benchmark", reason="needs the extra bench")
    calls: list[list[str]] = []
    monkeypatch.setattr(pytest, "main", lambda arguments: calls.append(arguments) or 5)
    assert pytest_command.run("bench_x.py", None, ["-k", "64", "--benchmark-json=x"]) == 5
    assert calls == [["bench_x.py", "-k", "64", "--benchmark-json=x"]]


def test_without_pytest_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest_command, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as caught:
        pytest_command.run("bench_x.py", None, [])
    assert "pytest-benchmark" in str(caught.value.code)


def test_a_report_without_pytest_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest", None)
    for name in ("benchmarks.report", "benchmarks.pytest_command"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    report = importlib.import_module("benchmarks.report")
    monkeypatch.setattr("benchmarks.pytest_command.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["report"])
    with pytest.raises(SystemExit) as caught:
        report.main()
    assert "pytest" in str(caught.value.code)
