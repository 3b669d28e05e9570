"""``fastfer image``: options, outputs, unreadable input and refused models."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

import fastfer
from fastfer.labels import EMOTIONS
from fastfer.outputs.columns import CSV_COLUMNS
from fastfer.results import SCHEMA_VERSION
from tests.cli.conftest import Done
from tests.helpers.commands import Run, environment, image, xdotool
from tests.helpers.markers import requires_posix, requires_xvfb
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut
from tests.helpers.waiting import wait_until


def rows(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_table(
    tmp_path: Path, face: bytes, run_image: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "me.jpg").write_bytes(face)
    monkeypatch.chdir(tmp_path)
    done = run_image("me.jpg")
    assert (done.returncode, done.stderr) == (0, "")
    heading, line = done.stdout.splitlines()
    assert " ".join(heading.split()) == "FILE SIZE FACES EMOTION BOX (x y w h) TIME"
    cells = line.replace("% ?", "%").split()  # The random network is rarely sure.
    name, width, _, height, count, emotion, _, percent, *box, time, unit = cells
    assert (name, width, height, count, unit) == ("me.jpg", "512", "512", "1", "ms")
    assert emotion in EMOTIONS
    assert percent == "%"
    assert len(box) == 4
    assert int(time) > 0


def test_a_photo_without_a_face(album: Path, run_image: Run) -> None:
    done = run_image(album / "blank.png")
    assert done.returncode == 0
    assert "no face" in done.stdout


def test_json_lines(album: Path, run_image: Run) -> None:
    done = run_image(album / "ảnh.jpg", album / "blank.png", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    with_face, without = rows(done)
    assert with_face["schema"] == SCHEMA_VERSION
    assert with_face["source"] == str(album / "ảnh.jpg")
    assert with_face["error"] is None
    (face,) = with_face["faces"]
    assert tuple(face["probabilities"]) == EMOTIONS
    assert face["score"] == max(face["probabilities"].values())
    assert without["faces"] == []


def test_jsonl_and_csv_files_leave_the_table_on_standard_output(
    album: Path, run_image: Run, tmp_path: Path
) -> None:
    lines, table = tmp_path / "out.jsonl", tmp_path / "out.csv"
    done = run_image(album / "ảnh.jpg", "--jsonl", lines, "--csv", table)
    assert done.returncode == 0
    assert done.stdout.startswith("FILE")
    assert json.loads(lines.read_text("utf-8"))["source"] == str(album / "ảnh.jpg")
    assert len(table.read_text("utf-8").splitlines()) == 2
    done = run_image(album / "ảnh.jpg", "--jsonl", "-")
    assert rows(done)[0]["source"] == str(album / "ảnh.jpg")


def test_csv(album: Path, run_image: Run, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    done = run_image(album / "ảnh.jpg", album / "blank.png", album / "cut.jpg", "--csv", target)
    assert done.returncode == 3
    assert "FILE" in done.stdout
    with target.open(encoding="utf-8", newline="") as file:
        with_face, without, bad = csv.DictReader(file)
    assert tuple(with_face) == CSV_COLUMNS
    assert with_face["source"] == str(album / "ảnh.jpg")
    assert with_face["emotion"] in EMOTIONS
    assert sum(float(with_face[name]) for name in EMOTIONS) == pytest.approx(1, abs=1e-4)
    assert (without["width"], without["face_index"], without["error"]) == ("64", "", "")
    assert bad["error_code"] == "truncated"
    assert bad["width"] == ""


def test_csv_on_standard_output(album: Path, run_image: Run) -> None:
    done = run_image(album / "ảnh.jpg", "--csv", "-")
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert row["source"].endswith("ảnh.jpg")


def test_directories_and_patterns(album: Path, run_image: Run) -> None:
    found = rows(run_image(album, "--json"))
    assert [Path(row["source"]).name for row in found] == [
        "blank.png", "cut.jpg", "empty.jpg", "huge.png", "text.jpg", "ảnh.jpg",
    ]  # fmt: skip
    deeper = rows(run_image(album, "--json", "--recursive"))
    assert Path(deeper[-1]["source"]).name == "写真.jpg"
    by_pattern = rows(run_image(str(album / "**" / "写*.jpg"), "--json"))
    assert [Path(row["source"]).name for row in by_pattern] == ["写真.jpg"]


def test_standard_input(model: str, face: bytes) -> None:
    done = image("-", "--json", model, input=face)
    assert done.returncode == 0
    row = json.loads(done.stdout)
    assert (row["source"], len(row["faces"])) == ("-", 1)
    done = image("-", model, input=b"")
    assert done.returncode == 3
    assert b"standard input" in done.stderr


def test_top_and_languages(album: Path, run_image: Run) -> None:
    done = run_image(album / "ảnh.jpg", "--top", "7", "--lang", "vi")
    line = done.stdout.splitlines()[-1]  # A long name has a line of its own.
    for name in ("Tức giận", "Ghê tởm", "Sợ hãi", "Vui vẻ", "Buồn bã", "Ngạc nhiên", "Bình thường"):
        assert name in line
    percents = [int(number) for number in re.findall(r"(\d+) %", line)]
    assert percents == sorted(percents, reverse=True)
    assert abs(sum(percents) - 100) <= 4
    data = rows(run_image(album / "ảnh.jpg", "--lang", "vi", "--json"))
    assert data[0]["faces"][0]["emotion"] in EMOTIONS, "data have English keys"


def test_min_face(album: Path, run_image: Run) -> None:
    photo = album / "ảnh.jpg"
    assert len(rows(run_image(photo, "--min-face", "60", "--json"))[0]["faces"]) == 1
    assert rows(run_image(photo, "--min-face", "300", "--json"))[0]["faces"] == []
    assert run_image(photo, "--threads", "1").returncode == 0


def test_min_quality(album: Path, run_image: Run) -> None:
    (row,) = rows(run_image(album / "ảnh.jpg", "--min-quality", "1", "--json"))
    (face,) = row["faces"]
    assert face["low_quality"] is (face["quality"] < 1)
    assert (face["emotion"] is None) is face["low_quality"]


def test_max_pixels(album: Path, model: str) -> None:
    done = image(album / "ảnh.jpg", "--max-pixels", "1000", model)
    assert done.returncode == 3
    assert "512 x 512" in done.stderr
    done = image(album / "ảnh.jpg", "--max-pixels", "2000000000", model)
    assert done.returncode == 0


def test_save(album: Path, run_image: Run, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    done = run_image(album, "--recursive", "--save", out)
    assert done.returncode == 3
    copies = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert copies == ["blank.png", "deep/写真.jpg", "ảnh.jpg"], "subdirectories are kept"
    saved = fastfer.read_image(out / "ảnh.jpg")
    assert saved.shape == (512, 512, 3)
    assert (np.abs(saved.astype(int) - fastfer.read_image(album / "ảnh.jpg")) > 40).any()


def test_save_never_overwrites(album: Path, run_image: Run, tmp_path: Path) -> None:
    """Neither a photo of the same name nor an original."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(album / "ảnh.jpg", other / "ẢNH.JPG")
    out = tmp_path / "out"
    run_image(album / "ảnh.jpg", other / "ẢNH.JPG", album / "ảnh.jpg", "--save", out)
    assert sorted(path.name for path in out.iterdir()) == ["ẢNH-2.JPG", "ảnh-3.jpg", "ảnh.jpg"]

    before = (album / "ảnh.jpg").read_bytes()
    run_image(album / "ảnh.jpg", "--save", album)
    assert (album / "ảnh.jpg").read_bytes() == before
    assert (album / "ảnh-2.jpg").is_file()


