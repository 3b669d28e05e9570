"""Drawn faces and backs of heads."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from training.expression.drawings import Picture, backs_of_heads, drawn_faces


@pytest.mark.parametrize("make", [drawn_faces, backs_of_heads])
def test_pictures_are_varied_and_depend_on_the_seed_alone(make: Callable[..., Picture]) -> None:
    pictures = make(12, seed=3)
    assert pictures.shape == (12, 48, 48)
    assert pictures.dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) == 12
    assert (pictures.std(axis=(1, 2)) > 2).all()
    np.testing.assert_array_equal(make(12, seed=3), pictures)
    np.testing.assert_array_equal(make(5, seed=3), pictures[:5])
    assert not np.array_equal(make(12, seed=4), pictures)
