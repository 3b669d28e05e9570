"""Fixtures of the pipeline's tests."""

from __future__ import annotations

from typing import Any

import pytest

from fastfer.engine import Engine
from tests.helpers.clips import empty_scene, moving_face
from tests.helpers.onnx_models import write_model


@pytest.fixture(scope="package")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The bundled detector and a random network."""
    return Engine("nano", write_model(tmp_path_factory.mktemp("model") / "random.onnx"))


@pytest.fixture(scope="package")
def clip() -> list[Any]:
    """46 frames: a face, a scene without a face, a face."""
    return moving_face(30) + empty_scene(6) + moving_face(10)
