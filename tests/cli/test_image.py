"""``fastfer image`` as a user runs it: every option, every bad input, every exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

import fastfer
from fastfer.labels import EMOTIONS
from fastfer.outputs.columns import CSV_COLUMNS
from fastfer.results import SCHEMA_VERSION
from tests.helpers.commands import DETECTOR, environment, image, python
from tests.helpers.onnx_models import write_model
from tests.helpers.pictures import astronaut, encode, png_of_size, portrait

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = write_model(tmp_path_factory.mktemp("models") / "random.onnx")
    return f"--model={path}"


@pytest.fixture
def face() -> bytes:
    """A JPEG with one face."""
    return encode(Image.fromarray(astronaut()[:, :, ::-1].copy()), "JPEG", quality=90)


@pytest.fixture
def album(tmp_path: Path, face: bytes) -> Path:
    """Two good photos, one without a face, four bad ones, and a note."""
    folder = tmp_path / "album"
    (folder / "deep").mkdir(parents=True)
    (folder / "ảnh.jpg").write_bytes(face)
    (folder / "deep" / "写真.jpg").write_bytes(face)
    (folder / "blank.png").write_bytes(encode(Image.new("RGB", (64, 48)), "PNG"))
    (folder / "cut.jpg").write_bytes(face[: len(face) // 2])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("not a photo")
    (folder / "huge.png").write_bytes(png_of_size(30_000, 30_000))
    (folder / "notes.txt").write_text("not even named like one")
    return folder


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- Done: 0 -------------------------------------------------------------------------------------


def test_a_photo_gives_a_table(tmp_path: Path, face: bytes, model: str) -> None:
    (tmp_path / "me.jpg").write_bytes(face)
    done = image("me.jpg", model, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    heading, line = done.stdout.splitlines()
    assert heading.split() == [
        "FILE",
        "SIZE",
        "FACES",
        "EMOTION",
        "BOX",
        "(x",
        "y",
        "w",
        "h)",
        "TIME",
    ]
    name, width, _, height, count, emotion, percent, *box, time, unit = line.split()
    assert (name, width, height, count, unit) == ("me.jpg", "512", "512", "1", "ms")
    assert emotion in EMOTIONS
    assert percent.endswith("%")
    assert len(box) == 4
    assert int(time) > 0


def test_no_face_is_no_error(album: Path, model: str) -> None:
    done = image(album / "blank.png", model)
    assert done.returncode == 0
    assert "no face" in done.stdout


def test_json_lines(album: Path, model: str) -> None:
    done = image(album / "ảnh.jpg", album / "blank.png", "--json", model)
    assert (done.returncode, done.stderr) == (0, "")
    with_face, without = rows(done)
    assert with_face["schema"] == SCHEMA_VERSION
    assert with_face["source"] == str(album / "ảnh.jpg")
    assert with_face["error"] is None
    (face,) = with_face["faces"]
    assert tuple(face["probabilities"]) == EMOTIONS
    assert face["score"] == max(face["probabilities"].values())
    assert without["faces"] == []


def test_csv(album: Path, model: str, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    done = image(album / "ảnh.jpg", album / "blank.png", album / "cut.jpg", "--csv", target, model)
    assert done.returncode == 3
    assert "FILE" in done.stdout, "the table is still there"
    with target.open(encoding="utf-8", newline="") as file:
        with_face, without, bad = csv.DictReader(file)
    assert tuple(with_face) == CSV_COLUMNS
    assert with_face["source"] == str(album / "ảnh.jpg")
    assert with_face["emotion"] in EMOTIONS
    assert sum(float(with_face[name]) for name in EMOTIONS) == pytest.approx(1, abs=1e-4)
    assert (without["width"], without["face_index"], without["error"]) == ("64", "", "")
    assert "truncated JPEG" in bad["error"]
    assert bad["width"] == ""


def test_csv_on_standard_output(album: Path, model: str) -> None:
    done = image(album / "ảnh.jpg", "--csv", "-", model)
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    assert row["source"].endswith("ảnh.jpg")


def test_directories_and_patterns(album: Path, model: str) -> None:
    found = rows(image(album, "--json", model))
    assert [Path(row["source"]).name for row in found] == [
        "blank.png", "cut.jpg", "empty.jpg", "huge.png", "text.jpg", "ảnh.jpg",
    ]  # fmt: skip
    deeper = rows(image(album, "--json", "--recursive", model))
    assert Path(deeper[-1]["source"]).name == "写真.jpg"
    by_pattern = rows(image(str(album / "**" / "写*.jpg"), "--json", model))
    assert [Path(row["source"]).name for row in by_pattern] == ["写真.jpg"]


def test_standard_input(model: str, face: bytes) -> None:
    done = image("-", "--json", model, input=face)
    assert done.returncode == 0
    row = json.loads(done.stdout)
    assert (row["source"], len(row["faces"])) == ("-", 1)
    done = image("-", model, input=b"")
    assert done.returncode == 3
    assert b"standard input: the file is empty" in done.stderr


def test_top_and_languages(album: Path, model: str) -> None:
    done = image(album / "ảnh.jpg", "--top", "7", "--lang", "vi", model)
    line = done.stdout.splitlines()[1]
    for name in ("Tức giận", "Ghê tởm", "Sợ hãi", "Vui vẻ", "Buồn bã", "Ngạc nhiên", "Bình thường"):
        assert name in line
    percents = [int(word[:-1]) for word in line.split() if word.endswith("%")]
    assert percents == sorted(percents, reverse=True)
    assert abs(sum(percents) - 100) <= 4
    data = rows(image(album / "ảnh.jpg", "--lang", "vi", "--json", model))
    assert data[0]["faces"][0]["emotion"] in EMOTIONS, "data keep the English keys"


def test_min_face_and_threads(album: Path, model: str) -> None:
    photo = album / "ảnh.jpg"
    assert len(rows(image(photo, "--min-face", "60", "--json", model))[0]["faces"]) == 1
    assert rows(image(photo, "--min-face", "300", "--json", model))[0]["faces"] == []
    assert image(photo, "--threads", "1", "--detector", DETECTOR, model).returncode == 0


def test_max_pixels(album: Path, model: str) -> None:
    done = image(album / "ảnh.jpg", "--max-pixels", "1000", model)
    assert done.returncode == 3
    assert "512 x 512" in done.stderr
    done = image(album / "ảnh.jpg", "--max-pixels", "2000000000", model)
    assert done.returncode == 0


def test_save(album: Path, model: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    done = image(album, "--recursive", "--save", out, model)
    assert done.returncode == 3
    assert sorted(path.name for path in out.iterdir()) == ["blank.png", "ảnh.jpg", "写真.jpg"]
    saved = fastfer.read_image(out / "ảnh.jpg")
    assert saved.shape == (512, 512, 3)
    assert (np.abs(saved.astype(int) - fastfer.read_image(album / "ảnh.jpg")) > 40).any()


def test_save_never_overwrites(album: Path, model: str, tmp_path: Path) -> None:
    """Not a photo of the same name from elsewhere, and no original."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(album / "ảnh.jpg", other / "ẢNH.JPG")
    out = tmp_path / "out"
    image(album / "ảnh.jpg", other / "ẢNH.JPG", album / "ảnh.jpg", "--save", out, model)
    assert sorted(path.name for path in out.iterdir()) == ["ẢNH-2.JPG", "ảnh-3.jpg", "ảnh.jpg"]

    before = (album / "ảnh.jpg").read_bytes()
    image(album / "ảnh.jpg", "--save", album, model)
    assert (album / "ảnh.jpg").read_bytes() == before
    assert (album / "ảnh-2.jpg").is_file()


