"""Video files, animated GIFs and picture sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fastfer.errors import InputError
from fastfer.io.open_source import CameraOptions, open_source
from tests.helpers.clips import moving_face, write_video
from tests.helpers.errors import raises


def times(source: Any) -> list[float]:
    return [round(frame.pts, 3) for frame in source]


def test_every_frame_of_a_file_has_its_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_face(20), fps=10)
    source = open_source(path)
    frames = list(source)
    assert [f.index for f in frames] == list(range(20))
    assert [f.pts for f in frames] == pytest.approx([i / 10 for i in range(20)], abs=1e-3)
    assert frames[0].image.shape == (288, 288, 3)
    assert (source.live, source.count, source.fps) == (False, 20, 10)


def test_an_impossible_rate_is_measured(tmp_path: Path) -> None:
    """As in the WebM files of browsers, which state 1000 frames per second."""
    path = tmp_path / "browser.webm"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), 25, (64, 64))
    for image in moving_face(20, side=64):
        writer.write(image)
    writer.release()
    data = path.read_bytes()
    at = data.index(b"\x23\xe3\x83\x84") + 4  # Matroska's DefaultDuration, in nanoseconds.
    path.write_bytes(data[:at] + (1_000_000).to_bytes(4, "big") + data[at + 4 :])
    source = open_source(path)
    assert source.fps == pytest.approx(25)
    assert source.count == 20
    assert times(source) == [i / 25 for i in range(20)]


def test_variable_frame_rates(tmp_path: Path) -> None:
    pictures = [Image.fromarray(f[:, :, ::-1]) for f in moving_face(5, side=64)]
    delays = [100, 300, 50, 200, 100]
    path = tmp_path / "vary.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=delays)
    assert times(open_source(path)) == [0.0, 0.1, 0.4, 0.45, 0.65]


def test_one_wild_time_keeps_the_intervals_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(write_video(tmp_path / "clip.mp4", moving_face(8, side=64), fps=10))
    stamps = iter([0, 100, 200, 9_000_200, 400, 700, 800, 900])

    class Capture:
        def __init__(self, capture: Any) -> None:
            self._capture = capture

        def __getattr__(self, name: str) -> Any:
            return getattr(self._capture, name)

        def get(self, prop: int) -> float:
            return next(stamps) if prop == cv2.CAP_PROP_POS_MSEC else self._capture.get(prop)

    file: Any = source._source  # type: ignore[attr-defined]
    monkeypatch.setattr(file, "_capture", Capture(file._capture))
    intervals = np.diff(times(source))
    assert intervals == pytest.approx([0.1, 0.1, 9000.0, 0.1, 0.3, 0.1, 0.1])


def test_rotation_in_the_metadata_is_applied(tmp_path: Path) -> None:
    frame = np.zeros((64, 128, 3), np.uint8)
    frame[:, 64:] = 255
    path = write_video(tmp_path / "sideways.mp4", [frame] * 3)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    turn = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    data[matrix : matrix + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in turn)
    path.write_bytes(data)
    first = next(iter(open_source(path)))
    assert first.image.shape == (128, 64, 3)
    assert first.image[:48].mean() < 20 < 200 < first.image[80:].mean()


def test_a_numbered_pattern_keeps_its_gaps(tmp_path: Path) -> None:
    for number in (9, 10, 12):
        cv2.imwrite(str(tmp_path / f"shot{number}.png"), np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "shot.png").touch()
    source = open_source(tmp_path / "shot%d.png", CameraOptions(fps=10))
    frames = list(source)
    assert [f.index for f in frames] == [0, 1, 3]
    assert [f.pts for f in frames] == pytest.approx([0, 0.1, 0.3])
    assert [f.image[0, 0, 0] for f in frames] == [9, 10, 12]


def test_padded_numbers_need_their_digits(tmp_path: Path) -> None:
    for name in ("f_0001.png", "f_2.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    assert open_source(tmp_path / "f_%04d.png").count == 1


def test_two_pictures_of_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("f_1.png", "f_2.png", "f_02.png"):
        cv2.imwrite(str(tmp_path / name), moving_face(1)[0])
    with raises(InputError, "unreadable_input", "f_02.png", "f_2.png"):
        open_source(tmp_path / "f_%d.png")


@pytest.mark.parametrize("name", ["my%20dance.mp4", "clip%03d.mp4", "12:30.mp4", "file:x.mp4"])
def test_a_file_that_exists_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_video(tmp_path / "clip.mp4", moving_face(3, side=64)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert [frame.index for frame in open_source(name)] == [0, 1, 2]


def test_a_directory_whose_name_is_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "run%d").mkdir()
    cv2.imwrite(str(tmp_path / "run%d" / "a.png"), np.zeros((8, 8, 3), np.uint8))
    assert open_source(tmp_path / "run%d").count == 1


def test_a_directory_is_in_natural_order(tmp_path: Path) -> None:
    for number in (1, 2, 10, 11):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((8, 8, 3), number, np.uint8))
    (tmp_path / "3.heic").touch()
    source = open_source(tmp_path)
    assert [f.image[0, 0, 0] for f in source] == [1, 2, 10, 11]
    assert "3.heic" in source.notes[0]


def test_a_directory_is_a_sequence_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        cv2.imwrite(str(tmp_path / name), np.full((8, 8, 3), ord(name[0]), np.uint8))
    assert [f.image[0, 0, 0] for f in open_source(tmp_path)] == [ord("a"), ord("b")]


def test_an_unreadable_picture_does_not_end_the_sequence(tmp_path: Path) -> None:
    for name in ("1.png", "3.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "2.png").write_text("no picture")
    with raises(InputError, "decode_failed", "1 of 3", "2.png"):
        list(open_source(tmp_path / "%d.png"))
    source = iter(open_source(tmp_path / "%d.png"))
    assert [next(source).index, next(source).index] == [0, 2]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("gone.mp4", None, "not_found"),
        ("empty.mp4", b"", "empty_file"),
        ("text.mp4", b"this is no video at all" * 99, "unsupported_format"),
    ],
)
def test_files_that_are_not_videos(
    tmp_path: Path, name: str, content: bytes | None, code: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with raises(InputError, code, name):
        open_source(path)


def test_a_video_without_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "none.avi", moving_face(3, side=64))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"movi") + 4])
    with pytest.raises(InputError) as caught:
        list(open_source(path))
    assert caught.value.code in ("damaged", "unsupported_format")


def test_a_truncated_file_ends_with_an_error_after_its_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.avi", moving_face(40))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    seen: list[Any] = []
    with raises(InputError, "truncated", "of 40 frames"):
        seen.extend(open_source(path))
    assert 10 < len(seen) < 30
