"""The face detector's training: data, tiles, targets, losses, a run, its export and evaluation."""
# ruff: noqa: E402  (what needs Keras comes after the skip)

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from fastfer.detectors import create_detector
from fastfer.errors import InputError, UsageError
from fastfer.kernels import backend
from tests.helpers.drawn_scenes import POINTS, write_scenes
from training.common import run_folder
from training.detector import export, losses
from training.detector import train as training
from training.detector.batches import PhotoBatches, TileBatches
from training.detector.network import build, load
from training.detector.photos import FaceRegions, Photo, memory, read_photos, regions
from training.detector.targets import BOX, KNOWN, POSITIVE, STRIDES, WEIGHT, WIDTH, assign
from training.detector.targets import POINTS as POINT_COLUMNS
from training.detector.tiles import TileAugmentation, cut, distort, fit, mirror
from training.evaluate_detectors import __main__ as evaluate

NONE = np.empty((0, 4), np.float32)
CALM = TileAugmentation(
    flip=0, mosaic=0, aimed=1, rotate=0, light=0, blur=0, noise=0, jpeg=0, occlude=0
)  # fmt: skip


def faces(
    *boxes: tuple[float, ...], ignore: object = NONE, false_hits: object = NONE
) -> FaceRegions:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    points = POINTS[None] * rows[:, None, 2:] + rows[:, None, :2]
    return FaceRegions(
        rows, points.astype(np.float32),
        np.array(ignore, np.float32).reshape(-1, 4),
        np.array(false_hits, np.float32).reshape(-1, 4),
    )  # fmt: skip


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes"), {"train": 12, "val": 6})


# --- photos --------------------------------------------------------------------------------------


def test_photos_are_read_and_reduced(scenes):
    photos = read_photos(scenes, "train", longest=80)
    assert len(photos) == 12
    assert photos[0].pixels.shape == (60, 80, 1)
    assert memory(photos) == 12 * 60 * 80
    whole = read_photos(scenes, "train", channels=3)[1]
    assert whole.pixels.shape == (120, 160, 3)
    np.testing.assert_allclose(photos[1].known.boxes * 2, whole.known.boxes)
    np.testing.assert_allclose(photos[1].known.points * 2, whole.known.points)


def test_drawn_boxes_that_the_teacher_missed_are_faces_without_points():
    face = {"box": [10, 10, 20, 20], "lm": list(range(10))}
    row = {
        "faces": [face],
        "gt": [{"box": [11, 10, 20, 20]}, {"box": [60, 60, 20, 20]}],
        "ignore": [{"box": [61, 60, 20, 20]}, {"box": [90, 0, 9, 9]}],
        "fp": [{"box": [0, 90, 5, 5]}],
    }
    known = regions(row)
    assert known.boxes.tolist() == [[10, 10, 20, 20], [60, 60, 20, 20]]
    assert np.isfinite(known.points[0]).all()
    assert np.isnan(known.points[1]).all()
    assert known.ignore.tolist() == [[90, 0, 9, 9]]
    assert known.false_hits.tolist() == [[0, 90, 5, 5]]


def test_what_cannot_be_read(tmp_path, scenes):
    with pytest.raises(InputError, match=r"labels\.jsonl: No such file"):
        read_photos(tmp_path, "train")
    with pytest.raises(InputError, match="no photo of the split 'test'"):
        read_photos(scenes, "test")
    (tmp_path / "labels.jsonl").write_text('{"split": "train"}\n')
    with pytest.raises(InputError, match="line 1"):
        read_photos(tmp_path, "train")
    row = {"split": "train", "file": "x.jpg", "faces": [], "ignore": [], "fp": [], "gt": None}
    (tmp_path / "labels.jsonl").write_text(json.dumps(row))
    with pytest.raises(InputError, match=r"x\.jpg: No such file"):
        read_photos(tmp_path, "train")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "x.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="not a picture"):
        read_photos(tmp_path, "train")


# --- tiles ---------------------------------------------------------------------------------------


def spot(box: tuple[int, ...]) -> Photo:
    """A white rectangle that is a face, on black."""
    pixels = np.zeros((200, 300, 1), np.uint8)
    x, y, w, h = box
    pixels[y : y + h, x : x + w] = 255
    return Photo(pixels, faces(box, ignore=[(0, 0, 300, 200)]))


