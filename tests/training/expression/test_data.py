"""FER-2013 in every layout, and every way in which it can be broken."""

from __future__ import annotations

import gzip
import lzma
import tracemalloc
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastfer.errors import InputError, UsageError
from fastfer.kernels.pack import pack_faces
from fastfer.labels import EMOTIONS
from tests.helpers.drawn_faces import csv_text, draw_faces, row, votes_text, write_folders
from training.expression import data
from training.expression.data import (
    FIVE_CLASSES,
    balanced_weights,
    class_counts,
    describe,
    load_dataset,
    read_face,
    straddling_duplicates,
)


def everything(source: data.FaceSource) -> np.ndarray:
    return source.load(np.arange(len(source)))


# --- CSV -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.xz", ".zip"])
def test_reads_the_csv_plain_and_compressed(tmp_path, parts, suffix):
    path = tmp_path / f"fer2013{suffix}"
    text = csv_text(parts).encode()
    match suffix:
        case ".csv":
            path.write_bytes(text)
        case ".csv.gz":
            path.write_bytes(gzip.compress(text))
        case ".csv.xz":
            path.write_bytes(lzma.compress(text, preset=0))
        case _:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
                z.writestr("fer2013/fer2013.csv", text)
                z.writestr("__MACOSX/fer2013/._fer2013.csv", b"\0\1")
                z.writestr("fer2013/README", "read me")
    dataset = load_dataset(path)
    assert list(dataset.splits) == ["Training", "PublicTest"]
    for name, (faces, labels) in parts.items():
        np.testing.assert_array_equal(everything(dataset.split(name)), faces)
        np.testing.assert_array_equal(dataset.split(name).labels, labels)


def test_reads_the_variant_with_spaces_in_its_header(tmp_path, parts):
    faces, labels = parts["PublicTest"]
    path = tmp_path / "icml_face_data.csv"
    lines = ["emotion, Usage, pixels"]
    lines += [
        f"{k}, PublicTest, {' '.join(map(str, f.ravel()))}"
        for f, k in zip(faces, labels, strict=True)
    ]
    path.write_text("\r\n".join(lines))
    source = load_dataset(path).split("PublicTest")
    np.testing.assert_array_equal(everything(source), faces)
    np.testing.assert_array_equal(source.labels, labels)


def test_takes_the_known_table_from_a_zip_of_several(tmp_path, parts):
    path = tmp_path / "challenge.zip"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("example_submission.csv", "emotion\n")
        z.writestr("icml_face_data.csv", csv_text(parts))
    assert len(load_dataset(path).split("Training")) == 210


@pytest.mark.parametrize("names", [(), ("a.csv", "b.csv")])
def test_a_zip_without_a_clear_table_is_refused(tmp_path, names):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as z:
        for name in names:
            z.writestr(name, "emotion,pixels\n")
    with pytest.raises(InputError, match=r"expected one .csv inside.*Unpack it"):
        load_dataset(path)


def test_blank_lines_and_a_byte_order_mark_do_no_harm(tmp_path):
    faces, labels = draw_faces(7)
    text = "\ufeff" + csv_text({"Training": (faces, labels)}).replace("\n", "\n\n") + "\n"
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    source = load_dataset(path).split("Training")
    np.testing.assert_array_equal(everything(source), faces)
    assert source.where(0) == f"{path}:3"


def test_all_usages_of_the_field_are_known(tmp_path):
    faces = draw_faces(7)
    path = tmp_path / "a.csv"
    path.write_text(csv_text(dict.fromkeys(data.USAGES, faces)))
    assert tuple(load_dataset(path).splits) == data.USAGES


def test_without_usage_all_faces_are_for_training(tmp_path):
    faces, labels = draw_faces(14)
    path = tmp_path / "a.csv"
    lines = [row(k, f).rsplit(",", 1)[0] for f, k in zip(faces, labels, strict=True)]
    path.write_text("\n".join(["emotion,pixels", *lines]))
    dataset = load_dataset(path)
    assert len(dataset.split("Training")) == 14
    with pytest.raises(UsageError, match=r"no validation split.*--split fraction"):
        dataset.training_and_validation()


