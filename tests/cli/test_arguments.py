"""Option values, contradictions between options, and usage errors of one line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

import pytest

from fastfer.classifiers.custom import IMAGENET
from fastfer.cli import arguments, image, video
from fastfer.errors import UsageError
from tests.helpers.errors import raises


@pytest.mark.parametrize(
    ("parse", "good", "bad"),
    [
        (arguments.integer(0), {"0": 0, "12": 12}, ["-1", "1.5", "two", "", "\u0663"]),
        (arguments.integer(1, 7), {"1": 1, "7": 7}, ["0", "8"]),
        (arguments.number(0, 1), {"0": 0.0, "1": 1.0, ".5": 0.5}, ["-0.1", "1.1", "nan", "x"]),
        (arguments.number(), {"0": 0.0, "2.5": 2.5}, ["-1", "nan"]),
        (arguments.positive, {"0.1": 0.1, "inf": math.inf}, ["0", "-1", "nan", "x"]),
        (arguments.detect_size, {"auto": "auto", "64": 64}, ["31", "1.5", "fine"]),
        (arguments.interval, {"auto": "auto", "5": 5}, ["0", "never"]),
        (arguments.size, {"640x480": (640, 480), "1X1": (1, 1)}, ["640", "0x480", "x", "big"]),
    ],
)
def test_values(parse: Callable[[str], Any], good: dict[str, Any], bad: list[str]) -> None:
    for text, value in good.items():
        assert parse(text) == value
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError):
            parse(text)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--demo", "a.jpg"],
        ["a.jpg", "--nonsense"],
        ["a.jpg", "--top", "8"],
        ["a.jpg", "--threads", "0"],
        ["a.jpg", "--threads", "100000"],
        ["a.jpg", "--min-face", "-3"],
        ["a.jpg", "--max-pixels", "0"],
        ["a.jpg", "--lang", "fr"],
        ["a.jpg", "--min-quality", "2"],
        ["a.jpg", "--json", "--csv", "-"],
        ["a.jpg", "--jsonl", "-", "--csv", "-"],
        ["a.jpg", "--json", "--jsonl", "b.jsonl"],
        ["a.jpg", "--rec"],
        ["a.jpg", "--excel"],
        ["-", "-"],
    ],
)
def test_usage_errors_of_image(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    check_usage_error(image.parse, args, "fastfer image", capsys)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["a.mp4", "--camera", "0"],
        ["a.mp4", "--resume"],
        ["a.mp4", "--resume", "--jsonl", "-"],
        ["a.mp4", "--resume", "--jsonl", "a", "--budget-ms", "5"],
        ["--camera", "0", "--resume", "--jsonl", "a"],
        ["--camera", "0", "--audit"],
        ["a.mp4", "--jsonl", "-", "--csv", "-"],
        ["a.mp4", "--detect-every", "0"],
        ["a.mp4", "--smooth", "-1"],
        ["a.mp4", "--size", "big"],
        ["a.mp4", "--budget-ms", "0"],
        ["a.mp4", "--min-quality", "5"],
    ],
)
def test_usage_errors_of_video(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    check_usage_error(video.parse, args, "fastfer video", capsys)


def check_usage_error(
    parse: Callable[[list[str], str], Any],
    args: list[str],
    prog: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(args, prog)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"{prog}: error: ")
    assert err.endswith(f"(see {prog} --help)\n")
    assert err.count("\n") == 1


def test_both_commands_share_the_options_of_the_engine() -> None:
    options = ["--detector", "none", "--head", "fer2013", "--min-quality", "0.5", "--threads", "2"]
    photo, clip = image.parse(["a.jpg", *options]), video.parse(["a.mp4", *options])
    for name in ("detector", "head", "min_quality", "threads", "model_scale"):
        assert getattr(photo, name) == getattr(clip, name)


def spec(*options: str) -> Any:
    return arguments.model_spec(image.parse(["a.jpg", *options]))


def test_model_specs() -> None:
    assert spec() is None
    own = spec("--model-labels", "a,b", "--model-scale", "1/255", "--model-bias=-.5,0,1")
    assert own.labels == ("a", "b")
    assert own.scale == (1 / 255,)
    assert own.bias == (-0.5, 0.0, 1.0)
    assert own.color == "rgb"
    assert spec("--model-scale", "imagenet").scale == IMAGENET[0]
    swapped = spec("--model-scale", "imagenet", "--model-color", "bgr")
    assert swapped.scale == IMAGENET[0][::-1]
    assert swapped.bias == IMAGENET[1][::-1]


def test_refused_model_specs() -> None:
    with raises(UsageError, "usage", "--model-bias"):
        spec("--model-scale", "imagenet", "--model-bias", "0")
    for text in ("x", "1/0", "1,,2"):
        with raises(UsageError, "out_of_range", repr(text)):
            spec("--model-scale", text)
