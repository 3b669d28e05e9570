"""``fastfer doctor``."""

from __future__ import annotations

import json

import pytest

import fastfer
from fastfer import diagnostics
from fastfer.cli import doctor
from fastfer.errors import ExtensionMissingError


def test_a_working_installation(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"fastfer {fastfer.__version__}"
    assert rest[-1] == "0 problems found"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["version"] == fastfer.__version__
    assert {"kernels", "models"} <= {check["subject"] for check in found["checks"]}


def test_problems_end_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> dict[str, object]:
        raise ExtensionMissingError("no module")

    finding = diagnostics.Finding("problem", "kernels", "no module", "Build it")
    monkeypatch.setattr(diagnostics, "build_info", missing)
    monkeypatch.setattr(diagnostics, "doctor", lambda: [finding])
    assert doctor.main([]) == 1
    out = capsys.readouterr().out
    assert "Build it" in out
    assert out.endswith("1 problem found\n")
