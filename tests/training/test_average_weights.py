"""Averaged weights of several networks."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import tests.helpers.tiny_network  # noqa: F401  (adds the architecture "tiny")
from fastfer.errors import InputError, OutputError, UsageError
from training.average_weights import main
from training.expression.architectures import build


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    for name in ("a", "b"):
        keras.utils.set_random_seed(ord(name))
        build("tiny", 7).save(folder / f"{name}.keras")
    build("tiny", 5).save(folder / "five.keras")
    return folder


def average(folder, *words):
    out = folder / "new" / "out.keras"
    out.unlink(missing_ok=True)
    code = main([*(str(w) for w in words), "--out", str(out)])
    return code, keras.saving.load_model(out).get_weights() if code == 0 else None


@pytest.mark.parametrize(
    ("shares", "expected"), [((), 0.5), (("--shares", 0.3, 0.7), 0.3), (("--shares", 3, 1), 0.75)]
)
def test_weights_are_averaged(networks, capsys, shares, expected):
    a, b = networks / "a.keras", networks / "b.keras"
    code, got = average(networks, a, b, *shares)
    assert code == 0
    assert f"{expected:.3g} of {a}, {1 - expected:.3g} of {b}" in capsys.readouterr().out
    weights = [keras.saving.load_model(path).get_weights() for path in (a, b)]
    for one, other, mean in zip(*weights, got, strict=True):
        np.testing.assert_allclose(mean, expected * one + (1 - expected) * other, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("a.keras", "five.keras"), UsageError.exit_code, "five.keras"),
        (("a.keras", "b.keras", "--shares", 1), UsageError.exit_code, "--shares"),
        (("a.keras", "b.keras", "--shares", 0, 0), UsageError.exit_code, "--shares"),
        (("a.keras", "none.keras"), InputError.exit_code, "none.keras"),
        (("a.keras", __file__), UsageError.exit_code, __file__),
    ],
)
def test_invalid_averages_are_rejected(networks, monkeypatch, capsys, words, code, named):
    monkeypatch.chdir(networks)
    assert average(networks, *words) == (code, None)
    assert named in capsys.readouterr().err
    assert not (networks / "new" / "out.keras").exists()


def test_the_suffix_of_the_output_is_checked(networks, capsys):
    assert main([str(networks / "a.keras"), "--out", "a.onnx"]) == UsageError.exit_code
    assert "a.onnx" in capsys.readouterr().err


def test_the_place_of_the_output_is_checked_first(networks, capsys):
    place = networks / "a.keras" / "out.keras"
    assert main([str(networks / "none.keras"), "--out", str(place)]) == OutputError.exit_code
    assert str(place) in capsys.readouterr().err
