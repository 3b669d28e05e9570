"""Narrower networks that begin with the weights of wider ones."""
# ruff: noqa: E402  (what needs Keras comes after the skip)

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.drawn_faces import draw_faces

keras = pytest.importorskip("keras")

from keras import layers as L

from fastfer.classifiers.native import INT8_MODEL
from fastfer.errors import InputError, UsageError
from training.common.layers import convolution
from training.expression.architectures import ARCHITECTURES, Architecture
from training.expression.channel_pruning import main, narrow


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


def depthwise(filters: int) -> keras.Model:
    inputs = keras.Input((48, 48, 1), name="faces")
    x = L.DepthwiseConv2D(3)(L.Conv2D(filters, 3)(inputs))
    return keras.Model(inputs, L.Dense(7)(L.GlobalAveragePooling2D()(x)))


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


def constant(model: keras.Model, number: int, values: dict[int, float]) -> None:
    """Make output channels of the n-th convolution constant, whatever the face."""
    layer = [layer for layer in model.layers if isinstance(layer, L.Conv2D)][number]
    behind = layer._outbound_nodes[0].operation
    shifted = behind if isinstance(behind, L.BatchNormalization) else layer
    kernel, *rest = layer.get_weights()
    kernel[..., list(values)] = 0
    layer.set_weights([kernel, *rest])
    weights = shifted.get_weights()
    if shifted is behind:
        weights[2][list(values)] = 0
    weights[1][list(values)] = list(values.values())
    shifted.set_weights(weights)


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
    assert (
        "3 of 5 channels are kept; the layers that read them lose 0.0%" in capsys.readouterr().out
    )
    np.testing.assert_allclose(
        model.predict(faces, verbose=0), wide.predict(faces, verbose=0), atol=2e-3
    )


@pytest.mark.parametrize("normalised", [True, False])
def test_what_a_constant_channel_adds_is_not_forgotten(faces, normalised):
    """It goes into the mean of the normalisation behind its reader, or into the reader's bias."""
    keras.utils.set_random_seed(5)
    wide = network(normalised=normalised)
    randomise(wide)
    constant(wide, 1, {1: 3.0, 3: 5.0})
    model = network(inner=3, normalised=normalised)
    narrow(model, wide, faces, "a as b")
    # A border of zeros stands around the map: the constant adds less there.
    expected, got = (net.predict(faces, verbose=0) for net in (wide, model))
    assert np.abs(got - expected).mean() < 0.05 * expected.std()


def test_neighbouring_sets_of_channels_are_cut(faces, capsys):
    keras.utils.set_random_seed(6)
    wide = network()
    randomise(wide)
    without(wide, {1: [2, 4], 2: [3, 5], 3: [3, 5], 4: [1, 7, 8], 5: [3, 5]})
    model = network(inner=3, first=4, plain=6)
    narrow(model, wide, faces, "a as b")
    assert capsys.readouterr().out.count("lose 0.0%") == 3
    np.testing.assert_allclose(
        model.predict(faces, verbose=0), wide.predict(faces, verbose=0), atol=2e-3
    )


def test_channels_that_nothing_hears_go_first(faces):
    """What a normalisation makes nothing of costs nothing, however large its kernel."""
    keras.utils.set_random_seed(7)
    wide = network(inner=3, plain=2)
    randomise(wide)
    reader = [layer for layer in wide.layers if isinstance(layer, L.Conv2D)][2]
    behind = reader._outbound_nodes[0].operation
    kernel = reader.get_weights()[0]
    scale, *rest = behind.get_weights()
    # The last input channel is read, loudly, by one output alone, which is then made silent.
    kernel[:, :, 2] = 0
    kernel[:, :, 2, 0] = 100
    scale[0] = 1e-4
    reader.set_weights([kernel])
    behind.set_weights([scale, *rest])
    model = network(inner=2, plain=2)
    narrow(model, wide, faces, "a as b")
    np.testing.assert_allclose(
        model.predict(faces, verbose=0), wide.predict(faces, verbose=0), atol=0.05
    )


def test_what_is_lost_is_told_by_faces_held_out(capsys):
    """With fewer faces than inputs a fit is always perfect on its own."""
    keras.utils.set_random_seed(8)
    wide = network(first=12, cells=True)
    randomise(wide)
    few = draw_faces(28)[0].astype(np.float32)[..., None] / 255
    narrow(network(first=6, cells=True), wide, few, "a as b")
    said = capsys.readouterr().out
    assert "6 of 12 channels are kept" in said
    assert not said.rstrip().endswith("0.0% of their variance")


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
    with pytest.raises(
        UsageError, match=r"a as b: dense\w* has weights \(24, 8\), the other \(6, 8\)"
    ):
        narrow(network(), network(cells=True), faces, "a as b")
    with pytest.raises(UsageError, match=r"a as b: .* is a DepthwiseConv2D"):
        narrow(depthwise(4), depthwise(5), faces, "a as b")
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
        ([str(faces_csv), *words[1:], str(out)], InputError.exit_code),
        ([str(wide), "--data", str(faces_csv), "--out", str(out)], UsageError.exit_code),
        ([str(INT8_MODEL), *words[1:], str(out)], UsageError.exit_code),
        ([str(wide), *words[1:4], "none.csv", "--out", str(out)], InputError.exit_code),
    ):
        assert main(given) == code
        assert capsys.readouterr().err.startswith("error: ")
