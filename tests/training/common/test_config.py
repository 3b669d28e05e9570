"""Configurations: from options to JSON and back."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, field

import pytest

from fastfer.errors import UsageError
from tests.helpers.errors import raises
from training.common.config import TrainingConfig


@dataclass(frozen=True)
class Group:
    width: int = 1


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    sides: tuple[int, ...] = ()
    group: Group = field(default_factory=Group)


OPTIONS = argparse.Namespace(
    data="x", init=None, epochs=3, batch_size=4, learning_rate=0.1, sides=(32, 64), width=7,
    resume=False,
)  # fmt: skip


def test_a_configuration_survives_json():
    config = Config.from_options(OPTIONS)
    assert config.group == Group(7)
    values = json.loads(json.dumps({**asdict(config), "environment": {}}))
    assert Config.from_json(values) == config


def test_a_configuration_of_another_version_is_rejected():
    values = {**asdict(Config.from_options(OPTIONS)), "old_option": 1}
    with raises(UsageError, "unknown_option", "old_option"):
        Config.from_json(values)
    assert Config.from_json(values, strict=False).group == Group(7)


@pytest.mark.parametrize(
    ("name", "value", "code", "named"),
    [
        ("epochs", "many", "usage", "epochs"),
        ("epochs", 1.5, "usage", "epochs"),
        ("learning_rate", "0.1", "usage", "learning_rate"),
        ("group", {"epochs": 1}, "unknown_option", "epochs"),
    ],
)
def test_values_of_another_type_are_named(name, value, code, named):
    values = {**asdict(Config.from_options(OPTIONS)), name: value}
    for strict in (True, False):
        with raises(UsageError, code, named):
            Config.from_json(values, strict=strict)
