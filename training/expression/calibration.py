"""Calibration: softmax temperatures, the blend of two heads, and class offsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fastfer.errors import UsageError
from training.expression import evaluate
from training.expression.batches import FER2013, FERPLUS
from training.expression.face_sources import FaceSource, as_batch
from training.expression.metrics import fit_offsets, fit_temperature
from training.expression.predictors import DEFAULT_OUTPUT, Floats, KerasPredictor
from training.expression.robustness import PHOTO_CROPS, read_photos

INPUT = "faces"
# Total weight of the photos in the calibration; the validation faces have the rest.
PHOTOS_SHARE = 0.15
# Logits (N, classes) by head, and labels (N,).
LabelledLogits = tuple[dict[str, Floats], NDArray[np.int64]]


@dataclass(frozen=True)
class Calibration:
    """The affine map from the logits of a network to those of its calibrated outputs."""

    temperatures: Mapping[str, float]
    """Of the default output, and with two heads of each head."""
    head_blend: float
    """Share of the ferplus head in the default output of a network with two heads."""
    offsets: Mapping[str, Floats]
    """(classes,) added to the logits of each output, by its name."""

    def logits(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Logits of every output, from the raw logits of all heads."""
        return {name: z + self.offsets[name] for name, z in self.scaled(raw).items()}

    def scaled(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The same without offsets: the linear part."""
        scaled = {DEFAULT_OUTPUT: self.blended(raw)}
        if len(raw) > 1:
            scaled[FER2013] = raw[FER2013] / self.temperatures[FER2013]
        return scaled

    def blended(self, raw: Mapping[str, Any]) -> Any:
        """Logits of the default output, without offsets.

        Two heads are blended by their logits, a logarithmic opinion pool: as accurate as the mean
        of probabilities on FER+ and photos, and calibrated by a single temperature.
        """
        if len(raw) == 1:
            mixed = next(iter(raw.values()))
        else:
            votes, labels = (raw[name] / self.temperatures[name] for name in (FERPLUS, FER2013))
            mixed = self.head_blend * votes + (1 - self.head_blend) * labels
        return mixed / self.temperatures[DEFAULT_OUTPUT]


def head_logits(
    predictor: KerasPredictor, heads: Sequence[str], source: FaceSource
) -> dict[str, Floats]:
    """Raw logits (N, classes) of every output of ``predictor``, called ``heads``."""
    parts: dict[str, list[Floats]] = {name: [] for name in heads}
    for start in range(0, len(source), evaluate.CHUNK):
        faces = as_batch(source.load(np.arange(start, min(start + evaluate.CHUNK, len(source)))))
        for name, head in zip(heads, predictor.heads, strict=True):
            parts[name].append(predictor.logits(faces, head))
    return {name: np.concatenate(scores) for name, scores in parts.items()}


def photo_logits(
    predictor: KerasPredictor, heads: Sequence[str], path: Path
) -> dict[str, LabelledLogits]:
    """Raw logits and labels of the photos in ``path``, by kind of crop; see
    :func:`training.expression.robustness.read_photos`."""
    photos = read_photos(path)
    outputs = list(zip(heads, predictor.heads, strict=True))
    return {
        about: (
            {name: predictor.logits(photos[crop], head) for name, head in outputs},
            photos["labels"],
        )
        for crop, about in PHOTO_CROPS.items()
    }


def calibrate(
    logits: dict[str, Floats],
    val: FaceSource,
    head_blend: float,
    photos: Sequence[LabelledLogits] = (),
) -> Calibration:
    """Fit temperatures, and offsets where they apply.

    Each head's temperature is fitted to its own targets, that of the blend to the FER+ majority.
    The ``fer2013`` output of a network with two heads also has class offsets, because smoothed
    labels and votes shift the class frequencies. With ``photos`` the default output has offsets
    too, fitted to ``val`` and the photos: the emotions of FER-2013, which was collected by
    searching for them, are not as frequent as in other photos. A photo's weight falls with the
    square root of the frequency of its class, so that rare classes count.

    Args:
        logits: of the faces of ``val``, from :func:`head_logits`.
        val: the faces to fit on.
        head_blend: share of the ferplus head in the default output.
        photos: logits and labels of other faces.

    Raises:
        UsageError: a ferplus head, but no votes.
    """
    if FERPLUS in logits and (val.votes is None or not val.votes.any()):
        raise UsageError("calibrating a head trained on votes needs --votes")
    classes = next(iter(logits.values())).shape[1]

    def truth(name: str) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Mask of the faces of ``val`` that head ``name`` is fitted to, and their labels."""
        if name != FERPLUS:
            return np.ones(len(val), bool), val.labels
        assert val.votes is not None
        voted = np.asarray(val.votes.any(axis=1))
        return voted, val.votes[voted].argmax(axis=1)

    def fit(scores: Floats, name: str) -> float:
        judged, labels = truth(name)
        return fit_temperature(scores[judged], np.eye(classes, dtype=np.float32)[labels])

    own = {name: fit(scores, name) for name, scores in logits.items()}
    reference = FERPLUS if FERPLUS in own else FER2013
    offsets = {DEFAULT_OUTPUT: np.zeros(classes, np.float32)}
    if len(own) > 1:
        equal = np.full(len(val), 1 / len(val))
        own[FER2013], offsets[FER2013] = fit_offsets(logits[FER2013], val.labels, equal)
    unscaled = Calibration({**own, DEFAULT_OUTPUT: 1.0}, head_blend, offsets)
    mixed = unscaled.blended(logits)
    if not photos:
        temperature = fit(mixed, reference)
    else:
        judged, labels = truth(reference)
        blended = [(unscaled.blended(scores), shown) for scores, shown in photos]
        temperature, offsets[DEFAULT_OUTPUT] = _fit_with_photos((mixed[judged], labels), blended)
    heads = own if len(own) > 1 else {}
    return Calibration({DEFAULT_OUTPUT: temperature, **heads}, head_blend, offsets)


def _fit_with_photos(
    val: tuple[Floats, NDArray[np.int64]], photos: Sequence[tuple[Floats, NDArray[np.int64]]]
) -> tuple[float, Floats]:
    """Temperature and offsets fitted to the logits and labels of both."""
    weights = [np.full(len(val[1]), (1 - PHOTOS_SHARE) / len(val[1]))]
    for _, classes in photos:
        rarity = np.bincount(classes)[classes] ** -0.5
        weights.append(PHOTOS_SHARE / len(photos) * rarity / rarity.sum())
    logits, labels = zip(val, *photos, strict=True)
    return fit_offsets(np.concatenate(logits), np.concatenate(labels), np.concatenate(weights))


def probability_model(network: keras.Model, calibration: Calibration) -> keras.Model:
    """``network`` with calibrated softmax outputs.

    The output is ``probabilities``; with two heads, ``probabilities`` (the blend) and ``fer2013``.
    """
    from keras import layers as L

    # Called as one layer, so that its inner names cannot clash with those of the new operations.
    inputs = keras.Input(network.input_shape[1:], name=INPUT)
    raw = network(inputs)
    heads = raw if isinstance(raw, dict) else {DEFAULT_OUTPUT: raw}
    logits = calibration.logits(heads)
    return keras.Model(inputs, {name: L.Softmax(name=name)(z) for name, z in logits.items()})


def merged_heads(network: keras.Model, calibration: Calibration) -> keras.Model:
    """The function of :func:`probability_model` with the calibration merged into the head weights.

    Both are linear; merging removes half of the small operations at the end of the graph, whose
    time is mostly call overhead.
    """
    from keras import layers as L

    names = list(network.output_names)
    dense = [next(x for x in network.layers if _feeds(x, network, name)) for name in names]
    kernels, biases = (
        {name: np.asarray(layer.get_weights()[i]) for name, layer in zip(names, dense, strict=True)}
        for i in (0, 1)
    )
    scaled, shifted = calibration.scaled(kernels), calibration.logits(biases)
    features = keras.Model(network.inputs, dense[0].input)
    inputs = keras.Input(network.input_shape[1:], name=INPUT)
    feature_map = features(inputs)
    outputs = {}
    for name, kernel in scaled.items():
        head = L.Dense(kernel.shape[1], name=f"{name}_logits")
        outputs[name] = L.Softmax(name=name)(head(feature_map))
        head.set_weights([kernel, shifted[name]])
    return keras.Model(inputs, outputs)


def _feeds(layer: Any, network: keras.Model, output: str) -> bool:
    """Whether ``layer`` is the dense layer that computes ``output``."""
    tensor = network.outputs[list(network.output_names).index(output)]
    return isinstance(layer, keras.layers.Dense) and layer.output is tensor
