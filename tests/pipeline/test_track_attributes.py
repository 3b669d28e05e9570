"""Attributes of tracked faces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import fastfer
from fastfer.classifiers.attributes import AttributeClassifier
from fastfer.labels import ATTRIBUTES
from fastfer.outputs.columns import columns, to_rows
from fastfer.pipeline.track_attributes import INTERVAL, TrackAttributes
from tests.helpers.pictures import astronaut


@pytest.fixture(scope="module")
def network() -> AttributeClassifier:
    return AttributeClassifier(threads=1)


def run(attributes: TrackAttributes, frames: Sequence[tuple[float, list[int]]]) -> list[list]:
    """The results of one group of frames, each with its time and tracks."""
    due = []
    for pts, ids in frames:
        rng = np.random.default_rng([int(1000 * pts)])
        due.append(attributes.collect(ids, rng.random((len(ids), 48, 48, 1), np.float32), pts))
    attributes.estimate()
    return [attributes.update(d, ids) for d, (_, ids) in zip(due, frames, strict=True)]


def test_estimates_are_rare_and_averaged(network: AttributeClassifier) -> None:
    attributes = TrackAttributes(network)
    times = [0.0, 0.1, 0.2, INTERVAL, INTERVAL + 0.1]
    results = run(attributes, [(t, [7]) for t in times])
    first, last = results[0][0], results[-1][0]
    assert results[1][0] == results[2][0] == first, "no estimate is due"
    tiles = [np.random.default_rng([int(1000 * t)]).random((1, 48, 48, 1), np.float32)
             for t in (0.0, INTERVAL)]  # fmt: skip
    expected = np.mean([network.predict(tile).gender for tile in tiles], axis=0)[0]
    assert list(last.gender.values()) == pytest.approx(expected.tolist(), abs=2e-4)


def test_groups_do_not_matter(network: AttributeClassifier) -> None:
    frames = [(0.0, [1]), (0.2, [1, 2]), (0.6, [2, 1]), (0.8, [2])]
    together = run(TrackAttributes(network), frames)
    alone = TrackAttributes(network)
    assert [run(alone, [frame])[0] for frame in frames] == together


def test_forgotten_tracks_begin_again(network: AttributeClassifier) -> None:
    attributes = TrackAttributes(network)
    run(attributes, [(0.0, [1, 2])])
    attributes.forget({2})
    assert attributes.collect([1, 2], np.zeros((2, 48, 48, 1), np.float32), 0.1) == [1]


def test_faces_of_a_video_have_attributes_only_if_asked() -> None:
    frames = [astronaut()] * 20
    engine = fastfer.Engine(threads=1, attributes=ATTRIBUTES)
    photo = engine.analyze(frames[0])[0].attributes
    for result in fastfer.stream(frames, engine=engine, fps=25):
        (face,) = result
        assert face.attributes is not None
        assert face.attributes.perceived_gender == photo.perceived_gender
        assert face.to_dict()["attributes"]["expected_age"] == face.attributes.expected_age
        (row,) = to_rows(result, ATTRIBUTES)
        assert tuple(row) == columns(ATTRIBUTES)
    plain = fastfer.stream(frames[:3], engine=fastfer.Engine(threads=1), fps=25)
    assert all("attributes" not in result[0].to_dict() for result in plain)
