"""Keras networks of convolutions as ONNX graphs."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers as L
from onnx import TensorProto, helper

from fastfer.errors import ModelError
from tests.helpers.errors import raises
from training.common.layers import convolution
from training.common.onnx_writer import exact_sums, halved, write, write_graph

SOURCE = helper.make_tensor_value_info("picture", TensorProto.UINT8, ["n", "h", "w", 1])


def network(height: int | None = None, width: int | None = None) -> keras.Model:
    """All layers that the writer knows but Flatten: a small pyramid with two outputs."""
    inputs = keras.Input((height, width, 1), name="picture")
    x = L.Rescaling(1 / 255)(inputs)
    x = L.ReLU()(convolution(x, 8, 5, strides=2))
    low = L.ReLU()(convolution(x, 12, strides=2))
    x = L.ReLU()(L.DepthwiseConv2D(3, padding="same")(L.Conv2D(12, 1)(x)))
    x = L.Add()([x, L.UpSampling2D(2)(low)])
    x = L.Activation("linear")(x)
    fine, coarse = (L.Conv2D(5, 1, name=name)(y) for name, y in (("fine", x), ("coarse", low)))
    joined = L.Concatenate(axis=1)([L.Reshape((-1, 5))(y) for y in (fine, coarse)])
    return keras.Model(inputs, joined, name="pyramid")


def randomise(model: keras.Model) -> keras.Model:
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([rng.uniform(0.05, 0.4, w.shape) for w in layer.get_weights()])
    return model


def test_the_file_computes_the_same_for_every_size(tmp_path: Path) -> None:
    model = randomise(network())
    path = tmp_path / "a.onnx"
    rounded = write(model, path, [SOURCE], ["fine", "coarse"], {"name": "test"})
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(1)
    for side in (32, 48):
        picture = rng.integers(0, 256, (2, side, 64, 1), np.uint8)
        outputs = session.run(["fine", "coarse"], {"picture": picture})
        rows = [v.transpose(0, 2, 3, 1).reshape(2, -1, 5) for v in outputs]
        expected = np.array(rounded(picture.astype(np.float32)))
        np.testing.assert_allclose(np.concatenate(rows, axis=1), expected, rtol=1e-4, atol=1e-3)
    metadata = session.get_modelmeta().custom_metadata_map
    values = {key: json.loads(value) for key, value in metadata.items()}
    assert values == {
        "fastfer.schema": 1, "fastfer.name": "test", "fastfer.parameters": model.count_params()
    }  # fmt: skip


def test_weights_are_stored_in_half_precision(tmp_path: Path) -> None:
    write(randomise(network()), tmp_path / "a.onnx", [SOURCE], ["fine", "coarse"], {})
    stored = onnx.load(tmp_path / "a.onnx").graph.initializer
    large = [t for t in stored if np.prod(t.dims) >= 64]
    # The first kernel holds the scale of the picture, too small a number for half precision.
    assert [t.data_type for t in large].count(TensorProto.FLOAT) == 1
    assert [t.data_type for t in large].count(TensorProto.FLOAT16) == len(large) - 1 > 2


def test_sums_over_bytes_are_exact_in_any_order() -> None:
    rng = np.random.default_rng(3)
    kernel = rng.normal(0, 0.01, (16, 1, 5, 5)).astype(np.float32)
    bias = rng.normal(0, 1, 16).astype(np.float32)
    exact, offset = exact_sums(kernel, bias)
    np.testing.assert_allclose(exact, kernel, atol=2e-6)
    rows = exact.reshape(16, -1)
    for channel in range(16):
        pixels = 255 * (rows[channel] * (1 if channel % 2 else -1) > 0)  # The largest sums.
        terms = np.append(rows[channel] * pixels.astype(np.float32), offset[channel])
        expected = np.sum(terms, dtype=np.float64)
        for _ in range(20):
            assert np.cumsum(rng.permutation(terms), dtype=np.float32)[-1] == expected


def test_halved_weights_differ_by_their_rounding() -> None:
    model = randomise(network(32, 32))
    before = model.get_weights()
    for one, other in zip(before, halved(model).get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3)
        assert (one == other).all() == (one.size < 64)


def test_flattened_outputs() -> None:
    inputs = keras.Input((4, 4, 1), name="picture")
    model = keras.Model(inputs, L.Flatten(name="values")(L.Conv2D(3, 4)(inputs)))
    source = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 4, 4, 1])
    file = write_graph(model, [source], {"values": "values"}, "flat")
    session = onnxruntime.InferenceSession(file.SerializeToString())
    batch = np.random.default_rng(0).random((2, 4, 4, 1), np.float32)
    np.testing.assert_allclose(session.run(None, {"picture": batch})[0], model(batch), rtol=1e-5)


def test_several_inputs_are_matched_by_name() -> None:
    one, two = (keras.Input((4, 4, 1), name=name) for name in ("one", "two"))
    sides = [L.Conv2D(3, 4)(x) for x in (two, one)]
    model = keras.Model({"one": one, "two": two}, L.Flatten(name="values")(L.Add()(sides)))
    sources = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4, 4, 1])
        for name in ("one", "two")
    ]
    file = write_graph(model, sources, {"values": "values"}, "sum")
    session = onnxruntime.InferenceSession(file.SerializeToString())
    rng = np.random.default_rng(0)
    batch = {name: rng.random((2, 4, 4, 1), np.float32) for name in ("one", "two")}
    np.testing.assert_allclose(session.run(None, batch)[0], model(batch), rtol=1e-5)


def test_inputs_rounded_to_bytes_have_exact_sums() -> None:
    inputs = keras.Input((8, 8, 1), name="picture")
    features = L.Conv2D(16, 5, name="features")(inputs)
    model = keras.Model(inputs, L.Flatten(name="values")(L.Conv2D(2, 4)(features)))
    source = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 8, 8, 1])
    file = write_graph(model, [source], {"values": "values"}, "bytes", bytes_of=1.0)
    file.graph.output.append(
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 16, 4, 4])
    )
    session = onnxruntime.InferenceSession(file.SerializeToString())
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (4, 8, 8, 1))
    batch = (levels / 255).astype(np.float32)
    near = (batch + rng.uniform(-0.4, 0.4, batch.shape) / 255).astype(np.float32)
    features, values = session.run(["features", "values"], {"picture": batch})
    np.testing.assert_allclose(values, model(batch), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(session.run(None, {"picture": near})[0], values)
    kernel = next(n for n in file.graph.initializer if n.name == "features.kernel")
    rows = onnx.numpy_helper.to_array(kernel).reshape(16, 25).astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(levels[..., 0], (5, 5), axis=(1, 2))
    exact = np.einsum("nyxk,ck->ncyx", windows.reshape(4, 4, 4, 25), rows)
    np.testing.assert_array_equal(features, exact, "in any order of summation")


@pytest.mark.parametrize("layer", [L.MaxPooling2D(), L.Flatten(), L.Activation("tanh")])
def test_other_layers_are_refused_by_name(layer: L.Layer) -> None:
    inputs = keras.Input((8, 8, 1), name="picture")
    model = keras.Model(inputs, layer(inputs))
    with raises(ModelError, "invalid_model", type(layer).__name__):
        write_graph(model, [SOURCE], {layer.name: "out"}, "other")
