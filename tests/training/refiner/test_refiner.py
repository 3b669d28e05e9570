"""The second stage's training: crops, batches, losses, a run, its export and evaluation."""
# ruff: noqa: E402  (what needs Keras comes after the skip)

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

keras = pytest.importorskip("keras")

from fastfer.detectors import Detections, create_detector
from fastfer.detectors.nano import NANO_MODEL as NANO
from fastfer.detectors.nano_refiner import SIZE, decode, proposal_crops
from fastfer.errors import InputError
from tests.helpers.drawn_scenes import POINTS as PLACES
from tests.helpers.drawn_scenes import write_scenes
from tests.helpers.waiting import wait_until
from training.common import run_folder
from training.detector.photos import FaceRegions, Photo, read_photos
from training.evaluate_detectors import __main__ as evaluate
from training.refiner import crops, export, losses
from training.refiner import train as training
from training.refiner.batches import AllCrops, CropBatches, mirror
from training.refiner.crops import BOX, FACE, KNOWN, POINTS, WEIGHT, WIDTH, Crops
from training.refiner.network import build, load

NONE = np.empty((0, 4), np.float32)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes"), {"train": 12, "val": 6})


@pytest.fixture(scope="module")
def folder(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("crops")
    words = ["--data", str(scenes), "--out", str(out), "--tiles", "60", "--workers", "1"]
    assert crops.main(words) == 0
    return out


class Proposing:
    """A detector that proposes what it is told, whatever the picture."""

    def __init__(self, *boxes: tuple[float, ...]) -> None:
        self._boxes = np.array(boxes, np.float32).reshape(-1, 4)

    def detect(self, frame):
        small = self._boxes * np.float32(frame.shape[0] / 200)
        return Detections(small, np.full(len(small), 0.5, np.float32))


def cut(known: FaceRegions, *proposals: tuple[float, ...]) -> Crops:
    tile = np.full((200, 200), 50, np.uint8)
    for x, y, w, h in known.boxes.astype(int):
        tile[y : y + h, x : x + w] = 200
    return crops.crops_of_tile(tile, known, Proposing(*proposals), np.random.default_rng(0))


def regions(*boxes: tuple[float, ...], ignore: object = NONE) -> FaceRegions:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    points = (PLACES[None] * rows[:, None, 2:] + rows[:, None, :2]).astype(np.float32)
    return FaceRegions(rows, points, np.array(ignore, np.float32).reshape(-1, 4), NONE)


# --- crops ---------------------------------------------------------------------------------------


def test_targets_lead_back_to_the_face():
    face, proposal = (60, 50, 40, 50), (56, 54, 44, 44)
    made = cut(regions(face), proposal)
    assert made.pixels.shape == (2, SIZE, SIZE), "the proposal, and the face a little off"
    row = made.targets[:1]
    assert row[0, [FACE, WEIGHT, KNOWN]].tolist() == [1, 1, 1]
    values = np.concatenate([[[0]], row[:, BOX], row[:, POINTS]], axis=1)
    box, points = decode(proposal_crops(np.array([proposal], float)), values)
    np.testing.assert_allclose(box[0], face, atol=0.01)
    np.testing.assert_allclose(points[0], PLACES * [40, 50] + [60, 50], atol=0.01)
    # The bright face lies in the crop where the target says.
    width, height = np.exp(row[0, BOX][2:]) * SIZE
    left, top = (row[0, BOX][:2] + 0.5) * SIZE - [width / 2, height / 2]
    bright = np.argwhere(made.pixels[0] > 125)
    np.testing.assert_allclose(bright.min(axis=0), [top, left], atol=1)
    np.testing.assert_allclose(bright.max(axis=0) + 1, [top + height, left + width], atol=1)


def test_how_much_a_proposal_must_overlap():
    face = (100, 100, 40, 40)

    def told(*proposal, **known):
        rows = cut(regions(face, **known), proposal).targets
        return rows[0, [FACE, WEIGHT]].tolist() if len(rows) > 1 else None

    assert told(105, 100, 40, 40) == [1, 1]
    assert told(118, 100, 40, 40) == [1, 0], "its box is learnt, its score is not"
    assert told(125, 100, 40, 40) is None, "neither"
    assert told(10, 10, 40, 40) == [0, 1]
    assert told(10, 10, 40, 40, ignore=[(0, 0, 60, 60)]) is None, "nobody knows"
    assert told(105, 100, 40, 40, ignore=[(90, 90, 90, 90)]) == [1, 1], "but this is known"


def test_faces_without_points_teach_their_box():
    known = regions((60, 50, 40, 50))
    known.points[:] = np.nan
    made = cut(known, (60, 50, 40, 50))
    assert np.isfinite(made.targets).all()
    assert made.targets[0, [FACE, WEIGHT, KNOWN]].tolist() == [1, 1, 0]


def test_a_tile_of_nothing():
    made = cut(regions())
    assert made.pixels.shape == (0, SIZE, SIZE)
    assert made.targets.shape == (0, WIDTH)


def test_proposals_are_found_in_a_reduced_tile_as_well(monkeypatch):
    """Most frames are larger than what is searched of them; the crop comes from the whole."""
    searched = []

    class Noting(Proposing):
        def detect(self, frame):
            searched.append(frame.shape[0])
            return super().detect(frame)

    tile, face = np.zeros((200, 200), np.uint8), regions((60, 50, 40, 50))
    rows = [
        crops.crops_of_tile(
            tile, face, Noting((56, 54, 44, 44)), np.random.default_rng(seed)
        ).targets
        for seed in range(12)
    ]
    assert min(searched) < 150
    assert max(searched) == 200
    for row in rows:
        np.testing.assert_allclose(row[0], rows[0][0], atol=0.02)


def test_the_best_proposals_are_taken():
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


def test_faces_are_cut_out_a_little_off():
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


def test_proposals_beside_the_tile_are_left_out():
    assert len(cut(regions(), (-500, 10, 40, 40), (10, 10, 40, 40)).pixels) == 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_the_tiles_begins_with_faces(monkeypatch, share):
    begun = []

    def draw(photos, first, side, augmentation, rng):
        begun.append(first)
        return np.zeros((side, side, 1), np.uint8), regions()

    monkeypatch.setattr(crops, "draw", draw)
    empty, full = (Photo(np.zeros((9, 9, 1), np.uint8), regions(*f)) for f in ([], [(0, 0, 9, 9)]))
    crops.crops_of_photos([empty, full, empty], Proposing(), 9, share, np.random.default_rng(0))
    assert set(begun) == ({1} if share else {0, 2})


def test_chunks():
    assert crops.chunk_sizes(1) == [1]
    assert crops.chunk_sizes(600) == [250, 250, 100]
    assert sum(crops.chunk_sizes(90_000)) == 90_000


def test_crops_are_the_same_for_the_same_seed(scenes):
    photos = read_photos(scenes, "train")
    detector = crops.first_look()
    one, other, third = (
        crops.crops_of_photos(photos, detector, 4, 0.5, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.pixels, other.pixels)
    np.testing.assert_array_equal(one.targets, other.targets)
    assert len(third.pixels) != len(one.pixels) or (third.pixels != one.pixels).any()


def test_the_files_of_the_command(folder):
    made = Crops.read(folder / "train.npz")
    assert len(made.pixels) == len(made.targets) > 50
    assert 0.2 < made.targets[:, FACE].mean() <= 1
    with pytest.raises(InputError, match=r"none\.npz: .*training\.refiner\.crops"):
        Crops.read(folder / "none.npz")
    whole = (folder / "val.npz").read_bytes()
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    for bad in (b"", b"PK", whole[:-900], whole[:5000] + b"??" + whole[5002:], array.getvalue()):
        (folder / "bad.npz").write_bytes(bad)
        with pytest.raises(InputError, match=r"bad\.npz"):
            Crops.read(folder / "bad.npz")
    Crops(np.zeros((3, 9, 9), np.uint8), np.zeros((2, 4), np.float32)).write(folder / "bad.npz")
    with pytest.raises(InputError, match=r"bad\.npz: no crops, arrays \(3, 9, 9\) and \(2, 4\)"):
        Crops.read(folder / "bad.npz")
    told = json.loads((folder / "crops.json").read_text())
    assert told["tiles"] == "60"


def crop(*arguments: object) -> int:
    return crops.main([str(a) for a in arguments])


def test_what_the_command_refuses(scenes, tmp_path, capsys):
    out = tmp_path / "crops"
    assert crop("--data", tmp_path / "none", "--out", out, "--tiles", 4, "--workers", 2) == 3
    said = capsys.readouterr().err
    assert "labels.jsonl: No such file" in said
    assert len(said.splitlines()) == 1
    words = ("--data", scenes, "--out", out, "--tiles", 4, "--workers", 1)
    assert crop(*words, "--detector", tmp_path / "none.onnx") == 4
    assert crop("--data", scenes, "--out", out, "--tiles", 1, "--faces", 0, "--workers", 1) == 3
    assert "no crops of 1 " in capsys.readouterr().err
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
    assert said.strip().startswith("stopped; nothing was written")
    assert not (tmp_path / "out").exists()


# --- batches and losses --------------------------------------------------------------------------


def test_a_mirrored_crop_has_its_right_eye_on_the_left():
    row = np.zeros((1, WIDTH), np.float32)
    row[0, BOX] = [0.1, 0.2, -0.3, -0.4]
    row[0, POINTS] = np.arange(10) / 10
    out = mirror(row)
    np.testing.assert_allclose(out[0, BOX], [-0.1, 0.2, -0.3, -0.4])
    expected = [-0.2, 0.3, 0, 0.1, -0.4, 0.5, -0.8, 0.9, -0.6, 0.7]
    np.testing.assert_allclose(out[0, POINTS], expected, atol=1e-6)
    np.testing.assert_array_equal(mirror(out), row)


def test_pixels_and_targets_are_mirrored_alike():
    """Bright on the left and at the bottom, as the box is."""
    pixels = np.zeros((1, SIZE, SIZE), np.uint8)
    pixels[:, SIZE // 2 :, : SIZE // 2] = 255
    row = np.zeros((1, WIDTH), np.float32)
    row[0, [FACE, WEIGHT]] = 1
    row[0, BOX.start] = -0.25
    got, rows = CropBatches(Crops(pixels, row), steps=1, batch_size=64)[0]
    left = got[:, SIZE // 2 :, : SIZE // 2].mean(axis=(1, 2, 3))
    right = got[:, SIZE // 2 :, SIZE // 2 :].mean(axis=(1, 2, 3))
    assert {-0.25, 0.25} == set(rows[:, BOX.start].tolist())
    np.testing.assert_array_equal(left > right, rows[:, BOX.start] < 0)
    assert (np.maximum(left, right) > got[:, : SIZE // 2].mean(axis=(1, 2, 3)) + 0.3).all()


def test_batches_are_the_same_for_the_same_seed_and_epoch(folder):
    made = Crops.read(folder / "train.npz")

    def batches(epoch):
        return CropBatches(made, steps=2, batch_size=16, seed=1, epoch=epoch)

    one, other = batches(0), batches(1)
    pixels, targets = one[0]
    assert pixels.shape == (16, SIZE, SIZE, 1)
    assert pixels.dtype == targets.dtype == np.float32
    assert 0 <= pixels.min() <= pixels.max() <= 1
    assert targets[:, FACE].sum() >= 10
    assert not np.array_equal(pixels, other[0][0])
    one.on_epoch_end()
    np.testing.assert_array_equal(one[0][0], other[0][0])
    np.testing.assert_array_equal(one[0][1], other[0][1])


def test_validation_covers_every_crop_once(folder):
    made = Crops.read(folder / "val.npz")
    batches = AllCrops(made, 7)
    rows = np.concatenate([batches[i][1] for i in range(len(batches))])
    assert rows.shape == made.targets.shape
    np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(made.targets, axis=0))


def test_losses_of_perfect_and_of_wrong_answers():
    rows = cut(regions((60, 50, 40, 50)), (56, 54, 44, 44), (10, 150, 20, 20)).targets
    logit = np.where(rows[:, :1] > 0, 12, -12)
    answer = np.concatenate([logit, rows[:, BOX], rows[:, POINTS]], axis=1).astype(np.float32)
    assert float(losses.Refinement()(rows, answer)) < 1e-3
    wrong = answer.copy()
    wrong[:, 1] += 0.5
    wrong[:, 5] += 0.5
    assert float(losses.box(rows, wrong)) == pytest.approx(0.49 / 4, rel=0.01)
    assert float(losses.points(rows, wrong)) == pytest.approx(0.49 / 10, rel=0.01)
    wrong[:, 0] *= -1
    assert float(losses.score(rows, wrong)) > 10
    rows[:, [WEIGHT, FACE, KNOWN]] = 0
    assert float(losses.Refinement()(rows, wrong)) == 0, "what is not known costs nothing"


# --- a run ---------------------------------------------------------------------------------------


def train(*arguments: object) -> int:
    return training.main([str(a) for a in arguments])


SMALL = ("--epochs", 2, "--steps", 3, "--batch-size", 8, "--seed", 5)


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "whole"
    assert train("--data", folder, "--out", out, *SMALL) == 0
    return out


def test_a_run_leaves_its_log_and_figures(run):
    rows = run_folder.read_state(run)["log"]
    assert len(rows) == 2
    keys = ("loss", "val_loss", "score", "box", "points")
    assert np.isfinite([row[k] for row in rows for k in keys]).all()
    assert (run / "curves.png").stat().st_size > 5000


def test_a_resumed_run_equals_one_in_a_piece(run, folder, tmp_path, monkeypatch):
    class Interrupted(run_folder.RunKeeper):
        def on_train_batch_end(self, batch, logs=None):
            if self._state["epoch"] == 1 and batch == 1:
                signal.raise_signal(signal.SIGINT)

    out = tmp_path / "parts"
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "RunKeeper", Interrupted)
        assert train("--data", folder, "--out", out, *SMALL) == 130
    assert train("--data", folder, "--out", out, *SMALL) == 2, "it is there already"
    assert train("--resume", "--out", out) == 0
    for a, b in zip(
        load(run / run_folder.LAST).get_weights(),
        load(out / run_folder.LAST).get_weights(),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_what_training_refuses(folder, tmp_path, capsys):
    assert train("--data", folder) == 2
    assert train("--out", tmp_path / "r") == 2
    assert "training.refiner.crops has written" in capsys.readouterr().err
    assert train("--data", tmp_path, "--out", tmp_path / "r") != 0
    assert "train.npz" in capsys.readouterr().err


def test_export_and_evaluation(run, scenes, tmp_path, capsys):
    model = tmp_path / "refiner.onnx"
    words = [str(run), "--out", str(model), "--score-share", "0.5", "--score-shift", "1.5"]
    assert export.main([*words, "--trained-on", "drawings"]) == 0
    assert "largest difference" in capsys.readouterr().out
    assert model.stat().st_size < 250_000
    assert create_detector(f"nano:refiner={model}").name == "nano"
    reports = []
    for name, extra in {
        "none": [], str(model): [], str(run): ["--score-share", "0.5", "--score-shift", "1.5"],
    }.items():  # fmt: skip
        out = tmp_path / f"report{len(reports)}"
        words = ["nano", "--refiner", name, "--data", str(scenes), "--size", "160", *extra]
        assert evaluate.main([*words, "--out", str(out)]) == 0
        (figures,) = json.loads((out / "report.json").read_text()).values()
        reports.append({k: v for k, v in figures.items() if k != "ms"})
    assert reports[1] == reports[2], "the run and the file that was made of it"


def test_the_share_and_the_shift_change_the_score_alone():
    model = build()
    crop = np.random.default_rng(0).random((3, SIZE, SIZE, 1), np.float32)
    before = np.array(model(crop))
    after = np.array(export.weighted(model, 0.5, 1.5)(crop))
    np.testing.assert_allclose(after[:, 0], before[:, 0] * 0.5 + 1.5, atol=1e-5)
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], atol=1e-6)


def test_what_evaluation_refuses(scenes, tmp_path, capsys):
    def asked(*words: str) -> str:
        assert evaluate.main([*words, "--data", str(scenes), "--size", "160"]) != 0
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1, said
        return said

    assert "name that instead of auto" in asked("auto", "--refiner", "none")
    assert "--refiner RUN" in asked("nano", "--score-share", "0.5")
    assert "no such file" in asked("nano", "--refiner", str(tmp_path / "none"))
    other = tmp_path / "other.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(other)
    assert "not a second-stage network" in asked("nano", "--refiner", str(other))
    assert "not a face detector" in asked(str(other))


def test_reports_name_detectors_apart(scenes, tmp_path):
    words = [str(NANO), "nano", "nano:refiner=none", "--data", str(scenes), "--size", "160"]
    assert evaluate.main([*words, "--out", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / "report.json").read_text())
    assert list(figures) == ["nano.onnx 160", "nano 160", "nano:refiner=none 160"]
    first, second, _ = ({k: v for k, v in f.items() if k != "ms"} for f in figures.values())
    assert first == second


def test_both_networks_losses_have_names_of_their_own(run):
    """One process may go on with a run of either."""
    from training.detector import losses as first

    model = load(run / run_folder.LAST, compile=True)
    assert model.loss.name == "refinement"
    known = keras.saving.get_registered_object
    assert known("fastfer>score") is first.score
    assert known("fastfer.refiner>score") is losses.score


def test_export_refuses(run, tmp_path, capsys, monkeypatch):
    assert export.main([str(tmp_path / "none"), "--out", str(tmp_path / "refiner.onnx")]) == 3
    assert export.main([str(run), "--out", str(tmp_path / "refiner.bin")]) == 2
    monkeypatch.setattr(export, "LARGEST", 1000)
    assert export.main([str(run), "--out", str(tmp_path / "refiner.onnx")]) != 0
    assert "1,000" in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "nothing is left behind"
