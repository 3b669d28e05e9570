"""Calibration: the blend of two heads, its class prior, and softmax temperatures.

A network has learnt how frequent each class is among its training faces. The default output removes
that prior, so that it holds for another one, which the file states. From the blended logits

    z = head_blend * ferplus + (1 - head_blend) * fer2013
    learnt = mean of softmax(z) over training faces
    removed = (1 - level_share) * learnt + level_share / classes
    probabilities = softmax((z - log(removed)) / T)

follows the prior ``level``, learnt / removed, normalised. With level_share 0 it would be uniform,
but a class of one face in a hundred would be lifted thirtyfold by a network that hardly saw it;
level_share bounds that. Any other prior follows by Bayes' rule (:mod:`fastfer.priors`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import UsageError
from fastfer.priors import Prior, prior_shares
from training.expression import evaluate
from training.expression.face_sources import FaceSource, as_batch, spread
from training.expression.heads import FER2013, FERPLUS
from training.expression.metrics import (
    Doubles,
    Ints,
    face_weights,
    fit_offsets,
    fit_temperature,
    softmax,
)
from training.expression.predictors import DEFAULT_OUTPUT, Floats, KerasPredictor

if TYPE_CHECKING:
    import keras

INPUT = "faces"
LIKENESS = "likeness"
HEAD_BLEND = 0.925
"""Share of the ferplus head in the default output."""
LEVEL_SHARE = 0.35
"""Share of the uniform prior in the removed prior."""
MIN_LEARNT = 1e-4
LEARNT_FACES = 8192
"""Training faces from which the learnt prior is estimated."""


@dataclass(frozen=True)
class Calibration:
    """The affine map from the logits of a network to those of its calibrated outputs."""

    temperatures: Mapping[str, float]
    """Of each output, by its name."""
    head_blend: float
    """Share of the ferplus head in the default output of a network with two heads."""
    offsets: Mapping[str, Floats]
    """(classes,) added to the logits of each output, by its name."""
    priors: Mapping[str, Doubles]
    """(classes,) the prior for which each output holds, by its name."""
    level: Doubles
    """(classes,) the prior ``level`` of the default output."""
    likeness: tuple[Floats, float] | None = None
    """Weights (features,) and bias of the log odds that a crop shows a face, see
    :func:`training.expression.likeness.fit_likeness`."""

    def logits(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Logits of every output, from the raw logits of all heads."""
        return {name: z + self.offsets[name] for name, z in self.scaled(raw).items()}

    def scaled(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The same without offsets: the linear part."""
        scaled = {DEFAULT_OUTPUT: blended(raw, self.head_blend) / self.temperatures[DEFAULT_OUTPUT]}
        if len(raw) > 1:
            scaled[FER2013] = raw[FER2013] / self.temperatures[FER2013]
        return scaled


def blended(raw: Mapping[str, Any], head_blend: float) -> Any:
    """Logits of the default output before calibration.

    Two heads are blended by their logits, a logarithmic opinion pool: as accurate as the mean of
    probabilities on FER+ and photos, and calibrated by a single temperature.
    """
    if len(raw) == 1:
        return next(iter(raw.values()))
    return head_blend * raw[FERPLUS] + (1 - head_blend) * raw[FER2013]


def head_logits(
    predictor: KerasPredictor, heads: Sequence[str], source: FaceSource
) -> dict[str, Floats]:
    """Raw logits (N, classes) of every output of ``predictor``, called ``heads``."""
    parts: dict[str, list[Floats]] = {name: [] for name in heads}
    for start in range(0, len(source), evaluate.CHUNK):
        faces = source.load(np.arange(start, min(start + evaluate.CHUNK, len(source))))
        for name, scores in _logits(predictor, heads, faces).items():
            parts[name].append(scores)
    return {name: np.concatenate(scores) for name, scores in parts.items()}


def training_logits(
    predictor: KerasPredictor, heads: Sequence[str], source: FaceSource
) -> dict[str, Floats]:
    """As :func:`head_logits` for at most :data:`LEARNT_FACES` faces, spread over ``source``."""
    return _logits(predictor, heads, spread(source, LEARNT_FACES))


def _logits(
    predictor: KerasPredictor, heads: Sequence[str], faces: NDArray[np.uint8]
) -> dict[str, Floats]:
    scores = predictor.predict_logits(as_batch(faces))
    return {name: scores[head] for name, head in zip(heads, predictor.heads, strict=True)}


def majority(val: FaceSource) -> tuple[NDArray[np.bool_], Ints]:
    """Mask of the faces with a FER+ majority, and that majority.

    Raises:
        UsageError: there are no votes.
    """
    if val.votes is None or not val.votes.any():
        raise UsageError("calibrating a head trained on votes needs --votes")
    voted = np.asarray(val.votes.any(axis=1))
    return voted, val.votes[voted].argmax(axis=1)


def learnt_prior(logits: Floats) -> Doubles:
    """(classes,) the mean probabilities; at least MIN_LEARNT for classes never predicted."""
    mean = np.maximum(softmax(logits).mean(axis=0, dtype=np.float64), MIN_LEARNT)
    return np.asarray(mean / mean.sum())


def level_prior(learnt: Doubles, level_share: float = LEVEL_SHARE) -> Doubles:
    """What is left of ``learnt`` (classes,) when :func:`removed_prior` is divided out."""
    left = learnt / removed_prior(learnt, level_share)
    return np.asarray(left / left.sum())


def removed_prior(learnt: Doubles, level_share: float) -> Doubles:
    """(classes,) ``learnt``, mixed with ``level_share`` of a uniform prior."""
    return (1 - level_share) * learnt + level_share / len(learnt)


def calibrate(
    training: Mapping[str, Floats],
    logits: Mapping[str, Floats],
    val: FaceSource,
    classes: tuple[str, ...],
    *,
    head_blend: float = HEAD_BLEND,
    level_share: float = LEVEL_SHARE,
    prior: Prior | None = "level",
) -> Calibration:
    """Fit the learnt prior and the temperatures.

    The default output is fitted to the FER+ majority, or to the labels if the network has no
    ferplus head; faces weigh as its prior says. The ``fer2013`` output of a network with two heads
    has a temperature and class offsets fitted to the labels, whose frequencies are its prior.

    Args:
        training: logits by head, from :func:`training_logits`.
        logits: of the faces of ``val``, from :func:`head_logits`.
        val: the faces to fit on.
        classes: names of the classes.
        head_blend: share of the ferplus head in the default output.
        level_share: share of the uniform prior in the removed one.
        prior: for which the default output holds; ``None`` for the learnt one.

    Raises:
        UsageError: a ferplus head, but no votes; an unknown prior, or shares out of range.
    """
    learnt = learnt_prior(blended(training, head_blend))
    level = level_prior(learnt, level_share)
    removed = removed_prior(learnt, 1.0 if prior is None else level_share)
    left = np.asarray(learnt / removed / (learnt / removed).sum())
    own = left if prior is None else prior_shares(prior, classes, tuple(level))
    judged: NDArray[np.bool_] | slice = slice(None)
    labels = val.labels
    if FERPLUS in logits:
        judged, labels = majority(val)
    mixed = blended(logits, head_blend)[judged] - np.log(removed).astype(np.float32)
    temperature = fit_temperature(mixed, labels, face_weights(labels, left))
    offsets = -np.log(removed) / temperature + np.log(own / left)
    found = Calibration(
        {DEFAULT_OUTPUT: temperature},
        head_blend,
        # Softmax ignores a constant; without it, equal offsets vanish.
        {DEFAULT_OUTPUT: np.asarray(offsets - offsets.min(), np.float32)},
        {DEFAULT_OUTPUT: own},
        level,
    )
    if len(logits) == 1:
        return found
    equal = np.full(len(val), 1 / len(val))
    temperature, fitted = fit_offsets(logits[FER2013], val.labels, equal)
    counts = np.bincount(val.labels, minlength=len(classes)) + 1.0
    return replace(
        found,
        temperatures={**found.temperatures, FER2013: temperature},
        offsets={**found.offsets, FER2013: fitted},
        priors={**found.priors, FER2013: counts / counts.sum()},
    )


def probability_model(network: keras.Model, calibration: Calibration) -> keras.Model:
    """``network`` with calibrated softmax outputs.

    The output is ``probabilities``; with two heads, ``probabilities`` (the blend) and ``fer2013``;
    with a likeness also ``likeness``.
    """
    import keras
    from keras import layers as L

    # Called as one layer, so that its inner names cannot clash with those of the new operations.
    inputs = keras.Input(network.input_shape[1:], name=INPUT)
    parts = dict(zip(network.output_names, network.outputs, strict=True))
    if calibration.likeness is not None:
        parts[LIKENESS] = feature_tensor(network)
    raw = keras.Model(network.inputs, parts)(inputs)
    features = raw.pop(LIKENESS, None)
    outputs = {name: L.Softmax(name=name)(z) for name, z in calibration.logits(raw).items()}
    return keras.Model(inputs, outputs | _likeness(features, calibration))


def merged_heads(network: keras.Model, calibration: Calibration) -> keras.Model:
    """The function of :func:`probability_model` with the calibration merged into the head weights.

    Both are linear; merging removes half of the small operations at the end of the graph, whose
    time is mostly call overhead.
    """
    import keras
    from keras import layers as L

    dense = _head_layers(network)
    kernels, biases = (
        {name: np.asarray(layer.get_weights()[i]) for name, layer in dense.items()} for i in (0, 1)
    )
    scaled, shifted = calibration.scaled(kernels), calibration.logits(biases)
    features = keras.Model(network.inputs, feature_tensor(network))
    inputs = keras.Input(network.input_shape[1:], name=INPUT)
    feature_map = features(inputs)
    outputs = {}
    for name, kernel in scaled.items():
        head = L.Dense(kernel.shape[1], name=f"{name}_logits")
        outputs[name] = L.Softmax(name=name)(head(feature_map))
        head.set_weights([kernel, shifted[name]])
    return keras.Model(inputs, outputs | _likeness(feature_map, calibration))


def feature_tensor(network: keras.Model) -> Any:
    """The tensor (N, features) that the heads of ``network`` share."""
    return next(iter(_head_layers(network).values())).input


def _likeness(features: Any, calibration: Calibration) -> dict[str, Any]:
    if calibration.likeness is None:
        return {}
    import keras

    kernel, bias = calibration.likeness
    head = keras.layers.Dense(1, name=LIKENESS)
    output = head(features)
    head.set_weights([kernel[:, None], np.array([bias], np.float32)])
    return {LIKENESS: output}


def _head_layers(network: keras.Model) -> dict[str, Any]:
    """The dense layer that computes each output, by the output's name."""
    names = list(network.output_names)
    return {name: next(x for x in network.layers if _feeds(x, network, name)) for name in names}


def _feeds(layer: Any, network: keras.Model, output: str) -> bool:
    """Whether ``layer`` is the dense layer that computes ``output``."""
    import keras

    tensor = network.outputs[list(network.output_names).index(output)]
    return isinstance(layer, keras.layers.Dense) and layer.output is tensor
