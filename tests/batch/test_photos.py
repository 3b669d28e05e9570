"""Photos in bulk: exact results equal the engine's, gray ones differ by rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastfer import Engine
from fastfer.batch.photos import PhotoAnalyzer
from fastfer.errors import InputError
from fastfer.io.encoded_image import EncodedImage
from fastfer.io.limits import FileLimits
from fastfer.results import FrameResult
from tests.helpers.clips import empty_scene
from tests.helpers.errors import raises
from tests.helpers.pictures import astronaut, large_jpeg


@pytest.fixture(scope="module")
def pictures() -> list[EncodedImage]:
    """A small photo, a large one, and a large one without a face."""
    return [
        EncodedImage(large_jpeg(astronaut(), 400)),
        EncodedImage(large_jpeg(astronaut(), 2400)),
        EncodedImage(large_jpeg(empty_scene(1)[0], 2400)),
    ]


@pytest.mark.parametrize("exact", [True, False])
def test_results_of_a_batch(
    exact: bool, pictures: list[EncodedImage], real_engine: dict[str, Any]
) -> None:
    engine = Engine(**real_engine, threads=1)
    analyzer = PhotoAnalyzer(engine, exact=exact)
    found = analyzer.analyze([analyzer.decode(image) for image in pictures])
    for image, result in zip(pictures, found, strict=True):
        assert isinstance(result, FrameResult)
        whole, _ = engine.analyze_encoded(image)
        assert (result.width, result.height, result.detector) == (
            whole.width,
            whole.height,
            whole.detector,
        )
        assert len(result) == len(whole)
        if exact or image is pictures[0]:
            assert result.faces == whole.faces
        else:
            assert np.allclose(result.boxes, whole.boxes, atol=0.003 * whole.width)
            assert np.allclose(result.probabilities, whole.probabilities, atol=0.05)
    # Enlarged six times, the photo may show a false alarm as well.
    assert [len(result) > 0 for result in found if isinstance(result, FrameResult)] == [
        True,
        True,
        False,
    ]


def test_limits_hold_in_gray_too(real_engine: dict[str, Any]) -> None:
    analyzer = PhotoAnalyzer(Engine(**real_engine, threads=1))
    data = large_jpeg(astronaut(), 2400)
    for limits in (FileLimits(pixels=1_000_000), FileLimits(memory=1_000_000)):
        with pytest.raises(InputError) as caught:
            analyzer.decode(EncodedImage(data, limits=limits))
        assert caught.value.code in ("too_many_pixels", "too_much_memory")
    with raises(InputError, "truncated"):
        analyzer.decode(EncodedImage(data[: len(data) // 2]))
