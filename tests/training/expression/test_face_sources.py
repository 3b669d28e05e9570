"""Single face images: the pixels that inference sees."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fastfer.kernels.pack import pack_faces
from training.expression.face_sources import read_face

SHAPES = [(48, 48), (48, 48, 3), (96, 96, 3), (130, 100, 3), (20, 20), (48, 48, 4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_any_size_are_resized_by_the_inference_kernel(tmp_path, shape):
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, shape, np.uint8), (5, 5), 0)
    path = tmp_path / "à face.png"
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    face = read_face(path)
    assert face.shape == (48, 48)
    assert face.dtype == np.uint8
    if shape == (48, 48):
        np.testing.assert_array_equal(face, image)
    else:
        bgr = image[:, :, :3] if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        h, w = bgr.shape[:2]
        packed = pack_faces(np.ascontiguousarray(bgr), [[0, 0, w, h]], scale=1.0)[0, :, :, 0]
        np.testing.assert_array_equal(face, np.rint(packed))


def test_an_image_of_48_pixels_is_read_exactly(tmp_path):
    image = np.resize(np.arange(256, dtype=np.uint8), (48, 48))
    path = tmp_path / "grays.png"
    cv2.imwrite(str(path), image)
    np.testing.assert_array_equal(read_face(path), image)