@pytest.mark.parametrize("seed", range(20))
def test_boxes_stay_on_the_pixels(seed):
    """Whatever is cut, scaled and turned upside: the white is where the box says."""
    rng = np.random.default_rng(seed)
    photo = spot((120, 60, 40, 50))
    pixels, known = cut(photo, (128, 96), CALM, rng)
    if seed % 2:
        pixels, known = mirror(pixels.copy(), known)
    pixels = pixels.copy()
    assert pixels.shape == (96, 128, 1)
    assert len(known.boxes) == 1
    x, y, w, h = known.boxes[0]
    # Beyond the photo anything may be.
    left, top = np.maximum(known.ignore[0, :2], 0).round().astype(int)
    right, bottom = (known.ignore[0, :2] + known.ignore[0, 2:]).round().astype(int)
    pixels[:top] = pixels[bottom:] = pixels[:, :left] = pixels[:, right:] = 0
    rows, columns = np.nonzero(pixels[..., 0] > 127)
    low, high = np.clip([x, y], 0, [128, 96]), np.clip([x + w, y + h], 0, [128, 96])
    np.testing.assert_allclose([columns.min(), rows.min()], low, atol=1.01)
    np.testing.assert_allclose([columns.max() + 1, rows.max() + 1], high, atol=1.01)
    if not seed % 2:
        np.testing.assert_allclose(known.points[0], POINTS * [w, h] + [x, y], atol=0.01)


def test_a_turn_takes_the_points_along():
    photo = spot((140, 90, 20, 20))
    photo.pixels[:] = 0
    for px, py in photo.known.points[0]:
        photo.pixels[round(py) - 2 : round(py) + 2, round(px) - 2 : round(px) + 2] = 255
    turned = TileAugmentation(**{**vars(CALM), "rotate": 1, "angle": 40})
    for seed in range(5):
        pixels, known = cut(photo, (256, 256), turned, np.random.default_rng(seed))
        for point in known.points.reshape(-1, 2):
            column, row = (int(np.clip(v, 0, 255)) for v in point)
            assert pixels[row, column, 0] > 100


def test_a_mirrored_face_has_its_right_eye_on_the_left():
    _, known = mirror(np.zeros((50, 100, 1), np.uint8), faces((10, 5, 20, 20)))
    assert known.boxes.tolist() == [[70, 5, 20, 20]]
    np.testing.assert_allclose(known.points[0], POINTS * 20 + (70, 5), atol=1e-5)


def test_faces_seen_in_part_are_ignored():
    photo = Photo(np.zeros((100, 100, 1), np.uint8), faces((40, 40, 20, 20), (-15, 0, 20, 20)))
    _, known = fit(photo, 100)
    assert len(known.boxes) == 2, "a whole photo keeps what it is told"
    rng = np.random.default_rng(0)
    seen = [cut(photo, (64, 64), CALM, rng)[1] for _ in range(60)]
    assert any(len(known.ignore) for known in seen)
    for known in seen:
        for x, y, w, h in known.boxes:
            wide, high = min(x + w, 64) - max(x, 0), min(y + h, 64) - max(y, 0)
            assert wide * high >= 0.59 * w * h