def test_save_names_pictures_without_a_suffix_png(tmp_path: Path, model: str, face: bytes) -> None:
    (tmp_path / "noname").write_bytes(face)
    image(tmp_path / "noname", "-", "--save", tmp_path / "out", model, input=face)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["noname.png", "stdin.png"]
    for path in (tmp_path / "out").iterdir():
        assert cv2.imread(str(path)) is not None


def test_demo(run_image: Run) -> None:
    done = run_image("--demo", "--json")
    assert done.returncode == 0
    (row,) = rows(done)
    assert (row["source"], row["width"], len(row["faces"])) == ("astronaut", 512, 1)


def test_demo_without_its_photo(model: str, tmp_path: Path) -> None:
    (tmp_path / "skimage.py").write_text("raise ImportError")
    both = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    done = image("--demo", model, env=environment(PYTHONPATH=both))
    assert done.returncode == 2
    assert 'pip install "fastfer[demo]"' in done.stderr


@pytest.mark.parametrize("option", ["--csv", "--jsonl"])
def test_rows_of_an_earlier_run_are_kept(
    album: Path, run_image: Run, tmp_path: Path, option: str
) -> None:
    old = tmp_path / "rows"
    old.write_text("from an earlier run")
    assert run_image(album / "blank.png", option, old).returncode == 2
    assert old.read_text() == "from an earlier run"
    assert run_image(album / "blank.png", option, old, "--overwrite").returncode == 0
    assert "blank.png" in old.read_text()