def test_save_gives_others_a_name_that_opens(tmp_path: Path, model: str, face: bytes) -> None:
    (tmp_path / "noname").write_bytes(face)
    image(tmp_path / "noname", "-", "--save", tmp_path / "out", model, input=face)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["noname.png", "stdin.png"]
    for path in (tmp_path / "out").iterdir():
        assert cv2.imread(str(path)) is not None


def test_demo(model: str) -> None:
    done = image("--demo", "--json", model)
    assert done.returncode == 0
    (row,) = rows(done)
    assert (row["source"], row["width"], len(row["faces"])) == ("astronaut", 512, 1)


def test_demo_without_its_photo(model: str, tmp_path: Path) -> None:
    (tmp_path / "skimage.py").write_text("raise ImportError")
    both = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    done = image("--demo", model, env=environment(PYTHONPATH=both))
    assert done.returncode == 2
    assert 'pip install "fastfer[demo]"' in done.stderr


def test_version_and_help() -> None:
    for command in (["-m", "fastfer.image"], ["-m", "fastfer"], ["-m", "fastfer", "image"]):
        done = python(*command, "--version")
        assert (done.returncode, done.stdout) == (0, f"fastfer {fastfer.__version__}\n")
        done = python(*command, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("usage: ")


def test_fastfer_image_is_the_same_command(album: Path, model: str) -> None:
    done = python("-m", "fastfer", "image", album / "blank.png", model)
    assert done.returncode == 0
    assert "no face" in done.stdout


# --- Wrong usage: 2 ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "give one PATH or more, or --demo"),
        (["--demo", "a.jpg"], "give one PATH or more, or --demo"),
        (["a.jpg", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["a.jpg", "--top", "8"], "'8' is not a whole number, 1 to 7"),
        (["a.jpg", "--top", "0"], "1 to 7"),
        (["a.jpg", "--threads", "0"], "'0' is not a whole number, 1 to 1024"),
        (["a.jpg", "--threads", "100000"], "'100000' is not a whole number, 1 to 1024"),
        (["a.jpg", "--threads", "two"], "'two' is not a whole number"),
        (["a.jpg", "--min-face", "-3"], "0 or more"),
        (["a.jpg", "--max-pixels", "0"], "1 or more"),
        (["a.jpg", "--lang", "fr"], "invalid choice: 'fr'"),
        (["a.jpg", "--detector", "nose"], "unknown detector 'nose'"),
        (["a.jpg", "--json", "--csv", "-"], "both want standard output"),
        (["-", "-"], "can be read once only"),
    ],
)
def test_wrong_usage(args: list[str], message: str) -> None:
    done = image(*args)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_wrong_commands() -> None:
    for args, message in (([], "a command is missing"), (["nonsense"], "no command 'nonsense'")):
        done = python("-m", "fastfer", *args)
        assert done.returncode == 2
        assert message in done.stderr


