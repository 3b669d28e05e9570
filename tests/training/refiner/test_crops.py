"""Crops of the first stage's proposals, and the command that draws them."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastfer.detectors import Detections
from fastfer.detectors.nano_refiner import CONTEXT_SIZE, SIZE, decode, proposal_crops
from fastfer.errors import InputError
from tests.helpers.drawn_scenes import LANDMARKS as PLACES
from tests.helpers.errors import raises
from tests.helpers.face_regions import face_regions
from tests.helpers.proposals import Proposing, cut
from tests.helpers.waiting import wait_until
from training.detector.photos import Photo, read_photos
from training.refiner import crops
from training.refiner.crops import BOX, FACE, KNOWN, LANDMARKS, WEIGHT, WIDTH, Crops


def test_decoded_targets_are_the_face():
    face, proposal = (60, 50, 40, 50), (56, 54, 44, 44)
    made = cut(face_regions(face), proposal)
    assert made.pixels.shape == (2, SIZE, SIZE), "the proposal and the jittered face"
    row = made.targets[:1]
    assert row[0, [FACE, WEIGHT, KNOWN]].tolist() == [1, 1, 1]
    values = np.concatenate([[[0]], row[:, BOX], row[:, LANDMARKS]], axis=1)
    box, landmarks = decode(proposal_crops(np.array([proposal], float)), values)
    np.testing.assert_allclose(box[0], face, atol=0.01)
    np.testing.assert_allclose(landmarks[0], PLACES * [40, 50] + [60, 50], atol=0.01)
    # The bright face lies in the crop where the target says.
    width, height = np.exp(row[0, BOX][2:]) * SIZE
    left, top = (row[0, BOX][:2] + 0.5) * SIZE - [width / 2, height / 2]
    bright = np.argwhere(made.pixels[0] > 125)
    np.testing.assert_allclose(bright.min(axis=0), [top, left], atol=1)
    np.testing.assert_allclose(bright.max(axis=0) + 1, [top + height, left + width], atol=1)
    # And in the middle of the larger crop, at a quarter of the size.
    bright = np.argwhere(made.contexts[0] > 125)
    low, high = (12 + (np.array([y, x]) - SIZE / 2) / 4 for y, x in (
        (top, left), (top + height, left + width)
    ))  # fmt: skip
    np.testing.assert_allclose(bright.min(axis=0), low, atol=1)
    np.testing.assert_allclose(bright.max(axis=0) + 1, high, atol=1)


def test_labels_by_overlap():
    face = (100, 100, 40, 40)

    def labelled(*proposal, **known):
        rows = cut(face_regions(face, **known), proposal).targets
        return rows[0, [FACE, WEIGHT]].tolist() if len(rows) > 1 else None

    assert labelled(105, 100, 40, 40) == [1, 1]
    assert labelled(118, 100, 40, 40) == [1, 0], "box without score"
    assert labelled(125, 100, 40, 40) is None
    assert labelled(10, 10, 40, 40) == [0, 1]
    assert labelled(10, 10, 40, 40, ignore=[(0, 0, 60, 60)]) is None
    assert labelled(105, 100, 40, 40, ignore=[(90, 90, 90, 90)]) == [1, 1], (
        "a labelled face in an ignored region"
    )


def test_faces_without_landmarks_have_a_box_target():
    known = face_regions((60, 50, 40, 50))
    known.landmarks[:] = np.nan
    made = cut(known, (60, 50, 40, 50))
    assert np.isfinite(made.targets).all()
    assert made.targets[0, [FACE, WEIGHT, KNOWN]].tolist() == [1, 1, 0]


def test_a_tile_without_faces_and_proposals():
    made = cut(face_regions())
    assert made.pixels.shape == (0, SIZE, SIZE)
    assert made.contexts.shape == (0, CONTEXT_SIZE, CONTEXT_SIZE)
    assert made.targets.shape == (0, WIDTH)


def test_proposals_in_a_reduced_tile():
    """The crop is of the full tile, as at inference."""
    searched = []

    class Recording(Proposing):
        def detect(self, frame):
            searched.append(frame.shape[0])
            return super().detect(frame)

    tile, face = np.zeros((200, 200), np.uint8), face_regions((60, 50, 40, 50))
    rows = [
        crops.crops_of_tile(
            tile, face, Recording((56, 54, 44, 44)), np.random.default_rng(seed)
        ).targets
        for seed in range(12)
    ]
    assert min(searched) < 150
    assert max(searched) == 200
    for row in rows:
        np.testing.assert_allclose(row[0], rows[0][0], atol=0.02)


def test_the_best_proposals_are_kept():
    class Many(Proposing):
        def detect(self, frame):
            found = super().detect(frame)
            return Detections(found.boxes, np.linspace(0.1, 0.9, len(found)).astype(np.float32))

    boxes = [(5 * i, 10, 30, 30) for i in range(20)]
    rng = np.random.default_rng(0)
    kept = crops._proposals(np.zeros((200, 200), np.uint8), Many(*boxes), rng)
    assert sorted(kept[:, 0].round().tolist()) == [
        5 * i for i in range(20 - crops.MAX_PROPOSALS, 20)
    ]


def test_faces_are_cropped_with_jitter():
    face = np.array([[100.0, 100, 40, 50]], np.float32)
    rng = np.random.default_rng(0)
    off = np.concatenate([crops._jittered(face, rng) for _ in range(800)])
    middle = (off[:, :2] + off[:, 2:] / 2 - [120, 125]) / [40, 50]
    np.testing.assert_allclose(middle.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(middle.std(axis=0), crops.CENTRE_JITTER, rtol=0.15)
    np.testing.assert_allclose(
        np.log(off[:, 2:] / [40, 50]).std(axis=0), crops.SIZE_JITTER, rtol=0.15
    )
    assert len(crops._jittered(np.array([[0, 0, 9, 9]], np.float32), rng)) == 0, "too small"


def test_proposals_outside_the_tile_are_dropped():
    assert len(cut(face_regions(), (-500, 10, 40, 40), (10, 10, 40, 40)).pixels) == 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_share_of_tiles_from_photos_with_faces(monkeypatch, share):
    drawn = []

    def draw(photos, first, side, augmentation, rng):
        drawn.append(first)
        return np.zeros((side, side, 1), np.uint8), face_regions()

    monkeypatch.setattr(crops, "draw", draw)
    empty, full = (
        Photo(np.zeros((9, 9, 1), np.uint8), face_regions(*f)) for f in ([], [(0, 0, 9, 9)])
    )
    crops.crops_of_photos([empty, full, empty], Proposing(), 9, share, np.random.default_rng(0))
    assert set(drawn) == ({1} if share else {0, 2})


def test_chunk_sizes():
    assert crops.chunk_sizes(1) == [1]
    assert crops.chunk_sizes(600) == [250, 250, 100]
    assert sum(crops.chunk_sizes(90_000)) == 90_000


def test_crops_depend_on_the_seed_alone(scenes):
    photos = read_photos(scenes, "train")
    detector = crops.first_stage()
    one, other, third = (
        crops.crops_of_photos(photos, detector, 4, 0.5, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.pixels, other.pixels)
    np.testing.assert_array_equal(one.contexts, other.contexts)
    np.testing.assert_array_equal(one.targets, other.targets)
    assert len(third.pixels) != len(one.pixels) or (third.pixels != one.pixels).any()


def test_crops_of_whole_photos(scenes, tmp_path, capsys):
    words = ("--data", scenes, "--views", 2, "--seed", 3)
    for name, workers in ("one", 1), ("two", 2):
        assert run_crops(*words, "--workers", workers, "--out", tmp_path / name) == 0
    assert "2 views of 12 train photos" in capsys.readouterr().out
    one, two = (Crops.read(tmp_path / name / "train.npz") for name in ("one", "two"))
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(one.targets, two.targets)
    faces = sum(len(photo.known.boxes) for photo in read_photos(scenes, "train"))
    assert one.targets[:, FACE].sum() >= faces, "each face at least once in two views"


def test_a_view_is_cropped_at_its_proposals():
    photo = Photo(np.zeros((200, 200, 1), np.uint8), face_regions())
    boxes = [(10 * i, 20, 30, 30) for i in range(10)]
    made = crops.crops_of_view(photo, Proposing(*boxes), np.random.default_rng(0))
    assert len(made.pixels) == 10
    assert not made.targets[:, FACE].any()


def test_the_files_of_the_command(crops_folder, tmp_path):
    made = Crops.read(crops_folder / "train.npz")
    assert len(made.pixels) == len(made.targets) > 50
    assert 0.2 < made.targets[:, FACE].mean() <= 1
    with raises(InputError, "unreadable_input", "none.npz"):
        Crops.read(crops_folder / "none.npz")
    complete = (crops_folder / "val.npz").read_bytes()
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    for bad in (
        b"",
        b"PK",
        complete[:-900],
        complete[:5000] + b"??" + complete[5002:],
        array.getvalue(),
    ):
        (tmp_path / "bad.npz").write_bytes(bad)
        with raises(InputError, "unreadable_input", "bad.npz"):
            Crops.read(tmp_path / "bad.npz")
    bad_shapes = np.zeros((3, 9, 9), np.uint8), np.zeros((3, 5, 5), np.uint8)
    Crops(*bad_shapes, np.zeros((2, 4), np.float32)).write(tmp_path / "bad.npz")
    with raises(InputError, "unreadable_input", "(3, 9, 9)"):
        Crops.read(tmp_path / "bad.npz")
    used = json.loads((crops_folder / "crops.json").read_text())
    assert used["tiles"] == "60"


def run_crops(*arguments: object) -> int:
    return crops.main([str(a) for a in arguments])


def test_crops_are_added_to_those_of_a_folder(scenes, crops_folder, tmp_path):
    words = ("--data", scenes, "--tiles", 60, "--workers", 1, "--seed", 9)
    assert run_crops(*words, "--out", tmp_path / "alone") == 0
    assert run_crops(*words, "--out", tmp_path / "both", "--add-to", crops_folder) == 0
    folders = crops_folder, tmp_path / "alone", tmp_path / "both"
    before, alone, both = (Crops.read(folder / "train.npz").targets for folder in folders)
    np.testing.assert_array_equal(both, np.concatenate([before, alone]))
    before, both = (Crops.read(folder / "val.npz").targets for folder in folders[::2])
    np.testing.assert_array_equal(both, before)
    assert run_crops(*words, "--out", tmp_path / "none", "--add-to", tmp_path) == 3


def test_refused_inputs_of_the_command(scenes, tmp_path, capsys):
    out = tmp_path / "crops"
    assert run_crops("--data", tmp_path / "none", "--out", out, "--tiles", 4, "--workers", 2) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1
    words = ("--data", scenes, "--out", out, "--tiles", 4, "--workers", 1)
    assert run_crops(*words, "--detector", tmp_path / "none.onnx") == 4
    assert (
        run_crops("--data", scenes, "--out", out, "--tiles", 1, "--faces", 0, "--workers", 1) == 3
    )
    assert not out.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the state of the process from /proc")
def test_interrupts_leave_nothing_behind(scenes, tmp_path):
    words = ["--data", scenes, "--out", tmp_path / "out", "--tiles", 100_000, "--workers", 2]
    process = subprocess.Popen(
        [sys.executable, "-m", "training.refiner.crops", *map(str, words)],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    folder = Path(f"/proc/{process.pid}")

    def workers_run() -> bool:
        """Both workers have started, and SIGINT has its handler back."""
        lists = (file.read_text().split() for file in folder.glob("task/*/children"))
        children = sum(map(len, lists))
        caught = re.search(r"SigCgt:\s*(\w+)", (folder / "status").read_text())[1]
        return children >= 3 and bool(int(caught, 16) & 1 << signal.SIGINT - 1)

    wait_until(workers_run, limit=60)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing was written" in said
    assert not (tmp_path / "out").exists()
