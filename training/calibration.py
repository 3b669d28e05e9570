"""From a network's logits to probabilities that can be believed: temperatures, and the blend of two
heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from fastfer.errors import UsageError
from training import evaluate
from training.batches import CROWD, FER2013
from training.data import FaceSource, as_batch
from training.metrics import fit_temperature
from training.predictors import DEFAULT_OUTPUT, Floats, KerasPredictor

INPUT = "faces"


def head_logits(
    predictor: KerasPredictor, learnt: Sequence[str], source: FaceSource
) -> dict[str, Floats]:
    """Raw scores (N, classes) of every head, by what it learnt from."""
    parts: dict[str, list[Floats]] = {name: [] for name in learnt}
    for start in range(0, len(source), evaluate.CHUNK):
        faces = as_batch(source.load(np.arange(start, min(start + evaluate.CHUNK, len(source)))))
        for name, head in zip(learnt, predictor.heads, strict=True):
            parts[name].append(predictor.logits(faces, head))
    return {name: np.concatenate(scores) for name, scores in parts.items()}


def calibrate(logits: dict[str, Floats], val: FaceSource, crowd_share: float) -> dict[str, float]:
    """Softmax temperatures: that of the default output, and with two heads those of the heads.

    Each head's is fitted to what it learnt from, the blend's to the crowd's majority. Two heads are
    blended by their logits, each over its own temperature.

    Args:
        logits: of the faces of ``val``, from :func:`head_logits`.
        val: the faces to fit on.
        crowd_share: of the votes head in the blend.
    """
    if CROWD in logits and (val.votes is None or not val.votes.any()):
        raise UsageError("a head that learnt from votes is calibrated on them: give --votes")
    one_hot = np.eye(next(iter(logits.values())).shape[1], dtype=np.float32)

    def fit(scores: Floats, name: str) -> float:
        if name != CROWD:
            return fit_temperature(scores, one_hot[val.labels])
        assert val.votes is not None
        voted = val.votes.any(axis=1)
        return fit_temperature(scores[voted], one_hot[val.votes[voted].argmax(axis=1)])

    own = {name: fit(scores, name) for name, scores in logits.items()}
    if len(own) == 1:
        return {DEFAULT_OUTPUT: next(iter(own.values()))}
    mixed = blend_logits({name: logits[name] / own[name] for name in own}, crowd_share)
    return {DEFAULT_OUTPUT: fit(mixed, CROWD), **own}


def blend_logits(calibrated: dict[str, Any], crowd_share: float) -> Any:
    """The logits of both heads as one: a logarithmic opinion pool.

    Against the mean of probabilities it was as accurate on FER+ and photos, and its calibration is
    one temperature.
    """
    return crowd_share * calibrated[CROWD] + (1 - crowd_share) * calibrated[FER2013]


def probability_model(
    network: keras.Model, temperatures: dict[str, float], crowd_share: float
) -> keras.Model:
    """``network`` with calibrated softmax outputs.

    One head gives ``probabilities``. Two heads give ``probabilities``, the blend of both, and
    ``fer2013``.
    """
    from keras import layers as L

    # Called as one layer, so that the names inside it cannot meet those of the operations after it.
    inputs = keras.Input(network.input_shape[1:], name=INPUT)
    raw = network(inputs)
    default = temperatures[DEFAULT_OUTPUT]
    if not isinstance(raw, dict):
        outputs = {DEFAULT_OUTPUT: L.Softmax(name=DEFAULT_OUTPUT)(raw / default)}
        return keras.Model(inputs, outputs)
    calibrated = {name: raw[name] / temperatures[name] for name in (CROWD, FER2013)}
    mixed = blend_logits(calibrated, crowd_share) / default
    return keras.Model(
        inputs,
        {
            DEFAULT_OUTPUT: L.Softmax(name=DEFAULT_OUTPUT)(mixed),
            FER2013: L.Softmax(name=FER2013)(calibrated[FER2013]),
        },
    )


def merged_heads(
    network: keras.Model, temperatures: dict[str, float], crowd_share: float
) -> keras.Model:
    """What :func:`probability_model` computes, with temperatures and blend in the weights.

    Both are linear in the logits, as the logits are in the features; half of the small operations
    at the end of the graph, each of which costs as much as its call, are gone.
    """
    from keras import layers as L

    names = list(network.output_names)
    dense = [next(x for x in network.layers if _feeds(x, network, name)) for name in names]
    parts = {
        name: [np.asarray(w) / temperatures[name if len(names) > 1 else DEFAULT_OUTPUT]
               for w in layer.get_weights()]
        for name, layer in zip(names, dense, strict=True)
    }  # fmt: skip
    if len(names) == 1:
        wanted = {DEFAULT_OUTPUT: parts[names[0]]}
    else:
        mixed = [
            blend_logits({CROWD: crowd, FER2013: labels}, crowd_share)
            / temperatures[DEFAULT_OUTPUT]
            for crowd, labels in zip(parts[CROWD], parts[FER2013], strict=True)
        ]
        wanted = {DEFAULT_OUTPUT: mixed, FER2013: parts[FER2013]}
    features = keras.Model(network.inputs, dense[0].input)
    inputs = keras.Input(network.input_shape[1:], name=INPUT)
    seen = features(inputs)
    outputs = {}
    for name, weights in wanted.items():
        head = L.Dense(weights[1].shape[0], name=f"{name}_logits")
        outputs[name] = L.Softmax(name=name)(head(seen))
        head.set_weights(weights)
    return keras.Model(inputs, outputs)


def _feeds(layer: Any, network: keras.Model, output: str) -> bool:
    """Whether ``layer`` is the dense layer that gives ``output``."""
    tensor = network.outputs[list(network.output_names).index(output)]
    return isinstance(layer, keras.layers.Dense) and layer.output is tensor