def test_the_csv_is_never_one_of_the_photos(tmp_path: Path, face: bytes, model: str) -> None:
    for name in ("1.jpg", "2.jpg", "no-suffix"):
        (tmp_path / name).write_bytes(face)
    (tmp_path / "link.csv").symlink_to("2.jpg")
    for target, *photos in (
        ("1.jpg", "2.jpg"),
        ("1.jpg", "1.jpg"),
        ("new.PNG", "1.jpg"),
        ("no-suffix", "./no-suffix"),
        ("link.csv", "*.jpg"),
    ):
        done = image("--csv", target, *photos, model, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"--csv {target}: " in done.stderr
        assert len(done.stderr.splitlines()) == 1
    for name in ("1.jpg", "2.jpg", "no-suffix"):
        assert (tmp_path / name).read_bytes() == face
    assert not (tmp_path / "new.PNG").exists()


# --- Unreadable input: 3 -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.jpg", "the file is empty"),
        ("cut.jpg", "truncated JPEG"),
        ("text.jpg", "'not a photo'"),
        ("huge.png", "30000 x 30000 is 900,000,000 pixels, over the limit of 200,000,000"),
        ("absent.jpg", "no such file"),
        ("*.webp", "no file matches this pattern"),
        ("deep/none", "this directory holds no pictures"),
    ],
)
def test_bad_input(album: Path, model: str, name: str, message: str) -> None:
    (album / "deep" / "none").mkdir()
    done = image(album / name, model)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("fastfer: ")
    assert str(album / name) in line
    assert message in line
    assert "unreadable" in done.stdout


def test_an_empty_path_is_named(album: Path, model: str) -> None:
    done = image("", album / "blank.png", "--json", model)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("fastfer: '': the path is empty")
    assert [row["source"] for row in rows(done)] == ["", str(album / "blank.png")]
    done = image("", model)
    assert done.returncode == 3
    assert "'': the path is empty" in done.stderr


def test_one_bad_file_never_stops_the_others(album: Path, model: str) -> None:
    done = image(album, album / "absent.jpg", "--recursive", "--json", model)
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


