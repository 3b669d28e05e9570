"""The recipes call the commands with options that exist, and only --install touches the package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tests.helpers.tiny_network  # noqa: F401  (adds the architecture "tiny")
from tests.docs.commands import parse_module_options
from training.attributes import train as attributes_train
from training.expression.config import ExpressionConfig, configure, parser

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "training" / "reports" / "fastfer" / "config.json"
NETWORKS = {
    "fer2013_simple.sh": ["expression.onnx", "expression_float32.onnx"],
    "fer2013_fastfer.sh": ["expression.onnx", "expression_float32.onnx"],
    "facedet_nano.sh": ["nano.onnx", "refiner.onnx"],
    "fairface_attributes.sh": ["attributes.onnx"],
}
# Fields that depend on the place and the machine.
ELSEWHERE = {"data": "", "votes": None, "init": None, "precision": "", "distill": ()}
# Replaces python on the PATH: logs its arguments and creates the output files.
STUB = """#!{python}
import json, pathlib, sys
words = sys.argv[1:]
with open({log!r}, "a") as f:
    f.write(json.dumps(words) + "\\n")
for option in ("--out", "--float32-out"):
    if option in words:
        out = pathlib.Path(words[words.index(option) + 1])
        train = words[1].endswith(".train")
        out = out / "last.keras" if train else out
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix:
            out.write_text("made")
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="recipes are bash scripts")


def run_recipe(folder: Path, name: str, *options: str) -> list[list[str]]:
    """The commands that a recipe calls in a copy of the repository in ``folder``."""
    clone = folder / "clone"
    (clone / "training" / "recipes").mkdir(parents=True, exist_ok=True)
    (clone / "fastfer" / "models").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "training" / "recipes" / name, clone / "training" / "recipes" / name)
    log, stub = folder / "log", folder / "bin" / "python"
    log.unlink(missing_ok=True)
    stub.parent.mkdir(exist_ok=True)
    stub.write_text(STUB.format(python=sys.executable, log=str(log)))
    stub.chmod(0o755)
    files = ["archive.zip", "votes.csv", "photos.npz"][: 3 if "fastfer" in name else 1]
    for file in files:
        (folder / file).write_text("x")
    if "facedet" in name:
        files = [".", ".", ".", "yunet.onnx"]
    if "fairface" in name:
        files = ["."]
    subprocess.run(
        ["bash", clone / "training" / "recipes" / name, *options, *files],
        cwd=folder, check=True, stdout=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    return [json.loads(line) for line in log.read_text().splitlines()]


def config_of(words: list[str]) -> ExpressionConfig:
    """The configuration of a training command, except fields of place and machine."""
    options = parser().parse_args(words[2:])
    options.distill = ()
    options.online_distillation = False
    return replace(configure(options), **ELSEWHERE)


@pytest.mark.skipif(not REPORT.exists(), reason="source distributions lack the reports")
def test_the_last_training_is_that_of_the_report(tmp_path):
    called = run_recipe(tmp_path, "fer2013_fastfer.sh")
    trained = [config_of(words) for words in called if words[1] == "training.train"]
    expected = ExpressionConfig.from_json(json.loads(REPORT.read_text(encoding="utf-8")))
    assert trained[-1] == replace(expected, **ELSEWHERE, online_distillation=False)


@pytest.mark.skipif(not REPORT.exists(), reason="source distributions lack the reports")
def test_the_attributes_are_trained_as_in_the_report_but_for_their_first_weights(tmp_path):
    called = run_recipe(tmp_path, "fairface_attributes.sh")
    *_, words = (words for words in called if words[1] == "training.attributes.train")
    config = attributes_train.AttributeConfig.from_options(
        attributes_train._parser().parse_args(words[2:])
    )
    report = ROOT / "training" / "reports" / "attributes" / "config.json"
    expected = attributes_train.AttributeConfig.from_json(json.loads(report.read_text("utf-8")))
    elsewhere = {name: value for name, value in ELSEWHERE.items() if hasattr(config, name)}
    assert replace(config, **elsewhere) == replace(expected, **elsewhere)
    card = (ROOT / "fastfer" / "models" / "attributes.md").read_text("utf-8")
    assert "The recipe starts from the expression network" in " ".join(card.split())


def test_the_simple_recipe_trains_the_network_of_the_tutorials_twice(tmp_path):
    called = run_recipe(tmp_path, "fer2013_simple.sh")
    first, second = (config_of(words) for words in called if words[1] == "training.train")
    assert first.arch == second.arch == "simple"
    assert first.epochs > second.epochs
    assert first.targets == second.targets == "labels"


@pytest.mark.parametrize("name", NETWORKS)
def test_only_install_changes_the_bundled_network(tmp_path, name):
    run_recipe(tmp_path, name)
    models = tmp_path / "clone" / "fastfer" / "models"
    assert list(models.iterdir()) == []
    again = run_recipe(tmp_path, name, "--install")
    assert sorted(path.name for path in models.iterdir()) == NETWORKS[name]
    # Finished runs are resumed, which ends at once.
    assert all("--resume" in words for words in again if words[1].endswith(".train"))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_options_of_all_commands_exist(tmp_path, name, monkeypatch):
    for words in run_recipe(tmp_path, name):
        parse_module_options(words[1], words[2:], monkeypatch)


def test_the_recipes_of_the_field(tmp_path):
    called = run_recipe(tmp_path, "fer2013_field.sh")
    trained = [words for words in called if words[1] == "training.train"]
    configs = [config_of(words) for words in trained]
    assert [c.arch for c in configs] == ["vgg16", "resnet50", "se_resnet"]
    assert [c.learning_rate for c in configs[:2]] == [5e-4, 5e-4]
    assert (configs[2].classes, configs[2].epochs) == (5, 45)