def test_the_cache_is_used_and_follows_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTFER_HOME", str(tmp_path / "home"))
    path = tmp_path / "a.csv"
    path.write_text(csv_text({"Training": draw_faces(14, 1)}))
    first = load_dataset(path)
    (cached,) = data.cache_dir().iterdir()

    def never(*_):
        raise AssertionError("parsed again")

    with monkeypatch.context() as m:
        m.setattr(data, "_parse_csv", never)
        again = load_dataset(path)
    np.testing.assert_array_equal(
        everything(again.splits["Training"]), everything(first.splits["Training"])
    )
    assert again.split("Training").where(3) == first.split("Training").where(3)

    cached.write_bytes(cached.read_bytes()[:1000])  # a disk that ran full
    assert len(load_dataset(path).split("Training")) == 14
    path.write_text(csv_text({"Training": draw_faces(21, 2)}))
    assert len(load_dataset(path).split("Training")) == 21


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "home").write_text("a file where a folder should be")
    monkeypatch.setenv("FASTFER_HOME", str(tmp_path / "home"))
    path = tmp_path / "a.csv"
    path.write_text(csv_text({"Training": draw_faces(7)}))
    assert len(load_dataset(path).split("Training")) == 7


FACE = np.full((48, 48), 7, np.uint8)
GOOD = row(0, FACE)
BAD_ROWS = [
    ("0," + "7 " * 2303 + "7 7,Training", "2305 pixels instead of 2304"),
    ("0,7 7 7,Training", "3 pixels instead of 2304"),
    ("0,,Training", "0 pixels instead of 2304"),
    (GOOD.replace("7", "256", 1), "a pixel of 256, not 0 to 255"),
    (GOOD.replace("7", "-1", 1), "a pixel of -1, not 0 to 255"),
    (GOOD.replace("7", "1.5", 1), "pixels are not all whole numbers"),
    (GOOD.replace("7", "x", 1), "pixels are not all whole numbers"),
    (GOOD.replace("7", "99999999999999999999999", 1), "a pixel of"),
    ("7" + GOOD[1:], "unknown label '7', expected 0 to 6"),
    ("-1" + GOOD[1:], "unknown label '-1'"),
    ("happy" + GOOD[1:], "unknown label 'happy'"),
    ("²" + GOOD[1:], "unknown label '²'"),
    (GOOD[1:], "unknown label ''"),
    (GOOD.replace("Training", "Trainig"), "unknown Usage 'Trainig', expected one of Training"),
    (GOOD.replace("Training", " "), "unknown Usage ''"),
    (GOOD + ",more", "4 columns instead of 3"),
    ("0", "1 columns instead of 3"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "what"), BAD_ROWS, ids=[w for _, w in BAD_ROWS])
def test_a_bad_row_is_named_and_stops_or_is_skipped(tmp_path, line, what):
    path = tmp_path / "a.csv"
    path.write_text(f"emotion,pixels,Usage\n{GOOD}\n{line}\n{GOOD}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_dataset(path)
    text = str(caught.value)
    assert f"{path}:3: {what}" in text
    assert "1 bad row:" in text
    assert "--skip-bad" in text
    dataset = load_dataset(path, skip_bad=True)
    assert len(dataset.split("Training")) == 2
    assert dataset.split("Training").where(1) == f"{path}:4"
    assert "skipped 1 bad row, first" in describe(dataset)


def test_many_bad_rows_are_counted_and_the_first_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("emotion,pixels,Usage\n" + "9,1,Training\n" * 50)
    with pytest.raises(InputError, match=r"(?s)50 bad rows.*a.csv:21.*and 30 more"):
        load_dataset(path)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.csv", b"", "the header is \\[\\]; expected emotion,pixels,Usage"),
        ("a.csv", b"emotion,pixels,Usage\n", "no rows after the header"),
        ("a.csv", b"label,image\n0,1\n", "expected emotion,pixels,Usage"),
        ("a.csv", b"\xff\xfe\x00emotion", "cannot be read"),
        ("a.csv", b"emotion,pixels,Usage\n0," + b"1 " * 70000 + b",Training\n", "cannot be read"),
        ("a.csv.gz", b"not gzip at all", "cannot be read"),
        ("a.csv.gz", gzip.compress(GOOD.encode() * 9)[:60], "cannot be read"),
        ("a.csv.gz", gzip.compress(GOOD.encode() * 9)[:12] + b"\xff" * 60, "cannot be read"),
        ("a.csv.xz", b"not xz", "cannot be read"),
        ("a.zip", b"PK but no more", "cannot be read"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, what):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=what) as caught:
        load_dataset(path, skip_bad=True)
    assert str(path) in str(caught.value)


