"""The inference twin of a trained network: float32 throughout, batch normalisation folded away."""

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


def inference_twin(model: keras.Model, *, fold: bool = True) -> keras.Model:
    """A model that computes what ``model`` computes in inference, without mixed precision and,
    with ``fold``, without batch normalisation where a convolution or dense layer alone feeds it.
    """
    config = _as_float32(model.get_config())
    weights: dict[str, Weights] = {}
    _collect(model, config, weights, fold)
    twin = type(model).from_config(config)
    _assign(twin, weights)
    return twin


def _as_float32(value: Any) -> Any:
    """A copy of a Keras configuration whose every precision policy is float32."""
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
    """Gather the weights of every layer by name; folding rewrites ``config`` as well."""
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
            # A depthwise kernel ends in (channels, 1), the others in the channels they make.
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
    """The layer that feeds ``layer``, if it is linear and feeds nothing else."""
    node = layer._inbound_nodes[0]
    if len(layer._inbound_nodes) != 1 or len(node.parent_nodes) != 1:
        return None
    source = node.parent_nodes[0].operation
    if len(source._outbound_nodes) != 1:
        return None
    return source if getattr(source, "activation", None) is keras.activations.linear else None


def _affine(layer: L.BatchNormalization) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Normalisation in inference is ``x * scale + shift`` for every channel."""
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
