"""Networks initialised from larger ones with more channels."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L

from fastfer.classifiers.native import INT8_MODEL
from fastfer.errors import InputError, UsageError
from tests.helpers.drawn_faces import draw_faces
from tests.helpers.errors import raises
from training.common.layers import convolution
from training.expression.architectures import ARCHITECTURES, Architecture
from training.expression.channel_pruning import main, prune


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
    """Weights as after training: no statistic of a normalisation is 0 or 1."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            n = layer.weights[0].shape[0]
            layer.set_weights(
                [rng.uniform(0.5, 2, n), rng.normal(0, 0.2, n), rng.normal(0, 0.3, n),
                 rng.uniform(0.5, 2, n)]
            )  # fmt: skip


def duplicate_channels(model: keras.Model, dead: dict[int, list[int]]) -> None:
    """Make output channels of the n-th convolution copies of its first one."""
    convolutions = [layer for layer in model.layers if isinstance(layer, L.Conv2D)]
    for number, channels in dead.items():
        layer = convolutions[number]
        after = layer._outbound_nodes[0].operation
        for member in (layer, *([after] if isinstance(after, L.BatchNormalization) else [])):
            weights = member.get_weights()
            for w in weights:
                w[..., channels] = w[..., :1]
            member.set_weights(weights)


def set_constant(model: keras.Model, number: int, values: dict[int, float]) -> None:
    """Make output channels of the n-th convolution constant for every face."""
    layer = [layer for layer in model.layers if isinstance(layer, L.Conv2D)][number]
    after = layer._outbound_nodes[0].operation
    shifted = after if isinstance(after, L.BatchNormalization) else layer
    kernel, *rest = layer.get_weights()
    kernel[..., list(values)] = 0
    layer.set_weights([kernel, *rest])
    weights = shifted.get_weights()
    if shifted is after:
        weights[2][list(values)] = 0
    weights[1][list(values)] = list(values.values())
    shifted.set_weights(weights)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("cells", [False, True])
def test_redundant_channels_are_removed(faces, capsys, normalised, cells):
    keras.utils.set_random_seed(1)
    large = network(normalised=normalised, cells=cells)
    randomise(large)
    # Two inner channels of the projected block repeat the first.
    duplicate_channels(large, {1: [2, 4]})
    model = network(inner=3, normalised=normalised, cells=cells)
    prune(model, large, faces, "a as b")
    assert "kept 3 of 5 channels; the layers that read them lose 0.0 %" in capsys.readouterr().out
    np.testing.assert_allclose(
        model.predict(faces, verbose=0), large.predict(faces, verbose=0), atol=2e-3
    )


@pytest.mark.parametrize("normalised", [True, False])
def test_the_sum_of_a_constant_channel_is_kept(faces, normalised):
    """It moves to the mean of the normalisation after its reader, or to the bias of the reader."""
    keras.utils.set_random_seed(5)
    large = network(normalised=normalised)
    randomise(large)
    set_constant(large, 1, {1: 3.0, 3: 5.0})
    model = network(inner=3, normalised=normalised)
    prune(model, large, faces, "a as b")
    # At the zero-padded border the constant adds less.
    expected, got = (net.predict(faces, verbose=0) for net in (large, model))
    assert np.abs(got - expected).mean() < 0.05 * expected.std()


def test_neighbouring_sets_of_channels_are_pruned(faces, capsys):
    keras.utils.set_random_seed(6)
    large = network()
    randomise(large)
    duplicate_channels(large, {1: [2, 4], 2: [3, 5], 3: [3, 5], 4: [1, 7, 8], 5: [3, 5]})
    model = network(inner=3, first=4, plain=6)
    prune(model, large, faces, "a as b")
    assert capsys.readouterr().out.count("lose 0.0 %") == 3
    np.testing.assert_allclose(
        model.predict(faces, verbose=0), large.predict(faces, verbose=0), atol=2e-3
    )


def test_channels_without_effect_are_removed_first(faces):
    """A channel that a normalisation scales to zero costs nothing, however large its kernel."""
    keras.utils.set_random_seed(7)
    large = network(inner=3, plain=2)
    randomise(large)
    reader = [layer for layer in large.layers if isinstance(layer, L.Conv2D)][2]
    after = reader._outbound_nodes[0].operation
    kernel = reader.get_weights()[0]
    scale, *rest = after.get_weights()
    # One output alone reads the last input channel, with large weights, and is scaled to zero.
    kernel[:, :, 2] = 0
    kernel[:, :, 2, 0] = 100
    scale[0] = 1e-4
    reader.set_weights([kernel])
    after.set_weights([scale, *rest])
    model = network(inner=2, plain=2)
    prune(model, large, faces, "a as b")
    np.testing.assert_allclose(
        model.predict(faces, verbose=0), large.predict(faces, verbose=0), atol=0.05
    )


