"""Options of training: defaults, contradictions, configurations."""

from __future__ import annotations

import pytest

from fastfer.errors import FastferError
from tests.helpers.errors import raises
from training.expression.config import configure, parser, read_config


def config_of(words: str):
    return configure(parser().parse_args(["--data", "x.csv", *words.split()]))


@pytest.mark.parametrize(
    ("words", "optimizer", "rate"),
    [
        ("--arch fastfer", "sgd", 0.1),
        ("--arch fastfer --optimizer sgd", "sgd", 0.1),
        ("--arch fastfer --optimizer adam", "adam", 1e-3),
        ("--arch simple --optimizer adamw", "adamw", 1e-3),
        ("--arch se_resnet --optimizer sgd", "sgd", 0.05),
        ("--arch vgg16", "adam", 5e-4),
        ("--arch simple --optimizer adam --learning-rate 0.05", "adam", 0.05),
    ],
)
def test_another_optimizer_has_its_own_learning_rate(words, optimizer, rate):
    config = config_of(words)
    assert (config.optimizer, config.learning_rate) == (optimizer, rate)


@pytest.mark.parametrize(
    ("words", "split", "fraction"),
    [
        ("", "usage", None),
        ("--split usage", "usage", None),
        ("--split fraction", "fraction", 0.2),
        ("--split fraction --val-fraction 0.1", "fraction", 0.1),
        ("--val-fraction 0.1", "fraction", 0.1),
    ],
)
def test_the_validation_split(words, split, fraction):
    config = config_of(words)
    assert (config.split, config.val_fraction) == (split, fraction)


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        ("--arch lenet", "unknown_option", "lenet"),
        ("--targets both", "usage", "--votes"),
        ("--contempt", "usage", "--targets"),
        ("--classes 8", "usage", "--contempt"),
        ("--vote-smoothing 0.5", "usage", "--vote-smoothing"),
        ("--weights imagenet", "usage", "--weights"),
        ("--rotation -3", "out_of_range", "--rotation"),
        ("--distill none.onnx", "not_found", "none.onnx"),
        ("--online-distillation", "usage", "--online-distillation"),
        ("--split usage --val-fraction 0.2", "usage", "--val-fraction"),
        ("--val-fraction 1", "out_of_range", "--val-fraction"),
    ],
)
def test_contradicting_options_are_rejected(words, code, named):
    with raises(FastferError, code, named):
        config_of(words)


@pytest.mark.parametrize(
    "arguments",
    [("--epochs", "0"), ("--batch-size", "-1"), ("--ema", "1"), ("--label-smoothing", "nan"),
     ("--learning-rate", "-1"), ("--distill-share", "1.5"), ("--seed", "-1"), ("--seed", "x"),
     ("--distill", ""), ("--distill", " , ")],
)  # fmt: skip
def test_numbers_out_of_range_are_rejected(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(arguments)
    assert caught.value.code == 2
    assert f"argument {arguments[0]}: {arguments[1]!r}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"), [("runs/u,", ("runs/u",)), (" a.onnx , ,b.onnx", ("a.onnx", "b.onnx"))]
)
def test_teachers_are_separated_by_commas(text, expected):
    assert parser().parse_args(["--distill", text]).distill == expected


def test_the_configuration_of_a_run_is_read_from_its_folder_or_file(trained_run, tmp_path):
    config = read_config(trained_run)
    assert (config.arch, config.targets, config.augmentation.rotation) == ("tiny", "labels", 3.0)
    assert read_config(trained_run / "best.keras") == config
    assert read_config(tmp_path / "x.keras").data == ""
