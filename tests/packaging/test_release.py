"""Files of a release agree with each other and with what is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

import fastfer
from tests.helpers.commands import environment, python
from tests.helpers.pictures import astronaut

ROOT = Path(__file__).resolve().parents[2]


def installed_with(package: str) -> set[str]:
    """The packages that ``pip install PACKAGE`` needs here, without extras."""
    requirements = pytest.importorskip("packaging.requirements")
    found: set[str] = set()
    waiting = [package]
    while waiting:
        for line in metadata.requires(waiting.pop()) or []:
            requirement = requirements.Requirement(line)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def table(page: Path) -> dict[str, str]:
    """First and second column of the first table of a page."""
    rows = re.search(r"^\| ---.*\n((?:\|.*\n)+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows is not None
    cells = [line.strip("| \n").split(" | ") for line in rows[1].splitlines()]
    return {row[0]: row[1] for row in cells}


def test_the_licences_of_all_dependencies_are_documented() -> None:
    documented = table(ROOT / "docs/reference/licences.md")
    needed = {name.replace("-headless", "") for name in installed_with("fastfer")}
    assert needed <= documented.keys()
    for name in needed & documented.keys():
        try:
            expression = metadata.metadata(name).get("License-Expression")
        except metadata.PackageNotFoundError:  # opencv-python, where the headless one is installed
            continue
        # NumPy's names the licences of files that its wheel contains, too.
        if expression and not expression.startswith(documented[name]):
            pytest.fail(f"{name} is {expression}, documented as {documented[name]}")


def test_one_version() -> None:
    namespace: dict[str, object] = {"__name__": "check_version", "__file__": __file__}
    code = (ROOT / "tests/packaging/check_version.py").read_text(encoding="utf-8")
    exec(compile(code, "check_version.py", "exec"), namespace)
    found = namespace["versions"]()  # type: ignore[operator]
    found.pop("CHANGELOG.md")  # Unreleased
    assert len(set(found.values())) == 1, found


def test_a_package_without_attributes(tmp_path: Path) -> None:
    """As ``FASTFER_ATTRIBUTES=0`` makes it: only what asks for attributes fails."""
    cv2 = pytest.importorskip("cv2")
    without = shutil.ignore_patterns("attributes.onnx", "__pycache__")
    shutil.copytree(Path(fastfer.__file__).parent, tmp_path / "fastfer", ignore=without)
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), astronaut())
    env = environment(PYTHONPATH=str(tmp_path))
    words = ("-m", "fastfer", "image", photo, "--jsonl", "-")
    plain = python(*words, env=env)
    assert plain.returncode == 0, plain.stderr
    refused = python(*words, "--attributes", "age", env=env)
    assert refused.returncode == 4
    assert len(refused.stderr.splitlines()) == 1
    assert not refused.stdout
    pytest.importorskip("fastapi", reason="needs the extra serve")
    for command in (("serve",), ("studio", "--no-browser")):
        server = ("-m", "fastfer", *command, "--port", "0", "--attributes", "age")
        answer = python(*server, env=env)
        assert answer.returncode == 4, answer.stderr
        assert answer.stderr == refused.stderr


def built_models(folder: Path, switch: str) -> set[str]:
    """The files in ``fastfer/models`` after a build into ``folder``."""
    if int(metadata.version("setuptools").split(".")[0]) < 77:
        pytest.skip("needs setuptools 77, as pyproject.toml says")
    pytest.importorskip("Cython")
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(folder)],
        cwd=ROOT, env=os.environ | {"FASTFER_ATTRIBUTES": switch}, check=True,
    )  # fmt: skip
    return {path.name for path in (folder / "fastfer" / "models").iterdir()}


@pytest.mark.parametrize("switch", ["0", "Off", "1"])
def test_the_switch_of_the_build(switch: str, tmp_path: Path) -> None:
    models = built_models(tmp_path, switch)
    assert "expression.onnx" in models
    assert ("attributes.onnx" in models) == (switch == "1")


def test_a_build_without_attributes_after_one_with_them(tmp_path: Path) -> None:
    """``pip install .`` leaves the folder ``build`` in a clone; the next one packs all of it."""
    assert "attributes.onnx" in built_models(tmp_path, "1")
    stale = tmp_path / "fastfer" / "models" / "expression_float32.onnx"
    on_x86 = sysconfig.get_platform().endswith(("x86_64", "amd64"))
    if on_x86:
        stale.write_bytes(b"of a build for another processor")
    models = built_models(tmp_path, "0")
    assert "attributes.onnx" not in models
    assert ("expression_float32.onnx" in models) != on_x86
    assert "attributes.onnx" in built_models(tmp_path, "1")


def test_an_unknown_word_for_the_switch_of_the_build() -> None:
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT, env=os.environ | {"FASTFER_ATTRIBUTES": "maybe"},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("FASTFER_ATTRIBUTES=maybe")