def test_missing_data_and_wrong_options_are_told(tmp_path, faces_csv):
    with pytest.raises(InputError, match="no such file or folder; see training"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="--classes is 5 or 7, got 6"):
        load_dataset(faces_csv, classes=6)
    with pytest.raises(UsageError, match=r"no split 'PrivateTest'.*Training, PublicTest"):
        load_dataset(faces_csv).split("PrivateTest")


# --- splits and classes --------------------------------------------------------------------------


def test_a_validation_share_is_stratified_and_repeatable(faces_csv):
    dataset = load_dataset(faces_csv)
    train, val = dataset.training_and_validation(0.2, seed=3)
    assert (len(train), len(val)) == (168, 42)
    assert set(class_counts(val, EMOTIONS).values()) == {6}
    places = {val.where(i) for i in range(len(val))} | {train.where(i) for i in range(len(train))}
    assert len(places) == 210  # every face once
    _, again = dataset.training_and_validation(0.2, seed=3)
    _, other = dataset.training_and_validation(0.2, seed=4)
    np.testing.assert_array_equal(everything(again), everything(val))
    assert not np.array_equal(everything(other), everything(val))


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_validation_share_outside_0_to_1_is_refused(faces_csv, share):
    with pytest.raises(UsageError, match="--val-fraction must lie between 0 and 1"):
        load_dataset(faces_csv).training_and_validation(share)


def test_five_classes_leave_disgust_and_fear_out(faces_csv, votes_csv, parts):
    dataset = load_dataset(faces_csv, votes=votes_csv, classes=5)
    assert dataset.classes == FIVE_CLASSES
    faces, labels = parts["Training"]
    kept = [i for i, k in enumerate(labels) if EMOTIONS[k] in FIVE_CLASSES]
    source = dataset.split("Training")
    np.testing.assert_array_equal(everything(source), faces[kept])
    assert [FIVE_CLASSES[k] for k in source.labels] == [EMOTIONS[labels[i]] for i in kept]
    assert source.votes.shape == (len(kept), 5)
    total = source.votes.sum(axis=1)
    assert set(np.round(total, 5)) == {0, 1}


def test_a_split_without_faces_is_told(tmp_path):
    faces, labels = draw_faces(14)
    fear = labels == EMOTIONS.index("fear")
    path = tmp_path / "a.csv"
    path.write_text(
        csv_text({"Training": (faces, labels), "PublicTest": (faces[fear], labels[fear])})
    )
    with pytest.raises(InputError, match="'PublicTest' holds no faces of angry, happy"):
        load_dataset(path, classes=5).training_and_validation()


def test_duplicates_that_straddle_the_split_are_found(tmp_path):
    (a, ka), (b, kb) = draw_faces(14, 1), draw_faces(14, 2)
    b[3] = a[5]
    a[7] = a[8]  # twins inside one split are no leak
    path = tmp_path / "a.csv"
    path.write_text(csv_text({"Training": (a, ka), "PublicTest": (b, kb)}))
    dataset = load_dataset(path)
    train = dataset.split("Training")
    assert straddling_duplicates(train, dataset.judges(None)) == [
        {"training": [f"{path}:7"], "PublicTest": [f"{path}:19"]}
    ]


def test_duplicates_are_looked_for_in_all_that_is_measured_on(tmp_path):
    faces, labels = draw_faces(28)
    others = draw_faces(28, 2)[0]
    twins = np.concatenate([faces, others[:4]])  # 0 to 3 are not of training
    path = tmp_path / "a.csv"
    path.write_text(
        csv_text(
            {
                "Training": (faces, labels),
                "PublicTest": (twins, np.append(labels, labels[:4])),
                "PrivateTest": (others, labels),
            }
        )
    )
    dataset = load_dataset(path)
    train, val = dataset.training_and_validation(0.5)
    judges = dataset.judges(val)
    assert list(judges) == ["the held-out faces", "PublicTest", "PrivateTest"]
    groups = straddling_duplicates(train, judges)
    assert len(groups) == len(train)
    assert all(set(group) == {"training", "PublicTest"} for group in groups)


