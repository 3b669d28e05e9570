"""A JPEG of 12 megapixels: the whole analysis compared with decoding alone.

    python -m benchmarks.bench_jpeg

The picture is an enlarged portrait. Times are of :meth:`Engine.analyze_encoded`, which includes
decoding, and of ``cv2.imdecode``, in one run.
"""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np

from benchmarks import pytest_command
from benchmarks.inputs import YUNET, astronaut
from benchmarks.pytest_or_hint import pytest
from fastfer.engine import Engine
from fastfer.io.encoded_image import EncodedImage

SIZE = (4000, 3000)


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    pytest.importorskip("skimage")
    wide = cv2.copyMakeBorder(astronaut(), 0, 0, 85, 85, cv2.BORDER_REFLECT)
    large = cv2.resize(wide, SIZE, interpolation=cv2.INTER_CUBIC)
    # Without a camera's noise the file would be small and decoding fast.
    noise = np.random.default_rng(0).normal(0, 4, large.shape)
    large = np.clip(large + noise, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def test_decode(benchmark: Any, jpeg: bytes) -> None:
    benchmark.group = "JPEG of 12 megapixels"
    benchmark(cv2.imdecode, np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


@pytest.mark.parametrize(
    "detector",
    [
        "nano",
        pytest.param(
            str(YUNET), id="yunet",
            marks=pytest.mark.skipif(not YUNET.exists(), reason=f"{YUNET} is not there"),
        ),
        pytest.param(
            "haar",
            marks=pytest.mark.skipif(
                not hasattr(cv2, "CascadeClassifier"), reason="OpenCV 5 has no cascades"
            ),
        ),
    ],
)  # fmt: skip
def test_analyze(benchmark: Any, jpeg: bytes, detector: str) -> None:
    benchmark.group = "JPEG of 12 megapixels"
    engine = Engine(detector)
    result, _ = benchmark(lambda: engine.analyze_encoded(EncodedImage(jpeg)))
    assert result.faces


if __name__ == "__main__":
    sys.exit(pytest_command.run(__file__, __doc__))
