"""``fastfer import``: dispatch to the training package."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from fastfer.cli import import_keras

CONVERTER = "training.expression.import_keras"


def test_arguments_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[list[str], str]] = []
    converter = ModuleType(CONVERTER)
    converter.main = lambda *args: calls.append(args) or 0  # type: ignore[attr-defined, func-returns-value]
    monkeypatch.setitem(sys.modules, CONVERTER, converter)
    arguments = ["net.h5", "--out", "net.onnx", "--labels", "a,b"]
    assert import_keras.main(arguments) == 0
    assert calls == [(arguments, "fastfer import")]


def test_without_the_training_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, CONVERTER, None)
    assert import_keras.main(["net.h5", "--out", "net.onnx"]) == 2
    err = capsys.readouterr().err
    assert ".[train]" in err
    assert err.count("\n") == 1
