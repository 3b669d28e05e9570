"""A JPEG of 12 megapixels: the whole analysis against decoding it alone.

The picture is scikit-image's astronaut, enlarged; times are of ``fastfer.analyze`` on its bytes, of
which decoding is a part, and of ``cv2.imdecode``, in one run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from fastfer.engine import Engine
from fastfer.io.encoded_image import EncodedImage

YUNET = Path(__file__).parents[1].parent / "shared/models/yunet_n_dynamic.onnx"
SIZE = (4000, 3000)


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    portrait: Any = data.astronaut()  # type: ignore[no-untyped-call]
    whole = cv2.copyMakeBorder(portrait[:, :, ::-1], 0, 0, 85, 85, cv2.BORDER_REFLECT)
    large = cv2.resize(whole, SIZE, interpolation=cv2.INTER_CUBIC)
    # The grain of a camera, without which there would be little to decode.
    grain = np.random.default_rng(0).normal(0, 4, large.shape)
    large = np.clip(large + grain, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


@pytest.mark.parametrize("what", ["decode", "nano", "yunet", "haar"])
def test_twelve_megapixels(benchmark: Any, jpeg: bytes, what: str) -> None:
    benchmark.group = "JPEG of 12 megapixels"
    if what == "decode":
        array = np.frombuffer(jpeg, np.uint8)
        benchmark(cv2.imdecode, array, cv2.IMREAD_COLOR)
        return
    if what == "yunet" and not YUNET.exists():
        pytest.skip(f"{YUNET} is not there")
    if what == "haar" and not hasattr(cv2, "CascadeClassifier"):
        pytest.skip("OpenCV 5 has no cascades")
    engine = Engine(str(YUNET) if what == "yunet" else what)
    result, _ = benchmark(lambda: engine.analyze_encoded(EncodedImage(jpeg)))
    assert result.faces
