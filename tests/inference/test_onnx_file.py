"""ONNX files read without a session."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from fastfer.classifiers.native import INT8_MODEL
from fastfer.inference.onnx_file import free_input, metadata, output_names
from tests.helpers.onnx_models import write_model


def test_agrees_with_the_onnx_package() -> None:
    data, model = INT8_MODEL.read_bytes(), onnx.load(str(INT8_MODEL))
    assert output_names(data) == [node.name for node in model.graph.output]
    assert metadata(data) == {entry.key: entry.value for entry in model.metadata_props}


@pytest.mark.parametrize("data", [b"", b"text", b"\x0b\xff\xff", bytes(100), b"\x3a\x7f"])
def test_other_files(data: bytes) -> None:
    assert output_names(data) == []
    assert metadata(data) == {}


def test_truncated_files(tmp_path: Path) -> None:
    data = write_model(tmp_path / "net.onnx", metadata={"key": "value"}).read_bytes()
    assert output_names(data) == ["probabilities"]
    assert metadata(data) == {"key": "value"}
    assert metadata(data[:-3]) == {}


def test_free_input_refuses_other_files() -> None:
    with pytest.raises(ValueError):
        free_input(b"\x0b\xff\xff", "input")
