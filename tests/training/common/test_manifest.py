"""The command that writes the manifest of the bundled networks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from fastfer.models import manifest
from training.common.manifest import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the bundled networks, outside the repository."""
    shutil.copytree(manifest.FOLDER, tmp_path / "models")
    return tmp_path / "models"


def test_the_bundled_manifest_is_up_to_date() -> None:
    assert main(["--check"]) == 0


def test_unchanged_networks_keep_their_entries(folder: Path) -> None:
    before = (folder / manifest.FILE_NAME).read_text()
    present = {path.name for path in folder.glob("*.onnx")}
    if present != manifest.read(folder).keys():
        pytest.skip("this package has no optional networks")
    assert main(["--folder", str(folder)]) == 0
    assert (folder / manifest.FILE_NAME).read_text() == before


def test_a_replaced_network_is_found_and_written(folder: Path) -> None:
    before = manifest.read(folder)
    shutil.copy(folder / "nano.onnx", folder / "refiner.onnx")
    assert main(["--folder", str(folder), "--check"]) == 1
    assert main(["--folder", str(folder)]) == 0
    assert main(["--folder", str(folder), "--check"]) == 0
    after = manifest.read(folder)
    assert after["refiner.onnx"].sha256 == before["nano.onnx"].sha256
    assert after["nano.onnx"] == before["nano.onnx"]


def test_a_network_without_provenance_is_an_error(folder: Path) -> None:
    shutil.copy(folder / "nano.onnx", folder / "unknown.onnx")
    assert main(["--folder", str(folder)]) == 4
    assert manifest.problems(folder) == ["unknown.onnx is not in the manifest"]


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_of_an_entry_holds_the_network(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True)

    git("init", "--quiet")
    shutil.copy(folder / "nano.onnx", folder / "refiner.onnx")
    assert main(["--folder", str(folder)]) == 0
    assert manifest.read(folder)["refiner.onnx"].commit == ""
    git("add", ".")
    git("commit", "--quiet", "-m", "networks")
    assert main(["--folder", str(folder)]) == 0
    assert manifest.read(folder)["refiner.onnx"].commit
    capsys.readouterr()
    # The other entries name commits of fastfer's own repository.
    assert main(["--folder", str(folder), "--check"]) == 1
    wrong = {line.partition(":")[0] for line in capsys.readouterr().out.splitlines()}
    assert wrong == {path.name for path in folder.glob("*.onnx")} - {"refiner.onnx"}
