"""Figures of the audit for known differences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastfer.engine import Engine
from fastfer.io.frame_source import ArraySource
from fastfer.io.open_source import open_source
from fastfer.labels import EMOTIONS
from fastfer.pipeline.audit import Audit, audit, compare
from fastfer.pipeline.video_pipeline import VideoOptions
from fastfer.results import Face, VideoFrameResult
from tests.helpers.onnx_models import write_model

EVEN = dict.fromkeys(EMOTIONS, 1 / 7)


def face(track: int, x: float, emotion: str = "happy", **more: Any) -> Face:
    more = {"track_id": track, "raw_probabilities": EVEN} | more
    return Face((x, 0.0, 10.0, 10.0), 1.0, emotion, 1 / 7, EVEN, **more)


def results(rows: list[list[Face]], fps: float = 10) -> list[VideoFrameResult]:
    return [
        VideoFrameResult(tuple(r), 9, 9, frame_index=i, pts=i / fps) for i, r in enumerate(rows)
    ]


REFERENCE = results([[face(1, 0), face(2, 50)]] * 10)


def test_a_run_agrees_with_itself() -> None:
    found = compare(REFERENCE, REFERENCE, reference_seconds=4, run_seconds=1)
    assert (found.recall, found.label_agreement, found.mean_iou) == (1, 1, 1)
    assert (found.extra, found.identity_switches, found.missed_tracks) == (0, 0, 0)
    assert found.speed_up == 4
    assert "4.0x" in found.table()


def test_missing_late_and_extra_faces() -> None:
    rows = [list(r.faces) for r in REFERENCE]
    rows[0] = rows[1] = [face(1, 0)]
    rows[5] = [*rows[5], face(7, 200)]
    found = compare(REFERENCE, results(rows))
    assert found.recall == found.recall_certain == 18 / 20
    assert found.extra == 1 / 20
    assert found.slowest_appearance == pytest.approx(0.2)


def test_labels_track_ids_and_boxes() -> None:
    rows = [list(r.faces) for r in REFERENCE]
    rows[4] = [face(1, 0, "sad"), face(2, 50)]
    rows[7:] = [[face(1, 0), face(3, 51)]] * 3
    found = compare(REFERENCE, results(rows))
    assert found.label_agreement == 19 / 20
    assert found.agreement_by_emotion == {"happy": 19 / 20}
    assert found.identity_switches == 1
    assert found.mean_iou == pytest.approx((17 + 3 * 9 / 11) / 20)
    assert found.flips_per_minute == pytest.approx(60 * 2 / (0.9 + 0.6 + 0.2))
    assert found.reference_flips_per_minute == 0


def test_delay_of_a_change_of_expression() -> None:
    def clip(change: int) -> list[VideoFrameResult]:
        raw = [
            dict.fromkeys(EMOTIONS, 0.0) | {"sad" if i < 10 else "happy": 1.0} for i in range(30)
        ]
        return results([
            [face(1, 0, "sad" if i < change else "happy", raw_probabilities=raw[i])]
            for i in range(30)
        ])  # fmt: skip

    found = compare(clip(12), clip(15))
    assert (found.delays.changes, found.delays.followed) == (1, 1)
    assert found.delays.mean == pytest.approx(0.5)
    assert found.reference_delays.mean == pytest.approx(0.2)
    assert found.agreement_by_emotion == {"sad": 1.0, "happy": pytest.approx(15 / 18)}
    assert "0.50 s, 1 of 1 (reference 0.20 s, 1 of 1)" in found.table()


def test_a_false_positive_of_the_reference_is_not_certain() -> None:
    rows = [list(r.faces) for r in REFERENCE]
    reference = results([[*row, face(9, 300)] if i == 3 else row for i, row in enumerate(rows)])
    found = compare(reference, REFERENCE)
    assert found.recall == 20 / 21
    assert found.recall_certain == 1
    assert found.missed_tracks == 0


def test_no_faces() -> None:
    empty = results([[]] * 3)
    found = compare(empty, empty)
    assert found.recall != found.recall
    assert "nan" not in Audit.table(replace(found, recall=1.0)).splitlines()[0]


def test_default_options_on_people_in_a_clip(shared: Path, tmp_path: Path) -> None:
    """YuNet, on a clip played forwards and backwards."""
    from fastfer.detectors.yunet import YuNetDetector

    yunet = YuNetDetector(shared / "models" / "yunet_n_640_640.onnx")
    engine = Engine(yunet, write_model(tmp_path / "random.onnx"))
    clip = shared / "media" / "face-demographics-walking.gif"
    frames = [frame.image for frame in open_source(clip)]
    loop = [*frames, *frames[-2:0:-1]] * 2
    found = audit(lambda: ArraySource(loop, 12.5), engine, VideoOptions())
    assert found.recall >= 0.97
    assert found.identity_switches <= 1
    assert found.slowest_appearance <= 0.5
    assert found.extra <= 0.03