@pytest.mark.parametrize("option", ["--csv", "--jsonl"])
def test_an_output_never_overwrites_a_photo(
    option: str, tmp_path: Path, face: bytes, run_image: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1.jpg", "2.jpg", "no-suffix"):
        (tmp_path / name).write_bytes(face)
    (tmp_path / "link.csv").symlink_to("2.jpg")
    (tmp_path / "hard.csv").hardlink_to(tmp_path / "2.jpg")
    monkeypatch.chdir(tmp_path)
    for target, *photos in (
        ("1.jpg", "2.jpg"),
        ("1.jpg", "1.jpg"),
        ("new.PNG", "1.jpg"),
        ("no-suffix", "./no-suffix"),
        ("link.csv", "*.jpg"),
        ("hard.csv", "*.jpg"),
    ):
        done = run_image(option, target, *photos)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{option} {target}: " in done.stderr
        assert len(done.stderr.splitlines()) == 1
    for name in ("1.jpg", "2.jpg", "no-suffix"):
        assert (tmp_path / name).read_bytes() == face
    assert not (tmp_path / "new.PNG").exists()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("empty.jpg", "empty_file"),
        ("cut.jpg", "truncated"),
        ("text.jpg", "unsupported_format"),
        ("huge.png", "too_many_pixels"),
        ("absent.jpg", "not_found"),
        ("*.webp", "no_match"),
        ("deep/none", "no_pictures"),
    ],
)
def test_unreadable_input(album: Path, run_image: Run, name: str, code: str) -> None:
    (album / "deep" / "none").mkdir()
    done = run_image(album / name, "--json")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("fastfer: ")
    assert str(album / name) in line
    (row,) = rows(done)
    assert row["error"] in line
    assert row["error_code"] == code
    assert row["faces"] is None


def test_passwords_are_in_no_message_and_no_row(run_image: Run) -> None:
    for url in ("http://me:secret@host/a.jpg", "http://me:secret@host/*.jpg"):
        done = run_image(url, "--json")
        assert done.returncode == 3
        assert "secret" not in done.stdout + done.stderr
        assert rows(done)[0]["source"] == url.replace("secret", "***")


