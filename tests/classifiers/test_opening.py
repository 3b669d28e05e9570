"""Which class opens a model file, and which options it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastfer.classifiers.custom import CustomClassifier, ModelSpec
from fastfer.classifiers.native import EmotionClassifier, bundled
from fastfer.classifiers.opening import open_classifier
from fastfer.errors import FastferError, ModelError, UsageError
from fastfer.labels import EMOTIONS
from tests.helpers.errors import raises
from tests.helpers.onnx_models import write_model

SPEC = ModelSpec(EMOTIONS, (1 / 255,))


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return write_model(tmp_path / "exported.onnx")


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    return write_model(tmp_path / "unlabelled.onnx", metadata={})


def test_the_bundled_model_is_the_default() -> None:
    classifier = open_classifier(threads=2)
    assert isinstance(classifier, EmotionClassifier)
    assert (classifier.path, classifier.threads) == (bundled(), 2)


def test_metadata_decides(exported: Path, unlabelled: Path) -> None:
    assert isinstance(open_classifier(exported), EmotionClassifier)
    assert isinstance(open_classifier(str(unlabelled), spec=SPEC), CustomClassifier)
    # A spec says that the metadata shall not be used.
    assert isinstance(open_classifier(exported, spec=SPEC), CustomClassifier)


@pytest.mark.parametrize(
    ("options", "kind", "code"),
    [
        ({"model": None, "spec": SPEC}, UsageError, "usage"),
        ({"model": "unlabelled", "spec": SPEC, "head": "fer2013"}, UsageError, "unknown_head"),
        ({"model": "unlabelled", "spec": SPEC, "prior": "uniform"}, UsageError, "unknown_prior"),
        ({"model": "unlabelled"}, ModelError, "incomplete_spec"),
        ({"model": "exported", "prior": "uniform"}, UsageError, "unknown_prior"),
        ({"model": "exported", "threads": 0}, UsageError, "out_of_range"),
        ({"model": "absent"}, ModelError, "not_found"),
    ],
)
def test_refused_combinations(
    exported: Path, unlabelled: Path, options: dict[str, Any], kind: type[FastferError], code: str
) -> None:
    if options["model"] is not None:
        options = options | {"model": exported.with_name(f"{options['model']}.onnx")}
    with raises(kind, code):
        open_classifier(**options)
