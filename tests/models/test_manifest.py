"""The manifest of the bundled networks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fastfer.errors import ModelError
from fastfer.models import manifest
from tests.helpers.errors import raises

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the bundled networks."""
    shutil.copytree(manifest.FOLDER, tmp_path / "models")
    return tmp_path / "models"


def test_the_bundled_networks_match() -> None:
    assert manifest.problems() == []


def test_every_entry_names_files_that_exist() -> None:
    for model in manifest.read().values():
        assert (manifest.FOLDER / model.card).is_file()
        assert model.commit
        assert model.terms
        if (ROOT / "training").is_dir():
            assert (ROOT / model.recipe).is_file()


def test_a_changed_missing_or_unknown_network_is_a_problem(folder: Path) -> None:
    with (folder / "nano.onnx").open("r+b") as file:
        file.write(b"x")
    (folder / "refiner.onnx").unlink()
    (folder / "expression_float32.onnx").unlink(missing_ok=True)
    shutil.copy(folder / "expression.onnx", folder / "other.onnx")
    names = [problem.split()[0] for problem in manifest.problems(folder)]
    assert sorted(names) == ["nano.onnx", "other.onnx", "refiner.onnx"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 1, "models": {"a": {}}}', "{"])
def test_a_damaged_manifest(folder: Path, content: str) -> None:
    (folder / manifest.FILE_NAME).write_text(content)
    with raises(ModelError, "invalid_model"):
        manifest.read(folder)


def test_no_manifest(folder: Path) -> None:
    (folder / manifest.FILE_NAME).unlink()
    with raises(ModelError, "not_installed"):
        manifest.read(folder)


def test_keys_of_later_versions_are_ignored(folder: Path) -> None:
    path = folder / manifest.FILE_NAME
    content = json.loads(path.read_text())
    for entry in content["models"].values():
        entry["later"] = 1
    path.write_text(json.dumps(content))
    assert manifest.problems(folder) == []
