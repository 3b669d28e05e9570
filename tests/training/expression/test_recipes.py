"""The commands that the documentation gives made the bundled network, and they run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fastfer.classifiers.native import FLOAT32_MODEL, INT8_MODEL, EmotionClassifier
from fastfer.detectors import create_detector
from fastfer.detectors.nano import NANO_MODEL as NANO
from fastfer.detectors.nano_refiner import REFINER_MODEL as REFINER
from tests.helpers.drawn_scenes import write_scenes
from training.common.run_folder import CONFIG
from training.expression.train import _configuration, _parser

ROOT = Path(__file__).resolve().parents[3]
REPORT = ROOT / "training" / "reports" / "simple"
RECIPE = "training/recipes/fer2013_simple.sh"
# What depends on the place and the machine, or was added to the tool after that run.
ELSEWHERE = {"data", "votes", "init", "precision", "environment", "split", "vote_smoothing"}

DETECTOR_RECIPE = "training/recipes/facedet_nano.sh"
# Stands for python on the PATH: notes what it was asked, and does it with a single epoch of little.
# What has learnt next to nothing may lose any accuracy in INT8.
BRIEF_PYTHON = """#!{python}
import json, os, sys
words = sys.argv[1:]
with open({log!r}, "a") as f:
    f.write(json.dumps(words) + "\\n")
for option, least in (
    ("--epochs", "1"), ("--tiles", "16"), ("--sides", "64"), ("--steps", "1")
):
    if option in words:
        words[words.index(option) + 1] = least
if "training.export" in words:
    words += ["--allow-drop", "1"]
os.execv(sys.executable, [sys.executable, *words])
"""


def documented(file: str) -> list[list[str]]:
    """The first block of commands that trains, word by word."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / file).read_text(encoding="utf-8"), re.DOTALL)
    block = next(b for b in blocks if "training.train" in b)
    lines = block.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines]


def recipe_of(words: list[str]) -> dict:
    """The options of a training command, but for those that may differ."""
    assert words[:2] == ["-m", "training.train"], words
    config = _configuration(_parser().parse_args(words[2:]))
    return {k: v for k, v in config.items() if k not in ELSEWHERE}


def reported() -> list[dict]:
    """The recipes that made the bundled network."""
    files = (REPORT / f"round-{number}-config.json" for number in (1, 2))
    configs = (json.loads(f.read_text(encoding="utf-8")) for f in files)
    return [{k: v for k, v in c.items() if k not in ELSEWHERE} for c in configs]


@pytest.mark.parametrize("file", ["README.md", "training/README.md"])
def test_the_five_commands_are_those_of_the_report(file):
    install, *train, evaluate, export = documented(file)
    assert install == ["pip", "install", "-e", ".[train]"]
    assert [words[0] for words in (*train, evaluate, export)] == ["python"] * 4
    for got, expected in zip(train, reported(), strict=True):
        recipe = recipe_of(got[1:])
        assert {k: recipe[k] for k in expected} == expected
    assert train[1][train[1].index("--init") + 1] == "runs/simple"
    assert evaluate[2:4] == ["training.evaluate", "runs/simple-2"]
    assert export[2:5] == ["training.export", "runs/simple-2", "--int8"]
    # Both files of the network that comes along, whichever the processor takes.
    assert export[export.index("--out") + 1] == f"fastfer/models/{INT8_MODEL.name}"
    assert export[export.index("--twin") + 1] == f"fastfer/models/{FLOAT32_MODEL.name}"


def run_recipe(tmp_path, script, *arguments):
    """Run a recipe briefly in a copy of the repository; returns the copy and what it called."""
    clone = tmp_path / "clone"
    for part in ("fastfer", "training", "benchmarks"):
        shutil.copytree(ROOT / part, clone / part, ignore=shutil.ignore_patterns("reports"))
    log = tmp_path / "log"
    brief = tmp_path / "bin" / "python"
    brief.parent.mkdir()
    brief.write_text(BRIEF_PYTHON.format(python=sys.executable, log=str(log)))
    brief.chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["PATH"] = f"{brief.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", clone / script, *arguments], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return clone, [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.skipif(shutil.which("bash") is None, reason="the recipe is a script for bash")
def test_the_recipe_bundles_a_network(tmp_path, faces_csv):
    """In a copy of the repository, on drawn faces as Kaggle packs them, from another folder."""
    with zipfile.ZipFile(tmp_path / "archive.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.write(faces_csv, "fer2013.csv")
    before = [path.read_bytes() for path in (INT8_MODEL, FLOAT32_MODEL)]
    clone, called = run_recipe(tmp_path, RECIPE, "archive.zip")
    models = clone / "fastfer" / "models"
    for path, old, quantisation in zip(
        (INT8_MODEL, FLOAT32_MODEL), before, ("int8", "none"), strict=True
    ):
        assert (models / path.name).read_bytes() != old
        contract = EmotionClassifier(models / path.name).contract
        assert (contract.name, contract.quantisation) == ("fer2013_simple", quantisation)
    assert (clone / "runs" / "simple-2" / CONFIG).exists()
    assert (clone / "runs" / "simple-2" / "report.md").exists()

    *train, evaluate, export = called
    assert [recipe_of(words) for words in train] == [
        recipe_of(words[1:]) for words in documented("training/README.md")[1:3]
    ]
    assert evaluate[1] == "training.evaluate"
    assert export[1] == "training.export"


@pytest.mark.skipif(shutil.which("bash") is None, reason="the recipe is a script for bash")
def test_the_detectors_recipe_bundles_a_detector(tmp_path):
    write_scenes(tmp_path / "scenes", {"train": 4, "val": 12})
    before = {path: path.read_bytes() for path in (NANO, REFINER)}
    clone, called = run_recipe(tmp_path, DETECTOR_RECIPE, "scenes")
    assert [words[1].partition(".")[2] for words in called] == [
        "detector.train", "detector.train", "detector.export",
        "refiner.crops", "refiner.train", "refiner.export", "evaluate_detectors.evaluate",
    ]  # fmt: skip
    for path, old in before.items():
        assert (clone / "fastfer" / "models" / path.name).read_bytes() != old
    assert create_detector(str(clone / "fastfer" / "models" / NANO.name)).name == "nano"
    assert (clone / "runs" / "refiner" / "report" / "report.md").exists()
