"""A file is kept only if it matches Keras."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import pytest

from fastfer.errors import FastferError, InputError, ModelError, OutputError, UsageError
from tests.helpers.errors import raises
from training.common.checked_export import Export, add_options, run_export, share_of

MODEL = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def write(model: keras.Model, path: Path, about: dict[str, Any]) -> keras.Model:
    path.write_text(about["name"])
    return model


def refuse(path: Path) -> object:
    raise ModelError(f"{path}: cannot be opened")


def export(**changes: Any) -> Export:
    return Export(
        **{"write": write, "difference": lambda *_: 1e-6, "open": Path.read_text, "largest": 100}
        | changes
    )


def run(made: Export, *words: object) -> int:
    parser = argparse.ArgumentParser()
    add_options(parser, data="photos", name="net")
    options = parser.parse_args([str(word) for word in words])
    return run_export(options, lambda data: (MODEL, made, f"samples of {data}"))


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run folder that names its data."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text('{"data": "faces"}')
    return folder


def test_a_file_that_passes_all_checks(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "net.onnx"
    assert run(export(), trained, "--out", out, "--name", "mine") == 0
    assert out.read_text() == "mine"
    assert "samples of faces" in capsys.readouterr().out
    assert run(export(), trained, "--out", out, "--data", "others") == 0
    assert "samples of others" in capsys.readouterr().out
    assert out.read_text() == "net"


@pytest.mark.parametrize(
    "failing",
    [
        {"difference": lambda *_: 1e-3},
        {"difference": lambda *_: float("nan")},
        {"largest": 2},
        {"open": refuse},
    ],
)
def test_a_failed_check_keeps_the_earlier_file(
    trained: Path, tmp_path: Path, failing: dict[str, Any]
) -> None:
    out = tmp_path / "net.onnx"
    out.write_text("earlier")
    with raises(ModelError, "invalid_model"):
        run(export(**failing), trained, "--out", out)
    assert out.read_text() == "earlier"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("run_name", "out", "kind", "code"),
    [
        ("run", "net.bin", UsageError, "usage"),
        ("none", "net.onnx", InputError, "not_found"),
        ("net.keras", "net.onnx", UsageError, "usage"),
        ("none", "net.keras/net.onnx", OutputError, "output_failed"),
    ],
)
def test_refused_options(
    trained: Path, tmp_path: Path, run_name: str, out: str, kind: type[FastferError], code: str
) -> None:
    (tmp_path / "net.keras").touch()
    with raises(kind, code):
        run(export(), tmp_path / run_name, "--out", tmp_path / out)


def test_differences_of_large_outputs_are_relative() -> None:
    assert share_of(0.5, 1000) == 0.0005
    assert share_of(0.5, 0.1) == 0.5
