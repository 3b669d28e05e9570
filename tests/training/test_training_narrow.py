"""Narrower networks that begin with the weights of wider ones."""
# ruff: noqa: E402  (what needs Keras comes after the skip)

from __future__ import annotations

import numpy as np
import pytest
from drawn_faces import draw_faces

keras = pytest.importorskip("keras")

from keras import layers as L

from fastfer.errors import InputError, ModelError, UsageError
from training.layers import convolution
from training.models import ARCHITECTURES, Architecture
from training.narrow import main, narrow


def network(first=6, inner=5, cells=False, normalised=True, plain=9) -> keras.Model:
    """A projected and a plain residual block, a dense layer over the mean or over four cells."""

    def conv(x, filters, kernel=3):
        if normalised:
            return convolution(x, filters, kernel=kernel)
        return L.Conv2D(filters, kernel, padding="same")(x)

    inputs = keras.Input((48, 48, 1), name="faces")
    x = L.MaxPooling2D(4)(L.ReLU()(conv(inputs, 4)))
    x = L.ReLU()(L.Add()([conv(L.ReLU()(conv(x, inner)), first), conv(x, first, 1)]))
    x = L.ReLU()(L.Add()([conv(L.ReLU()(conv(x, plain)), first), x]))
    x = L.Flatten()(L.AveragePooling2D(6)(x)) if cells else L.GlobalAveragePooling2D()(x)
    x = L.ReLU()(L.Dense(8)(x))
    return keras.Model(inputs, L.Dense(7, name="logits")(L.Dropout(0.3)(x)))


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return draw_faces(70)[0].astype(np.float32)[..., None] / 255


def randomise(model: keras.Model) -> None:
    """Weights as after training: no statistic of a normalisation stands at 0 or 1."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            n = layer.weights[0].shape[0]
            layer.set_weights(
                [rng.uniform(0.5, 2, n), rng.normal(0, 0.2, n), rng.normal(0, 0.3, n),
                 rng.uniform(0.5, 2, n)]
            )  # fmt: skip


def without(model: keras.Model, dead: dict[int, list[int]]) -> None:
    """Make output channels of the n-th convolution, normalised, copies of its first one."""
    convolutions = [layer for layer in model.layers if isinstance(layer, L.Conv2D)]
    for number, channels in dead.items():
        layer = convolutions[number]
        behind = layer._outbound_nodes[0].operation
        for member in (layer, *([behind] if isinstance(behind, L.BatchNormalization) else [])):
            weights = member.get_weights()
            for w in weights:
                w[..., channels] = w[..., :1]
            member.set_weights(weights)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("cells", [False, True])
def test_channels_that_say_nothing_new_are_the_ones_that_go(faces, capsys, normalised, cells):
    keras.utils.set_random_seed(1)
    wide = network(normalised=normalised, cells=cells)
    randomise(wide)
    # Of the projected block's inner channels two say what the first says.
    without(wide, {1: [2, 4]})
    model = network(inner=3, normalised=normalised, cells=cells)
    narrow(model, wide, faces, "a as b")
    assert "3 of 5 channels are kept; layers that read them lose 0.0%" in capsys.readouterr().out
    np.testing.assert_allclose(
        model.predict(faces, verbose=0), wide.predict(faces, verbose=0), atol=2e-3
    )


def test_channels_of_a_sum_go_together(faces, capsys):
    """Both convolutions that make them, the plain block's too, and all that read them."""
    keras.utils.set_random_seed(2)
    wide = network()
    randomise(wide)
    # 1: inner, 2: of the block, 3: its projection, 5: of the plain block.
    without(wide, {2: [3, 5], 3: [3, 5], 5: [3, 5]})
    model = network(first=4)
    narrow(model, wide, faces, "a as b")
    assert "4 of 6 channels are kept" in capsys.readouterr().out
    np.testing.assert_allclose(
        model.predict(faces, verbose=0), wide.predict(faces, verbose=0), atol=2e-3
    )


def test_what_reads_the_kept_channels_makes_up_for_the_others(faces, capsys):
    """Fitted anew, the network stays nearer to the wide one than with channels merely cut off."""
    keras.utils.set_random_seed(3)
    wide = network(inner=12)
    randomise(wide)
    model = network(inner=6)
    narrow(model, wide, faces, "a as b")
    assert "6 of 12 channels are kept" in capsys.readouterr().out
    expected = wide.predict(faces, verbose=0)
    fitted = np.abs(model.predict(faces, verbose=0) - expected).mean()
    for layer, other in zip(model.layers, wide.layers, strict=True):
        cut = [
            w[tuple(slice(side) for side in v.shape)]
            for w, v in zip(other.get_weights(), layer.weights, strict=True)
        ]
        layer.set_weights(cut)
    assert fitted < 0.5 * np.abs(model.predict(faces, verbose=0) - expected).mean()


def test_a_dense_layer_over_the_mean_reads_the_cells(faces):
    keras.utils.set_random_seed(4)
    wide, model = network(), network(cells=True)
    narrow(model, wide, faces, "a as b")
    np.testing.assert_allclose(
        model.predict(faces, verbose=0), wide.predict(faces, verbose=0), atol=1e-4
    )


def test_other_networks_are_refused(faces):
    with pytest.raises(UsageError, match=r"a as b: .* has 6 channels, which is less than 7"):
        narrow(network(first=7), network(), faces, "a as b")
    with pytest.raises(UsageError, match=r"a as b: dense\w* reads \(24, 8\), the other \(6, 8\)"):
        narrow(network(), network(cells=True), faces, "a as b")
    with pytest.raises(UsageError, match="a as b: other layers"):
        narrow(network(normalised=False), network(), faces, "a as b")


def test_the_command_writes_a_network_to_go_on_from(
    tmp_path, monkeypatch, faces_csv, faces, capsys
):
    def build(classes, heads, weights=None):
        return network(inner=3)

    monkeypatch.setitem(ARCHITECTURES, "thin", Architecture(build, "sgd", 0.1, 8, 1, "for tests"))
    wide, out = tmp_path / "wide.keras", tmp_path / "new" / "thin.keras"
    network().save(wide)
    words = [str(wide), "--arch", "thin", "--data", str(faces_csv), "--out"]
    assert main([*words, str(out)]) == 0
    said = capsys.readouterr().out
    assert "3 of 5 channels are kept" in said
    assert f"wrote {out}" in said
    assert keras.saving.load_model(out).predict(faces, verbose=0).shape == (70, 7)
    for given, code in (
        ([*words, "thin.onnx"], UsageError.exit_code),
        ([str(tmp_path / "none.keras"), *words[1:], str(out)], InputError.exit_code),
        ([str(faces_csv), *words[1:], str(out)], ModelError.exit_code),
        ([str(wide), "--data", str(faces_csv), "--out", str(out)], UsageError.exit_code),
    ):
        assert main(given) == code
        assert capsys.readouterr().err.startswith("error: ")