def test_balanced_weights_by_hand():
    labels = np.array([0, 0, 0, 1])
    source = data.ArraySource(np.zeros((4, 48, 48), np.uint8), labels, None, labels, Path("x"))
    # 4 faces, 3 classes: 4 / (3 * 3), 4 / (3 * 1); a class without faces divides by one.
    np.testing.assert_allclose(balanced_weights(source, 3), [4 / 9, 4 / 3, 4 / 3], rtol=1e-6)


def test_data_without_training_faces_is_told_so(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(csv_text({"PublicTest": draw_faces(7)}))
    for share in (None, 0.2):
        with pytest.raises(UsageError, match=r"no training split .*it has PublicTest\.$"):
            load_dataset(path).training_and_validation(share)


# --- votes ---------------------------------------------------------------------------------------


def one_row(tmp_path, usage="Training", **votes):
    faces, votes_file = tmp_path / "a.csv", tmp_path / "v.csv"
    faces.write_text(csv_text({"Training": (FACE[None], np.array([0]))}))
    votes_file.write_text(votes_text([usage], [votes]))
    return load_dataset(faces, votes=votes_file).split("Training").votes[0]


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ({"anger": 6, "neutral": 4}, {"angry": 0.6, "neutral": 0.4}),
        ({"happiness": 8, "fear": 1, "NF": 1}, {"happy": 1.0}),  # a lone vote is noise
        ({"sadness": 5, "contempt": 5}, {"sad": 1.0}),  # half is enough
        ({"sadness": 4, "contempt": 6}, {}),
        ({"unknown": 10}, {}),
        ({"surprise": 1, "disgust": 1, "fear": 1}, {}),
        ({}, {}),
    ],
)
def test_votes_become_shares(tmp_path, votes, expected):
    shares = one_row(tmp_path, **votes)
    np.testing.assert_allclose(shares, [expected.get(k, 0) for k in EMOTIONS], rtol=1e-6)


@given(st.lists(st.integers(0, 10), min_size=10, max_size=10))
def test_shares_add_up_to_one_or_nothing(counts):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        shares = one_row(Path(folder), **dict(zip(data.FERPLUS_COLUMNS, counts, strict=True)))
    assert shares.sum() == pytest.approx(1, abs=1e-5) or not shares.any()
    assert (shares >= 0).all()


def test_votes_stay_beside_their_faces_when_bad_rows_are_skipped(tmp_path):
    path, votes = tmp_path / "a.csv", tmp_path / "v.csv"
    path.write_text(f"emotion,pixels,Usage\n{GOOD}\n9,1,Training\n3{GOOD[1:]}\n")
    votes.write_text(votes_text(["Training"] * 3, [{"anger": 10}, {"fear": 10}, {"happiness": 10}]))
    source = load_dataset(path, votes=votes, skip_bad=True).split("Training")
    assert [EMOTIONS[k] for k in source.votes.argmax(axis=1)] == ["angry", "happy"]


def test_votes_of_another_file_are_refused(tmp_path, faces_csv, votes_csv):
    with pytest.raises(InputError, match="row 1 is of 'PublicTest', the face there of 'Training'"):
        one_row(tmp_path, usage="PublicTest", anger=10)
    short = tmp_path / "short.csv"
    short.write_text("\n".join(votes_csv.read_text().splitlines()[:100]))
    with pytest.raises(InputError, match="99 rows of votes for 280 rows of faces"):
        load_dataset(faces_csv, votes=short)
    with pytest.raises(InputError, match="not FER\\+ votes"):
        load_dataset(faces_csv, votes=faces_csv)
    with pytest.raises(InputError, match="no such file"):
        load_dataset(faces_csv, votes=tmp_path / "none.csv")
    with pytest.raises(UsageError, match="a folder has no rows"):
        load_dataset(tmp_path, votes=votes_csv)


# --- folders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("validation", ["test", "validation"])
def test_reads_image_folders(tmp_path, parts, validation):
    named = {"train": parts["Training"], validation: parts["PublicTest"]}
    dataset = load_dataset(write_folders(tmp_path, named, ".png"))
    train, val = dataset.training_and_validation()
    assert (len(train), len(val)) == (210, 70)
    assert set(class_counts(train, EMOTIONS).values()) == {30}
    faces, labels = parts["PublicTest"]
    for i in range(0, 70, 9):
        number = int(Path(val.where(i)).stem)
        np.testing.assert_array_equal(val.load(np.array([i]))[0], faces[number])
        assert val.labels[i] == labels[number]


