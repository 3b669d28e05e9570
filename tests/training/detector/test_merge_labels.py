"""Folders of labelled photos are combined."""

from __future__ import annotations

import numpy as np

from fastfer.errors import InputError
from tests.helpers.drawn_scenes import write_scenes
from training.detector import merge_labels
from training.detector.photos import read_photos


def test_two_folders_become_one(tmp_path):
    a, b, out = (tmp_path / name for name in "abc")
    for folder, count in ((a, 3), (b, 4)):
        folder.mkdir()
        write_scenes(folder, {"train": count, "val": 1})
    words = [str(a), str(b), "--without-landmarks", str(b), "--out", str(out)]
    assert merge_labels.main(words) == 0
    photos = read_photos(out, "train")
    assert len(photos) == 7
    known = [np.isfinite(photo.known.landmarks) for photo in photos]
    assert all(k.all() for k in known[:3])
    assert not any(k.any() for k in known[3:])
    assert merge_labels.main(words) == 2, "the folder holds labels already"
    assert merge_labels.main([str(a), "--without-landmarks", str(b), "--out", str(out)]) == 2


def test_a_folder_that_cannot_be_read_leaves_nothing(tmp_path, capsys):
    a, b, out = (tmp_path / name for name in "abc")
    a.mkdir()
    write_scenes(a, {"train": 1})
    b.mkdir()
    for text in (None, "no JSON"):
        if text:
            (b / "labels.jsonl").write_text(text)
        assert merge_labels.main([str(a), str(b), "--out", str(out)]) == InputError.exit_code
        assert str(b / "labels.jsonl") in capsys.readouterr().err
    assert not out.exists()
