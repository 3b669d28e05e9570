"""Batches of crops."""

from __future__ import annotations

import numpy as np

from fastfer.detectors.nano_refiner import CONTEXT_SIZE, SIZE
from training.refiner.batches import AllCrops, CropBatches, mirror
from training.refiner.crops import BOX, FACE, LANDMARKS, WEIGHT, WIDTH, Crops


def test_mirroring_swaps_right_and_left_landmarks():
    row = np.zeros((1, WIDTH), np.float32)
    row[0, BOX] = [0.1, 0.2, -0.3, -0.4]
    row[0, LANDMARKS] = np.arange(10) / 10
    out = mirror(row)
    np.testing.assert_allclose(out[0, BOX], [-0.1, 0.2, -0.3, -0.4])
    expected = [-0.2, 0.3, 0, 0.1, -0.4, 0.5, -0.8, 0.9, -0.6, 0.7]
    np.testing.assert_allclose(out[0, LANDMARKS], expected, atol=1e-6)
    np.testing.assert_array_equal(mirror(out), row)


def test_pixels_and_targets_are_mirrored_alike():
    pixels, contexts = (np.zeros((1, n, n), np.uint8) for n in (SIZE, CONTEXT_SIZE))
    for picture in pixels[0], contexts[0]:
        picture[len(picture) // 2 :, : len(picture) // 2] = 255
    row = np.zeros((1, WIDTH), np.float32)
    row[0, [FACE, WEIGHT]] = 1
    row[0, BOX.start] = -0.25
    inputs, rows = CropBatches(Crops(pixels, contexts, row), steps=1, batch_size=64)[0]
    assert {-0.25, 0.25} == set(rows[:, BOX.start].tolist())
    for got in inputs.values():
        half = got.shape[1] // 2
        left = got[:, half:, :half].mean(axis=(1, 2, 3))
        right = got[:, half:, half:].mean(axis=(1, 2, 3))
        np.testing.assert_array_equal(left > right, rows[:, BOX.start] < 0)
        assert (np.maximum(left, right) > got[:, :half].mean(axis=(1, 2, 3)) + 0.3).all()


def test_batches_depend_on_seed_and_epoch_alone(crops_folder):
    made = Crops.read(crops_folder / "train.npz")

    def batches(epoch):
        return CropBatches(made, steps=2, batch_size=16, seed=1, epoch=epoch)

    one, other = batches(0), batches(1)
    inputs, targets = one[0]
    assert targets.dtype == np.float32
    assert targets[:, FACE].sum() >= 10
    sides = {"crops": SIZE, "contexts": CONTEXT_SIZE}
    assert {k: v.shape for k, v in inputs.items()} == {k: (16, n, n, 1) for k, n in sides.items()}
    for name, pixels in inputs.items():
        assert pixels.dtype == np.float32
        assert 0 <= pixels.min() <= pixels.max() <= 1
        assert not np.array_equal(pixels, other[0][0][name])
    one.on_epoch_end()
    for name in sides:
        np.testing.assert_array_equal(one[0][0][name], other[0][0][name])
    np.testing.assert_array_equal(one[0][1], other[0][1])


def test_validation_covers_every_crop_once(crops_folder):
    made = Crops.read(crops_folder / "val.npz")
    batches = AllCrops(made, 7)
    rows = np.concatenate([batches[i][1] for i in range(len(batches))])
    assert rows.shape == made.targets.shape
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(made.targets, axis=0))
