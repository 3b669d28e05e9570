"""Trained networks for inference: float32, with batch normalisation folded into convolutions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import layers as L
from numpy.typing import NDArray

Weights = list[NDArray[np.float32]]
_FOLDABLE = (L.Conv2D, L.DepthwiseConv2D, L.Dense)


def inference_model(model: keras.Model, *, fold: bool = True) -> keras.Model:
    """A float32 copy of ``model`` for inference; with ``fold``, each batch normalisation whose only
    input is a convolution or dense layer is merged into that layer.
    """
    config = _as_float32(model.get_config())
    weights: dict[str, Weights] = {}
    _collect(model, config, weights, fold)
    copied = type(model).from_config(config)
    _assign(copied, weights)
    return copied


def _as_float32(value: Any) -> Any:
    """A copy of a Keras configuration with float32 for every dtype policy."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "DTypePolicy":
            return "float32"
        return {k: _as_float32(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_as_float32(v) for v in value)
    return copy.copy(value)


def _collect(
    model: keras.Model, config: dict[str, Any], weights: dict[str, Weights], fold: bool
) -> None:
    """Collect the weights of every layer by name; folding also rewrites ``config``."""
    entries = {entry["config"]["name"]: entry for entry in config["layers"]}
    for layer in model.layers:
        entry = entries[layer.name]
        if isinstance(layer, keras.Model):
            _collect(layer, entry["config"], weights, fold)
            continue
        source = _sole_source(layer)
        normalises = isinstance(layer, L.BatchNormalization)
        if fold and normalises and isinstance(source, _FOLDABLE):
            scale, shift = _affine(layer)
            kernel, *bias = (np.asarray(w) for w in source.get_weights())
            # The last axes of a depthwise kernel are (channels, 1); of the others, the output
            # channels.
            factor = scale[:, None] if isinstance(source, L.DepthwiseConv2D) else scale
            weights[source.name] = [kernel * factor, (bias[0] if bias else 0) * scale + shift]
            entries[source.name]["config"]["use_bias"] = True
            entry.update(
                module="keras.layers",
                class_name="Activation",
                registered_name=None,
                config={"name": layer.name, "activation": "linear", "dtype": "float32"},
            )
            for node in entry["inbound_nodes"]:
                node["kwargs"] = {}
            entry.pop("build_config", None)
            entries[source.name].pop("build_config", None)
        elif layer.get_weights():
            weights[layer.name] = [np.asarray(w, np.float32) for w in layer.get_weights()]


def _sole_source(layer: L.Layer) -> L.Layer | None:
    """The only input layer of ``layer``, if it is linear and has no other output."""
    node = layer._inbound_nodes[0]
    if len(layer._inbound_nodes) != 1 or len(node.parent_nodes) != 1:
        return None
    source = node.parent_nodes[0].operation
    if len(source._outbound_nodes) != 1:
        return None
    return source if getattr(source, "activation", None) is keras.activations.linear else None


def _affine(layer: L.BatchNormalization) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scale and shift per channel: in inference, normalisation is ``x * scale + shift``."""
    mean = np.asarray(layer.moving_mean, np.float64)
    scale = 1 / np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
    if layer.scale:
        scale = scale * np.asarray(layer.gamma, np.float64)
    shift = -mean * scale
    if layer.center:
        shift = shift + np.asarray(layer.beta, np.float64)
    return scale.astype(np.float32), shift.astype(np.float32)


def _assign(model: keras.Model, weights: Mapping[str, Weights]) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _assign(layer, weights)
        elif layer.name in weights:
            layer.set_weights(weights[layer.name])