def test_pictures_that_are_passed_over_are_named(album: Path, run_image: Run) -> None:
    (album / "IMG_1.HEIC").touch()
    (album / "deep" / "notes.txt").touch()
    done = run_image(album / "deep", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    done = run_image(album, "--json")
    assert "1 .heic (IMG_1.HEIC)" in done.stderr


def test_an_empty_path_is_named(album: Path, run_image: Run) -> None:
    done = run_image("", album / "blank.png", "--json")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("fastfer: ''")
    assert [row["source"] for row in rows(done)] == ["", str(album / "blank.png")]


def test_unreadable_files_do_not_stop_the_others(album: Path, run_image: Run) -> None:
    done = run_image(album, album / "absent.jpg", "--recursive", "--json")
    assert done.returncode == 3
    table = {Path(row["source"]).name: row for row in rows(done)}
    assert len(table) == 8
    for name in ("ảnh.jpg", "写真.jpg"):
        assert len(table[name]["faces"]) == 1
        assert table[name]["error"] is None
    for name in ("cut.jpg", "empty.jpg", "text.jpg", "huge.png", "absent.jpg"):
        assert table[name]["faces"] is None
        assert table[name]["error"] in done.stderr
    assert len(done.stderr.splitlines()) == 5


def test_a_missing_model_is_an_error_even_if_no_photo_needs_it(
    album: Path, run_fastfer: Run, tmp_path: Path
) -> None:
    for photo in ("ảnh.jpg", "blank.png", "empty.jpg"):
        done = run_fastfer("image", album / photo, "--model", tmp_path / "none.onnx")
        assert done.returncode == 4
        assert "none.onnx" in done.stderr


def test_a_missing_model_leaves_earlier_files(
    album: Path, run_fastfer: Run, tmp_path: Path
) -> None:
    old = tmp_path / "old.csv"
    old.write_text("from an earlier run")
    for photo in ("ảnh.jpg", "empty.jpg"):
        options = ("--csv", old, "--overwrite", "--model", tmp_path / "none.onnx")
        done = run_fastfer("image", album / photo, *options)
        assert (done.returncode, done.stdout) == (4, "")
        assert old.read_text() == "from an earlier run"


def test_refused_models(album: Path, run_fastfer: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a model")
    done = run_fastfer("image", album / "ảnh.jpg", "--model", bad)
    assert done.returncode == 4
    assert "bad.onnx" in done.stderr
    done = run_fastfer("image", album / "ảnh.jpg", "--model", write_model(bad, metadata={}))
    assert done.returncode == 4
    assert "fastfer.labels" in done.stderr, "the missing metadata"
    assert "Traceback" not in done.stderr


def test_show_without_a_display(album: Path, model: str) -> None:
    for display in ("", ":4711", "nonsense"):
        done = image(album / "ảnh.jpg", "--show", model, env=environment(DISPLAY=display))
        assert done.returncode == 0
        assert "--show" in done.stderr
        assert "ảnh.jpg" in done.stdout


def test_a_large_photo_has_the_same_faces_alone_and_among_others(
    run_image: Run, tmp_path: Path
) -> None:
    large = cv2.resize(astronaut(), (2048, 2048), interpolation=cv2.INTER_CUBIC)
    path = tmp_path / "large.jpg"
    path.write_bytes(cv2.imencode(".jpg", large)[1].tobytes())
    other = tmp_path / "other.png"
    other.write_bytes(cv2.imencode(".png", astronaut())[1].tobytes())
    alone, among = (
        json.loads(run_image("--json", *paths).stdout.splitlines()[0])
        for paths in ((path,), (path, other))
    )
    assert alone["faces"] == among["faces"]
    assert alone["faces"]


@pytest.mark.parametrize(("channels", "code"), [(3, "damaged"), (4, "unsupported_format")])
def test_float_pictures_are_refused(
    run_image: Run, tmp_path: Path, channels: int, code: str
) -> None:
    floats = tmp_path / "floats.tif"
    pixels = np.full((40, 40, channels), 0.5, np.float32)
    extra = ["unassalpha"] if channels == 4 else None
    tifffile.imwrite(floats, pixels, photometric="rgb", extrasamples=extra)
    good = tmp_path / "good.png"
    good.write_bytes(cv2.imencode(".png", np.zeros((40, 40, 3), np.uint8))[1].tobytes())
    done = run_image("--json", floats, good)
    assert done.returncode == 3, done.stderr
    assert rows(done)[0]["error_code"] == code
    assert json.loads(done.stdout.splitlines()[1])["faces"] == []


@requires_xvfb
def test_show(album: Path, model: str, display: str) -> None:
    env = environment(DISPLAY=display)
    command = [sys.executable, "-m", "fastfer.image", model, "--show", str(album / "ảnh.jpg")]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=env, **pipes) as running:
        wait_until(lambda: bool(xdotool(env, "search", "--name", "fastfer")))
        assert running.poll() is None, "the window waits for a key"
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors == b"fastfer: interrupted\n"


@requires_posix
@pytest.mark.parametrize("isolate", [[], ["--isolate"]])
def test_every_failure_of_a_file_is_its_row(
    album: Path, model: str, tmp_path: Path, isolate: list[str]
) -> None:
    """Pipes, sockets, devices, loops of links, sparse files and escapes do not stop the run."""
    folder = tmp_path / "photos"
    folder.mkdir()
    os.mkfifo(folder / "a pipe.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    with (folder / "sparse.png").open("wb") as file:
        file.write((album / "blank.png").read_bytes())
        file.truncate(60 << 30)
    shutil.copy(album / "blank.png", folder / "z.png")
    shutil.copy(album / "empty.jpg", folder / "\x1b]0;title\x07\x1b[31m\u202egpj.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket.jpg"))
        done = image(folder, "--json", model, "--save", folder, *isolate)
    assert done.returncode == 3
    table = {Path(row["source"]).name: row for row in rows(done)}
    assert len(table) == 7
    assert table["z.png"]["faces"] == []
    assert table["sparse.png"]["error_code"] == "too_many_bytes"
    failed = [row for row in table.values() if row["error"] is not None]
    assert len(failed) == 6
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 6
    assert not any(c in done.stderr for c in "\x1b\x07\u202e")


def test_control_characters_of_arguments_are_escaped(run_image: Run) -> None:
    for argument in ("\x1b[31m.jpg", "--\x1b[31m", "--top=\x1b[31m"):
        done = run_image(argument)
        assert done.returncode in (2, 3)
        assert "\x1b" not in done.stdout + done.stderr


def test_saving_into_the_folder_that_is_read(album: Path, run_image: Run) -> None:
    """A second run passes over its own copies, and rows name them."""
    folder = album / "deep"
    originals = {path.name: path.read_bytes() for path in folder.iterdir()}
    wanted = None
    for run in range(3):
        done = run_image(folder, "--save", folder, "--json")
        assert done.returncode == 0, done.stderr
        saved = {row["source"]: row["saved_as"] for row in rows(done)}
        assert set(map(os.path.basename, saved)) == set(originals)
        assert all(Path(path).is_file() for path in saved.values())
        wanted = wanted or sorted(path.name for path in folder.iterdir())
        assert sorted(path.name for path in folder.iterdir()) == wanted
        assert (str(len(originals)) in done.stderr) == (run > 0)
    assert {name: (folder / name).read_bytes() for name in originals} == originals
    # Named by a shell's pattern: passed over when copies are saved, analysed otherwise.
    copy = next(iter(saved.values()))
    assert rows(run_image(copy, "--save", folder, "--json")) == []
    assert len(rows(run_image(copy, "--json"))) == 1


def test_a_photo_without_its_end_marker_has_a_warning(
    tmp_path: Path, face: bytes, run_image: Run
) -> None:
    (tmp_path / "a.jpg").write_bytes(face[:-2])
    for options in ([], ["--isolate"]):
        done = run_image(tmp_path / "a.jpg", "--json", *options)
        assert done.returncode == 0
        (row,) = rows(done)
        assert len(row["faces"]) == 1
        assert row["warning"] in done.stderr
        assert row["error"] is None


@requires_posix
def test_rows_are_not_mixed_by_two_runs(album: Path, model: str, tmp_path: Path) -> None:
    pipe, target = tmp_path / "slow.jpg", tmp_path / "rows.jsonl"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "fastfer.image", model, "--jsonl", str(target)]
    slow = [*command, str(album / "blank.png"), str(pipe)]
    with subprocess.Popen(slow, env=environment(), stdout=subprocess.DEVNULL) as running:
        wait_until(lambda: target.exists() and target.stat().st_size > 0)
        done = image(album / "blank.png", model, "--jsonl", target, "--overwrite")
        assert done.returncode == 1
        assert "rows.jsonl" in done.stderr
        pipe.write_bytes((album / "blank.png").read_bytes())
        assert running.wait(timeout=60) == 0
    assert len(target.read_text("utf-8").splitlines()) == 2


def test_a_name_that_is_too_long_is_one_error(tmp_path: Path, face: bytes, run_image: Run) -> None:
    """No system has names of more than 255 bytes; the photos beside it are analysed."""
    (tmp_path / "me.jpg").write_bytes(face)
    long = tmp_path / f"{'a' * 300}.jpg"
    done = run_image(long, tmp_path / "me.jpg", "--json", "--save", tmp_path / "copies")
    assert done.returncode == 3
    first, second = rows(done)
    assert first["error_code"] in ("unreadable_input", "not_found")
    assert (second["source"], len(second["faces"])) == (str(tmp_path / "me.jpg"), 1)
