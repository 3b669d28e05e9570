"""Batches of tiles and of validation photos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.face_regions import face_regions
from tests.training.detector.test_tiles import PLAIN
from training.detector.batches import PhotoBatches, TileBatches
from training.detector.photos import FaceRegions, Photo, read_photos
from training.detector.targets import POSITIVE, WIDTH
from training.detector.tiles import TileAugmentation


def gray_photo(value: int, known: FaceRegions) -> Photo:
    return Photo(np.full((64, 64, 1), value, np.uint8), known)


def test_batches_depend_on_seed_and_epoch_alone(scenes):
    photos = read_photos(scenes, "train")

    def batches(epoch: int) -> TileBatches:
        return TileBatches(
            photos, TileAugmentation(), tiles=8, batch_size=4, sides=(64, 128), seed=1, epoch=epoch
        )

    first, second = batches(0), batches(1)
    assert len(first) == 2
    assert first[0][0].shape == (4, 64, 64, 1)
    assert first[1][0].shape == (1, 128, 128, 1), "fewer tiles of a larger side"
    assert first[1][1].shape == (1, 16 * 16 + 8 * 8 + 4 * 4, WIDTH)
    assert not np.array_equal(first[0][0], second[0][0])
    first.on_epoch_end()
    np.testing.assert_array_equal(first[0][0], second[0][0])
    np.testing.assert_array_equal(first[0][1], second[0][1])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_share_of_tiles_from_photos_with_faces(share):
    photos = [gray_photo(200, face_regions((20, 20, 24, 24)))]
    photos += [gray_photo(50, face_regions())] * 9
    augmentation = replace(PLAIN, grow=1.0, shrink=1.0)
    batches = TileBatches(photos, augmentation, tiles=400, batch_size=100, sides=[32], faces=share)
    bright = [(batch > 100).any(axis=(1, 2, 3)) for batch, _ in (batches[i] for i in range(4))]
    assert np.mean(bright) == pytest.approx(share, abs=0.07)


@pytest.mark.parametrize("boxes", [(), ((20, 20, 24, 24),)], ids=["no faces", "faces alone"])
def test_photos_of_one_kind_make_all_tiles(boxes):
    photo = gray_photo(9, face_regions(*boxes))
    batches = TileBatches([photo], PLAIN, tiles=8, batch_size=8, sides=[32], faces=0.5)
    assert batches[0][0].shape == (8, 32, 32, 1)


def test_validation_batches_cover_all_photos_once(scenes):
    photos = read_photos(scenes, "val")
    batches = PhotoBatches(photos, 64, 4)
    parts = [batches[i] for i in range(len(batches))]
    assert sum(len(pictures) for pictures, _ in parts) == len(photos)
    assert all(targets[..., POSITIVE].any() for _, targets in parts)
