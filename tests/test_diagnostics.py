"""build_info() and the checks of fastfer doctor."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import av
import cv2
import pytest

import fastfer
from fastfer import diagnostics
from fastfer.diagnostics import Finding, build_info, doctor
from fastfer.errors import ModelError
from fastfer.kernels import backend


def levels(subject: str) -> list[str]:
    return [finding.level for finding in doctor() if finding.subject == subject]


def test_build_info_is_native_json() -> None:
    info = build_info()
    assert json.loads(json.dumps(info)) == info
    assert info["version"] == fastfer.__version__
    assert info["instruction_set"] in info["instruction_sets"]
    assert info["opencv"] == cv2.__version__
    assert info["av"] == av.__version__
    assert {"expression.onnx", "nano.onnx"} <= info["models"].keys()
    assert all(len(digest) == 64 for digest in info["models"].values())


def test_this_installation_works() -> None:
    findings = doctor()
    subjects = {"kernels", "manifest", "models", "opencv", "threads", "videos"}
    assert {finding.subject for finding in findings} == subjects
    assert not [f for f in findings if f.level == "problem" and f.subject != "opencv"]
    assert all(finding.advice for finding in findings if finding.level != "ok")


def test_kernels_that_differ_from_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    pack = backend.pack

    def wrong(frame: Any, boxes: Any, size: int, scale: float, *rest: Any) -> int:
        return int(pack(frame, boxes, size, scale * 1.001, *rest))

    monkeypatch.setattr(backend, "pack", wrong)
    assert levels("kernels") == ["problem"]


def test_a_model_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ModelError("expression.onnx is damaged")

    monkeypatch.setattr("fastfer.engine.Engine.__init__", fail)
    (finding,) = (f for f in doctor() if f.subject == "models")
    assert finding.level == "problem"
    assert "expression.onnx is damaged" in finding.message


def test_a_network_that_differs_from_the_manifest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(diagnostics.MODELS, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "nano.onnx").open("ab") as file:
        file.write(b"\0")
    monkeypatch.setattr(diagnostics, "MODELS", tmp_path)
    assert levels("manifest") == ["problem"]


def test_opencv_without_windows_or_cascades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:   NONE\n")
    monkeypatch.delattr(cv2, "CascadeClassifier", raising=False)
    monkeypatch.setattr(diagnostics, "_is_installed", lambda name: name == "opencv-python")
    assert levels("opencv") == ["note", "note"]


def test_two_packages_of_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics, "_is_installed", lambda name: "contrib" not in name)
    assert "problem" in levels("opencv")


@pytest.mark.skipif(os.name != "posix", reason="other systems always have a display")
def test_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:   QT5\n")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setenv("DISPLAY", ":0")
    with_display = levels("opencv")
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert levels("opencv").count("note") == with_display.count("note") + 1


def test_findings_as_text() -> None:
    assert str(Finding("ok", "threads", "2 of 2")) == "ok      threads: 2 of 2"
    assert str(Finding("note", "a", "b", "Do c")) == "note    a: b. Do c"
