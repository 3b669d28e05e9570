"""Scene cuts."""

from __future__ import annotations

import numpy as np

from fastfer.tracking.scene_cut import CutDetector
from tests.helpers.clips import empty_scene, moving_face, portrait


def test_cuts_are_detected_and_motion_is_not_one() -> None:
    cuts = CutDetector()
    face = moving_face(10)
    assert [cuts.is_cut(f) for f in face] == [False] * 10
    assert cuts.is_cut(empty_scene(1)[0])
    assert cuts.is_cut(face[0])
    assert cuts.is_cut(face[0][:200])


def test_a_change_of_light_is_no_cut() -> None:
    cuts = CutDetector()
    cuts.is_cut((portrait() * 0.4).astype(np.uint8))
    assert not cuts.is_cut(portrait())