def test_the_libraries_keep_quiet(tmp_path: Path, model: str, face: bytes) -> None:
    """libjpeg and libpng have opinions on damaged files and print them past every log level."""
    hole = bytearray(encode(portrait((640, 480)), "JPEG", progressive=True))
    del hole[len(hole) // 2 : len(hole) // 2 + 300]
    (tmp_path / "hole.jpg").write_bytes(hole)
    broken = bytearray(encode(portrait((640, 480)), "PNG"))
    broken[len(broken) // 2 : len(broken) // 2 + 40] = bytes(40)
    (tmp_path / "broken.png").write_bytes(broken)
    (tmp_path / "float.tif").write_bytes(encode(portrait().convert("F"), "TIFF"))
    done = image(tmp_path, model)
    assert done.returncode == 3
    assert all(line.startswith("fastfer: ") for line in done.stderr.splitlines())
    assert "broken.png: damaged PNG" in done.stderr
    assert "float.tif: damaged TIFF" in done.stderr


# --- The model: 4 --------------------------------------------------------------------------------


def test_a_missing_model(album: Path, tmp_path: Path) -> None:
    for photo in ("ảnh.jpg", "blank.png", "empty.jpg"):
        done = image(album / photo, "--model", tmp_path / "none.onnx")
        assert done.returncode == 4
        assert "none.onnx does not exist" in done.stderr


def test_a_missing_model_costs_no_file(album: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.csv"
    old.write_text("from an earlier run")
    for photo in ("ảnh.jpg", "empty.jpg"):
        done = image(album / photo, "--csv", old, "--model", tmp_path / "none.onnx")
        assert (done.returncode, done.stdout) == (4, "")
        assert old.read_text() == "from an earlier run"


def test_refused_models(album: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"not a model")
    done = image(album / "ảnh.jpg", "--model", bad)
    assert done.returncode == 4
    assert "cannot be loaded as ONNX" in done.stderr
    done = image(album / "ảnh.jpg", "--model", write_model(bad, metadata={}))
    assert done.returncode == 4
    assert "fastfer.labels" in done.stderr, "what its metadata lack"
    assert "Traceback" not in done.stderr


# --- The way out ---------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_full_disk(album: Path, model: str, option: list[str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = image(
            album / "ảnh.jpg", model, *option, capture_output=False, stdout=full,
            stderr=subprocess.PIPE,
        )  # fmt: skip
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    done = image(album / "ảnh.jpg", model, "--csv", "/dev/full")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@POSIX
def test_a_full_disk_while_saving(album: Path, model: str, tmp_path: Path) -> None:
    import resource

    done = image(
        album / "ảnh.jpg", model, "--save", tmp_path / "out",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "ảnh.jpg" in done.stderr
    assert list((tmp_path / "out").iterdir()) == [], "no half picture stays"


def test_outputs_that_cannot_be_opened(album: Path, model: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for option in (["--csv", tmp_path / "none" / "a.csv"], ["--save", tmp_path / "file" / "out"]):
        done = image(album / "ảnh.jpg", model, *option)
        assert done.returncode == 1
        assert "cannot" in done.stderr
        assert "Traceback" not in done.stderr


@POSIX
def test_a_reader_that_has_seen_enough(album: Path, model: str) -> None:
    photos = [str(album / "blank.png")] * 200
    command = [sys.executable, "-m", "fastfer.image", model, *photos]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), **pipes) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 0


@POSIX
def test_closed_outputs(album: Path, model: str) -> None:
    photo = album / "ảnh.jpg"
    line = f"{sys.executable} -m fastfer.image {model} '{photo}' --json"
    for closed in (">&-", "2>&-", ">&- 2>&-", "<&-"):
        done = subprocess.run(["sh", "-c", f"{line} {closed}"], env=environment(), check=False)
        assert done.returncode == 0, closed


@POSIX
@pytest.mark.parametrize("alone", [True, False])
def test_interrupted(album: Path, model: str, tmp_path: Path, alone: bool) -> None:
    """Ctrl-C while a photo never comes: 130, one line, and the CSV has what was done before."""
    pipe = tmp_path / "slow.jpg"
    os.mkfifo(pipe)
    target = tmp_path / "out.csv"
    photos = [pipe] if alone else [album / "ảnh.jpg", album / "blank.png", pipe, pipe, pipe]
    command = [sys.executable, "-m", "fastfer.image", model, *photos, "--csv", target]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(list(map(str, command)), env=environment(), **pipes) as running:
        assert running.stdout is not None
        for _ in range(0 if alone else 3):
            running.stdout.readline()
        with pipe.open("wb"):  # Waits until it is being read.
            time.sleep(0.5)
            running.send_signal(signal.SIGINT)
            _, errors = running.communicate(timeout=20)
    assert running.returncode == 130
    assert errors == b"fastfer: interrupted.\n"
    if alone:
        assert not target.exists()
        return
    with target.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:strict"},
    ],
)
def test_terminals_that_lack_letters(album: Path, model: str, changes: dict[str, str]) -> None:
    env = environment(**changes)
    args = (album / "ảnh.jpg", album / "deep" / "写真.jpg", album / "absent é.jpg", "--lang", "vi")
    done = image(*args, model, env=env)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert r"\u5199\u771f.jpg" in done.stdout
    done = image(*args, "--json", model, env=env)
    assert rows(done)[1]["source"].endswith("写真.jpg"), (
        "JSON is UTF-8 whatever the terminal speaks"
    )