def test_the_loss_is_measured_on_held_out_faces(capsys):
    """With fewer faces than inputs the fit is perfect on the faces it was made with."""
    keras.utils.set_random_seed(8)
    large = network(first=12, cells=True)
    randomise(large)
    few = draw_faces(28)[0].astype(np.float32)[..., None] / 255
    prune(network(first=6, cells=True), large, few, "a as b")
    printed = capsys.readouterr().out
    assert "kept 6 of 12 channels" in printed
    assert not printed.rstrip().endswith("0.0 % of their variance")


def test_channels_of_a_sum_are_removed_together(faces, capsys):
    """In both convolutions that write them, in that of the plain block, and in all readers."""
    keras.utils.set_random_seed(2)
    large = network()
    randomise(large)
    # 1: inner, 2: of the block, 3: its projection, 5: of the plain block.
    duplicate_channels(large, {2: [3, 5], 3: [3, 5], 5: [3, 5]})
    model = network(first=4)
    prune(model, large, faces, "a as b")
    assert "kept 4 of 6 channels" in capsys.readouterr().out
    np.testing.assert_allclose(
        model.predict(faces, verbose=0), large.predict(faces, verbose=0), atol=2e-3
    )


def test_readers_of_the_kept_channels_are_refitted(faces, capsys):
    """Refitted, the network is closer to the large one than with channels only removed."""
    keras.utils.set_random_seed(3)
    large = network(inner=12)
    randomise(large)
    model = network(inner=6)
    prune(model, large, faces, "a as b")
    assert "kept 6 of 12 channels" in capsys.readouterr().out
    expected = large.predict(faces, verbose=0)
    fitted = np.abs(model.predict(faces, verbose=0) - expected).mean()
    for layer, other in zip(model.layers, large.layers, strict=True):
        cut = [
            w[tuple(slice(side) for side in v.shape)]
            for w, v in zip(other.get_weights(), layer.weights, strict=True)
        ]
        layer.set_weights(cut)
    assert fitted < 0.5 * np.abs(model.predict(faces, verbose=0) - expected).mean()


def test_a_dense_layer_over_the_mean_becomes_one_over_the_cells(faces):
    keras.utils.set_random_seed(4)
    large, model = network(), network(cells=True)
    prune(model, large, faces, "a as b")
    np.testing.assert_allclose(
        model.predict(faces, verbose=0), large.predict(faces, verbose=0), atol=1e-4
    )


@pytest.mark.parametrize(
    ("model", "large"),
    [
        (lambda: network(first=7), network),  # more channels
        (network, lambda: network(cells=True)),  # another pooling
        (lambda: depthwise(4), lambda: depthwise(5)),  # an unsupported layer
        (lambda: network(normalised=False), network),
    ],
)
def test_other_networks_are_rejected(faces, model, large):
    with raises(UsageError, "usage", "a as b"):
        prune(model(), large(), faces, "a as b")


def test_the_command_writes_a_network(tmp_path, monkeypatch, faces_csv, faces, capsys):
    def build(classes, heads, weights=None):
        return network(inner=3)

    monkeypatch.setitem(ARCHITECTURES, "small", Architecture(build, "sgd", 0.1, 8, 1, "for tests"))
    large, out = tmp_path / "large.keras", tmp_path / "new" / "small.keras"
    network().save(large)
    words = [str(large), "--arch", "small", "--data", str(faces_csv), "--out"]
    assert main([*words, str(out)]) == 0
    printed = capsys.readouterr().out
    assert "kept 3 of 5 channels" in printed
    assert f"wrote {out}" in printed
    assert keras.saving.load_model(out).predict(faces, verbose=0).shape == (70, 7)
    for given, code in (
        ([*words, "small.onnx"], UsageError.exit_code),
        ([str(tmp_path / "none.keras"), *words[1:], str(out)], InputError.exit_code),
        ([str(faces_csv), *words[1:], str(out)], InputError.exit_code),
        ([str(large), "--data", str(faces_csv), "--out", str(out)], UsageError.exit_code),
        ([str(INT8_MODEL), *words[1:], str(out)], UsageError.exit_code),
        ([str(large), *words[1:4], "none.csv", "--out", str(out)], InputError.exit_code),
    ):
        assert main(given) == code
        assert capsys.readouterr().err.startswith("error: ")