def test_folders_may_go_by_other_names_and_hold_other_files(tmp_path):
    for name in ("Anger", "happiness", "SURPRISED"):
        folder = tmp_path / "train" / name
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "a.JPG"), FACE)
        (folder / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "notes").mkdir()
    source = load_dataset(tmp_path).split("train")
    assert sorted(EMOTIONS[k] for k in source.labels) == ["angry", "happy", "surprise"]


SHAPES = [(48, 48), (48, 48, 3), (96, 96, 3), (130, 100, 3), (20, 20), (48, 48, 4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_any_size_pass_the_engine_that_serves_users(tmp_path, shape):
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


def test_every_gray_of_a_face_of_full_size_is_kept(tmp_path):
    image = np.resize(np.arange(256, dtype=np.uint8), (48, 48))
    path = tmp_path / "grays.png"
    cv2.imwrite(str(path), image)
    np.testing.assert_array_equal(read_face(path), image)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n broken"])
def test_an_unreadable_image_is_named_and_stops_or_is_skipped(tmp_path, content):
    write_folders(tmp_path, {"train": draw_faces(7)}, ".png")
    bad = tmp_path / "train" / "happy" / "bad.png"
    bad.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.png: not a readable image"):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path, skip_bad=True).split("train")) == 7


def test_an_unknown_emotion_folder_is_named(tmp_path):
    write_folders(tmp_path, {"train": draw_faces(7)}, ".png")
    (tmp_path / "train" / "contempt").mkdir()
    with pytest.raises(InputError, match="contempt: unknown label 'contempt'"):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path, skip_bad=True).split("train")) == 7


def test_a_folder_without_faces_says_what_was_expected(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match=r"no faces found. Expected train/<emotion>/\*"):
        load_dataset(tmp_path)


def test_folders_stream_with_bounded_memory(tmp_path):
    """Three times the pictures take no more memory but for their paths."""
    pytest.importorskip("keras")
    from training.expression.augment import Augmentation
    from training.expression.batches import FaceBatches, label_targets

    faces, labels = draw_faces(21)
    large = np.stack([cv2.resize(f, (120, 120)) for f in faces])

    def peak(copies: int) -> int:
        root = tmp_path / str(copies)
        write_folders(
            root, {"train": (np.tile(large, (copies, 1, 1)), np.tile(labels, copies))}, ".bmp"
        )
        tracemalloc.start()
        source = load_dataset(root).split("train")
        straddling_duplicates(source, {})
        targets = {"logits": label_targets(source.labels, 7)}
        batches = FaceBatches(source, targets, 16, Augmentation(), seed=1)
        assert sum(len(batches[i][0]) for i in range(len(batches))) == 21 * copies
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)  # whatever is allocated once
    # Both numbers are past the faces that are read at a time.
    few, many = peak(13), peak(39)
    assert many - few < (39 - 13) * 21 * 48 * 48, "less than the packed faces alone"


# --- the real data -------------------------------------------------------------------------------


def test_the_real_file_reads_in_seconds(shared):
    import time

    start = time.perf_counter()
    folder = shared / "data" / "fer2013"
    dataset = load_dataset(folder / "fer2013.csv.xz", votes=folder / "fer2013new.csv")
    seconds = time.perf_counter() - start
    assert {k: len(v) for k, v in dataset.splits.items()} == {"Training": 28709, "PublicTest": 3589}
    counts = class_counts(dataset.split("Training"), dataset.classes)
    assert counts == {
        "angry": 3995, "disgust": 436, "fear": 4097, "happy": 7215, "sad": 4830,
        "surprise": 3171, "neutral": 4965,
    }  # fmt: skip
    agree = dataset.split("PublicTest")
    voted = agree.votes.any(axis=1)
    assert voted.mean() > 0.9
    # The crowd and FER-2013's labels agree on about two faces of three.
    assert 0.5 < (agree.votes[voted].argmax(axis=1) == agree.labels[voted]).mean() < 0.8
    assert seconds < 60, f"{seconds:.0f} s"