@POSIX
@pytest.mark.parametrize("strict", [False, True])
def test_the_c_locale(album: Path, model: str, strict: bool) -> None:
    changes = {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": ""}
    if strict:  # As if Python did not know that nobody means ASCII by this.
        changes |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = image(album, "--recursive", "--lang", "vi", model, env=environment(**changes))
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "512 x 512" in done.stdout
    if not strict:
        assert "写真.jpg" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_names_that_are_no_text(tmp_path: Path, model: str, face: bytes) -> None:
    path = os.fsdecode(bytes(tmp_path) + b"/caf\xe9\x1b[31m.jpg")
    Path(path).write_bytes(face)
    done = image(path, "--json", "--save", tmp_path / "out", model)
    assert done.returncode == 0
    assert rows(done)[0]["source"] == path
    assert len(list((tmp_path / "out").iterdir())) == 1
    done = image(path, "--csv", tmp_path / "out.csv", model)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout, "a file name must not paint the terminal"


@POSIX
def test_the_bar_is_for_terminals(album: Path, model: str) -> None:
    import fcntl
    import pty
    import termios

    photos = [str(album / "blank.png")] * 4
    assert image(*photos, model).stderr == ""

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    done = image(
        *photos, "--json", model, capture_output=False, stdout=subprocess.PIPE, stderr=theirs
    )
    ready, _, _ = select.select([ours], [], [], 5)
    shown = os.read(ours, 100_000) if ready else b""
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0
    assert len(rows(done)) == 4
    assert b"/4 [" in shown


# --- Windows -------------------------------------------------------------------------------------


def test_show_without_a_display(album: Path, model: str) -> None:
    for display in ("", ":4711", "nonsense"):
        done = image(album / "ảnh.jpg", "--show", model, env=environment(DISPLAY=display))
        assert done.returncode == 0
        assert "there is no display" in done.stderr
        assert "ảnh.jpg" in done.stdout


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Xvfb, a display without a screen")
def test_show(album: Path, model: str) -> None:
    number = 4712
    with subprocess.Popen(["Xvfb", f":{number}"], stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(100):
                with socket.socket(socket.AF_UNIX) as plug:
                    if plug.connect_ex(f"/tmp/.X11-unix/X{number}") == 0:
                        break
                time.sleep(0.1)
            command = [
                sys.executable,
                "-m",
                "fastfer.image",
                model,
                "--show",
                str(album / "ảnh.jpg"),
            ]
            env = environment(DISPLAY=f":{number}")
            pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            with subprocess.Popen(command, env=env, **pipes) as running:
                assert running.stdout is not None
                assert running.stdout.readline()
                assert running.stdout.readline()
                time.sleep(2)
                assert running.poll() is None, "the window waits for a key"
                running.send_signal(signal.SIGINT)
                _, errors = running.communicate(timeout=20)
            assert running.returncode == 130
            assert errors == b"fastfer: interrupted.\n"
        finally:
            server.terminate()


# --- The real network ----------------------------------------------------------------------------


def test_a_large_photo_reads_alone_as_it_does_among_others(model: str, tmp_path: Path) -> None:
    large = cv2.resize(astronaut(), (2048, 2048), interpolation=cv2.INTER_CUBIC)
    path = tmp_path / "large.jpg"
    path.write_bytes(cv2.imencode(".jpg", large)[1].tobytes())
    other = tmp_path / "other.png"
    other.write_bytes(cv2.imencode(".png", astronaut())[1].tobytes())
    alone, among = (
        json.loads(image("--json", model, *paths).stdout.splitlines()[0])
        for paths in ((path,), (path, other))
    )
    assert alone["faces"] == among["faces"]
    assert alone["faces"]


@pytest.mark.parametrize(("channels", "why"), [(3, "damaged TIFF"), (4, "float32")])
def test_a_picture_of_floats_is_refused_and_the_next_is_read(
    model: str, tmp_path: Path, channels: int, why: str
) -> None:
    floats = tmp_path / "floats.tif"
    pixels = np.full((40, 40, channels), 0.5, np.float32)
    extra = ["unassalpha"] if channels == 4 else None
    tifffile.imwrite(floats, pixels, photometric="rgb", extrasamples=extra)
    good = tmp_path / "good.png"
    good.write_bytes(cv2.imencode(".png", np.zeros((40, 40, 3), np.uint8))[1].tobytes())
    done = image("--json", model, floats, good)
    assert done.returncode == 3, done.stderr
    assert why in done.stderr
    assert json.loads(done.stdout.splitlines()[1])["faces"] == []