@pytest.mark.parametrize("channels", [1, 3])
def test_a_worn_tile_is_a_tile(channels):
    augmentation = TileAugmentation(light=1, blur=1, noise=1, jpeg=1)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, channels)).astype(np.uint8)
    one, other = (distort(pixels, augmentation, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert one.shape == pixels.shape
    assert (one != pixels).mean() > 0.9


def test_what_wear_refuses():
    with pytest.raises(UsageError, match="--flip must lie between 0 and 1"):
        TileAugmentation(flip=2)
    with pytest.raises(UsageError, match=r"--shrink 0\.0 must be above 0"):
        TileAugmentation(shrink=0.0)


def test_batches_are_the_same_for_the_same_seed_and_epoch(scenes):
    photos = read_photos(scenes, "train")

    def batches(epoch):
        return TileBatches(
            photos, TileAugmentation(), tiles=8, batch_size=4, sides=(64, 128), seed=1, epoch=epoch
        )

    one, other = batches(0), batches(1)
    assert len(one) == 2
    assert one[0][0].shape == (4, 64, 64, 1)
    assert one[1][0].shape == (1, 128, 128, 1), "larger tiles, fewer of them"
    assert one[1][1].shape == (1, 16 * 16 + 8 * 8 + 4 * 4, WIDTH)
    assert not np.array_equal(one[0][0], other[0][0])
    one.on_epoch_end()
    np.testing.assert_array_equal(one[0][0], other[0][0])
    np.testing.assert_array_equal(one[0][1], other[0][1])


# --- targets -------------------------------------------------------------------------------------


def test_what_cells_learn_is_what_the_engine_reads():
    """Targets turned into a network's maps come back as the faces that they were made of."""
    boxes = [(10, 12, 14, 18), (60, 40, 50, 56), (120, 20, 120, 150), (30, 200, 30, 30)]
    known = faces(*boxes)
    rows = assign(known, 256)
    seen, start = [], 0
    for stride in STRIDES:
        n = 256 // stride
        part = rows[start : start + n * n]
        start += n * n
        order = [POSITIVE, *range(BOX.start, BOX.stop), *range(*POINT_COLUMNS.indices(WIDTH))]
        map = np.ascontiguousarray(part[:, order].T.reshape(15, n, n))
        out = np.empty((n * n, 4), np.float32), np.empty(n * n, np.float32)
        points = np.empty((n * n, 10), np.float32)
        count = backend.decode(map, stride, 0.5, *out, points, 0)
        for box, marks in zip(out[0][:count], points[:count], strict=True):
            face = int(np.abs(known.boxes - box).sum(axis=1).argmin())
            np.testing.assert_allclose(box, boxes[face], atol=1e-3)
            np.testing.assert_allclose(marks.reshape(5, 2), known.points[face], atol=1e-3)
            seen.append((face, stride))
    assert {face for face, _ in seen} == {0, 1, 2, 3}
    assert {stride for face, stride in seen if face == 0} == {8}
    assert {stride for face, stride in seen if face == 2} == {32}
    assert {stride for face, stride in seen if face == 3} == {8, 16}, "its size lies between"


def test_regions_that_nobody_knows_teach_nothing():
    ignore = [(64, 64, 64, 64)]
    rows = assign(faces((80, 80, 20, 20), (10, 10, 5, 5), ignore=ignore), 128)[: 16 * 16]
    grid = rows.reshape(16, 16, WIDTH)
    inside = grid[8:, 8:]
    assert (inside[..., WEIGHT] == inside[..., POSITIVE]).all()
    assert inside[..., POSITIVE].sum() >= 4, "but a face in it does"
    assert grid[1, 1, WEIGHT] == 0, "a face too small to learn"
    assert grid[..., WEIGHT].sum() == 256 - 64 - 1 + inside[..., POSITIVE].sum()


@pytest.mark.parametrize("side", [7.5, 9, 11])
def test_every_small_face_has_a_cell(side):
    rng = np.random.default_rng(0)
    for x, y in rng.uniform(0, 100, (50, 2)):
        assert assign(faces((x, y, side, side)), 128)[:, POSITIVE].sum() >= 1


# --- losses --------------------------------------------------------------------------------------


def perfect(rows: np.ndarray) -> np.ndarray:
    logit = np.where(rows[..., POSITIVE] > 0, 12, -12)[..., None]
    return np.concatenate([logit, rows[..., BOX], rows[..., POINT_COLUMNS]], -1).astype(np.float32)


def test_losses_of_perfect_and_of_wrong_answers():
    rows = assign(faces((20, 20, 30, 40)), 128)[None]
    answer = perfect(rows)
    assert float(losses.score(rows, answer)) < 1e-3
    assert float(losses.box(rows, answer)) < 1e-4
    assert float(losses.points(rows, answer)) < 1e-6
    wrong = answer.copy()
    wrong[..., 1] -= 1
    wrong[..., 5] += 1
    assert float(losses.box(rows, wrong)) > 0.2
    assert float(losses.points(rows, wrong)) > 0.2
    assert np.isfinite(float(losses.Detection(3.0)(rows, -50 * answer)))
    alarm = answer.copy()
    alarm[0, 0, 0] = 12
    assert float(losses.score(rows, alarm)) > 0.5


def test_ignored_cells_and_unknown_points_cost_nothing():
    known = faces((20, 20, 30, 40), ignore=[(90, 90, 30, 30)])
    known.points[:] = np.nan
    rows = assign(known, 128)[None]
    assert rows[..., KNOWN].sum() == 0
    answer = perfect(rows)
    base = float(losses.Detection(3.0)(rows, answer))
    answer[..., 0] = np.where(rows[..., WEIGHT] == 0, 50, answer[..., 0])
    answer[..., 5:] = 99
    assert float(losses.Detection(3.0)(rows, answer)) == pytest.approx(base)


def test_a_batch_without_faces_counts_its_pictures():
    rows = assign(faces(), 64)[None]
    one = np.full((1, len(rows[0]), 15), -2, np.float32)
    four = np.repeat(one, 4, axis=0)
    assert float(losses.score(np.repeat(rows, 4, axis=0), four)) == pytest.approx(
        float(losses.score(rows, one)), rel=1e-5
    )


# --- a run ---------------------------------------------------------------------------------------


def train(*arguments: object) -> int:
    return training.main([str(a) for a in arguments])


SMALL = ("--tiles", 8, "--batch-size", 4, "--sides", "64,96", "--val-side", 64, "--epochs", 2)


@pytest.fixture(scope="module")
def run(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "whole"
    assert train("--data", scenes, "--out", out, *SMALL, "--seed", 5) == 0
    return out


def test_a_run_leaves_its_log_and_figures(run):
    rows = run_folder.read_state(run)["log"]
    assert len(rows) == 2
    assert np.isfinite([row[k] for row in rows for k in ("loss", "val_loss", "score", "box")]).all()
    assert (run / "curves.png").stat().st_size > 5000
    assert run_folder.read_json(run / run_folder.CONFIG)["sides"] == [64, 96]


def test_a_resumed_run_equals_one_in_a_piece(run, scenes, tmp_path, monkeypatch):
    class Interrupted(run_folder.RunKeeper):
        def on_train_batch_end(self, batch, logs=None):
            if self._state["epoch"] == 1 and batch == 1:
                signal.raise_signal(signal.SIGINT)

    out = tmp_path / "parts"
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "RunKeeper", Interrupted)
        assert train("--data", scenes, "--out", out, *SMALL, "--seed", 5) == 130
    assert train("--data", scenes, "--out", out, *SMALL) == 2, "it is there already"
    assert train("--resume", "--out", out, "--epochs", 9) == 2, "a run keeps its options"
    assert train("--resume", "--out", out) == 0
    for a, b in zip(
        load(run / run_folder.LAST).get_weights(),
        load(out / run_folder.LAST).get_weights(),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert train("--resume", "--out", out) == 0, "nothing left to do"


def test_validation_batches_cover_all_photos_once(scenes):
    photos = read_photos(scenes, "val")
    batches = PhotoBatches(photos, 64, 4)
    sizes = [len(batches[i][0]) for i in range(len(batches))]
    assert sum(sizes) == len(photos)
    empty = [batches[i][1][..., POSITIVE].sum() == 0 for i in range(len(batches))]
    assert not any(empty)


def test_export_and_evaluation(run, scenes, tmp_path, capsys):
    model = tmp_path / "nano.onnx"
    assert export.main([str(run), "--out", str(model), "--trained-on", "drawings"]) == 0
    assert "largest difference" in capsys.readouterr().out
    assert model.stat().st_size < 300_000
    detector = create_detector(str(model), score=0.0, detect_size=160)
    assert detector.name == "nano"
    assert detector.detect(np.zeros((90, 120, 3), np.uint8)).boxes.shape[1] == 4
    out = tmp_path / "report"
    words = [str(run), str(model), "--data", str(scenes), "--size", "160", "--out", str(out)]
    assert evaluate.main([*words, "--worst", "3"]) == 0
    report = json.loads((out / "report.json").read_text())
    assert set(report) == {"whole 160", "nano.onnx 160"}
    first, second = report.values()
    assert first["recall"] == second["recall"]
    assert (out / "recall.png").stat().st_size > 5000
    assert len(list((out / f"worst-{scenes.name}-whole-160").iterdir())) == 3
    assert "| nano.onnx 160 |" in (out / "report.md").read_text()


def test_export_refuses(run, tmp_path, capsys, monkeypatch):
    assert export.main([str(run), "--out", str(tmp_path / "nano.bin")]) == 2
    monkeypatch.setattr(export, "LARGEST", 1000)
    assert export.main([str(run), "--out", str(tmp_path / "nano.onnx")]) != 0
    assert "1,000" in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_the_network_keeps_within_its_limits():
    assert build().count_params() <= 150_000
    model = build(3)
    assert model(np.zeros((1, 64, 96, 3), np.float32)).shape == (1, 8 * 12 + 4 * 6 + 2 * 3, 15)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_share_of_the_tiles_begins_with_faces(share):
    def plain(value, known):
        return Photo(np.full((64, 64, 1), value, np.uint8), known)

    photos = [plain(200, faces((20, 20, 24, 24)))] + [plain(50, faces()) for _ in range(9)]
    augmentation = replace(CALM, grow=1.0, shrink=1.0)
    batches = TileBatches(photos, augmentation, tiles=400, batch_size=100, sides=[32], faces=share)
    bright = [(batch > 100).any(axis=(1, 2, 3)) for batch, _ in (batches[i] for i in range(4))]
    assert np.mean(bright) == pytest.approx(share, abs=0.07)


def test_without_faces_or_without_empty_photos_all_tiles_are_of_the_others():
    for known in (faces(), faces((20, 20, 24, 24))):
        photo = Photo(np.full((64, 64, 1), 9, np.uint8), known)
        batches = TileBatches([photo], CALM, tiles=8, batch_size=8, sides=[32], faces=0.5)
        assert batches[0][0].shape == (8, 32, 32, 1)
