"""From a network's logits to probabilities that can be believed: temperatures, the blend of two
heads, and offsets of the classes for photos."""

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
from training.expression.batches import CROWD, FER2013
from training.expression.data import FaceSource, as_batch
from training.expression.metrics import fit_offsets, fit_temperature
from training.expression.predictors import DEFAULT_OUTPUT, Floats, KerasPredictor
from training.expression.robustness import WILD_CROPS, read_wild

INPUT = "faces"
# Weight of all photos where they help to calibrate; the rest is that of the validation faces.
PHOTOS_SHARE = 0.15
# Raw scores (N, classes) of every head, by what it learnt from, and the classes (N,).
LabelledLogits = tuple[dict[str, Floats], NDArray[np.int64]]


@dataclass(frozen=True)
class Calibration:
    """What comes between a network's raw scores and the softmax of its outputs."""

    temperatures: Mapping[str, float]
    """Of the default output, and, where there are two heads, of each."""
    crowd_share: float
    """Of the votes head in the default output."""
    offsets: Mapping[str, Floats]
    """(classes,) added to the logits of an output, by its name."""

    def logits(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The logits of every output, from the raw scores of all heads."""
        return {name: z + self.offsets[name] for name, z in self.scaled(raw).items()}

    def scaled(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The same without the offsets: what is linear in the raw scores."""
        scaled = {DEFAULT_OUTPUT: self.blended(raw)}
        if len(raw) > 1:
            scaled[FER2013] = raw[FER2013] / self.temperatures[FER2013]
        return scaled

    def blended(self, raw: Mapping[str, Any]) -> Any:
        """Those of the default output.

        Two heads are blended by their logits, a logarithmic opinion pool. Against the mean of
        probabilities it was as accurate on FER+ and photos, and its calibration is one temperature.
        """
        if len(raw) == 1:
            mixed = next(iter(raw.values()))
        else:
            crowd, labels = (raw[name] / self.temperatures[name] for name in (CROWD, FER2013))
            mixed = self.crowd_share * crowd + (1 - self.crowd_share) * labels
        return mixed / self.temperatures[DEFAULT_OUTPUT]


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


def photo_logits(
    predictor: KerasPredictor, learnt: Sequence[str], path: Path
) -> dict[str, LabelledLogits]:
    """Raw scores of the labelled photos in ``path``, by what each crop shows; the file is that of
    ``training.expression.robustness --wild``."""
    photos = read_wild(path)
    heads = list(zip(learnt, predictor.heads, strict=True))
    return {
        about: (
            {name: predictor.logits(photos[crop], head) for name, head in heads},
            photos["labels"],
        )
        for crop, about in WILD_CROPS.items()
    }


def calibrate(
    logits: dict[str, Floats],
    val: FaceSource,
    crowd_share: float,
    photos: Sequence[LabelledLogits] = (),
) -> Calibration:
    """Fit temperatures: that of the default output, and with two heads those of the heads.

    Each head's is fitted to what it learnt from, the blend's to the crowd's majority. Two heads are
    blended by their logits, each over its own temperature. The output of the labels head beside it
    has an offset for each class, too: whoever is taught by softened labels and by votes tells some
    classes less often than the labels do. With ``photos`` the default output has offsets as well,
    fitted to ``val`` and to them: FER-2013 was gathered by searching for emotions, so they are not
    as frequent there as in other photos. A photo's weight falls with the root of how frequent its
    class is, else the rare ones would not be told at all.

    Args:
        logits: of the faces of ``val``, from :func:`head_logits`.
        val: the faces to fit on.
        crowd_share: of the votes head in the blend.
        photos: sets of other faces with labels.
    """
    if CROWD in logits and (val.votes is None or not val.votes.any()):
        raise UsageError("a head that learnt from votes is calibrated on them: give --votes")
    classes = next(iter(logits.values())).shape[1]

    def truth(name: str) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which faces of ``val`` judge what was learnt from ``name``, and their classes."""
        if name != CROWD:
            return np.ones(len(val), bool), val.labels
        assert val.votes is not None
        voted = np.asarray(val.votes.any(axis=1))
        return voted, val.votes[voted].argmax(axis=1)

    def fit(scores: Floats, name: str) -> float:
        judged, labels = truth(name)
        return fit_temperature(scores[judged], np.eye(classes, dtype=np.float32)[labels])

    own = {name: fit(scores, name) for name, scores in logits.items()}
    told_by = CROWD if CROWD in own else FER2013
    offsets = {DEFAULT_OUTPUT: np.zeros(classes, np.float32)}
    if len(own) > 1:
        alike = np.full(len(val), 1 / len(val))
        own[FER2013], offsets[FER2013] = fit_offsets(logits[FER2013], val.labels, alike)
    alone = Calibration({**own, DEFAULT_OUTPUT: 1.0}, crowd_share, offsets)
    mixed = alone.blended(logits)
    if not photos:
        temperature = fit(mixed, told_by)
    else:
        judged, labels = truth(told_by)
        asked = [(alone.blended(scores), shown) for scores, shown in photos]
        temperature, offsets[DEFAULT_OUTPUT] = _fit_with_photos((mixed[judged], labels), asked)
    heads = own if len(own) > 1 else {}
    return Calibration({DEFAULT_OUTPUT: temperature, **heads}, crowd_share, offsets)


def _fit_with_photos(
    val: tuple[Floats, NDArray[np.int64]], photos: Sequence[tuple[Floats, NDArray[np.int64]]]
) -> tuple[float, Floats]:
    """Temperature and offsets for the logits and classes of both."""
    weights = [np.full(len(val[1]), (1 - PHOTOS_SHARE) / len(val[1]))]
    for _, classes in photos:
        rarity = np.bincount(classes)[classes] ** -0.5
        weights.append(PHOTOS_SHARE / len(photos) * rarity / rarity.sum())
    logits, labels = zip(val, *photos, strict=True)
    return fit_offsets(np.concatenate(logits), np.concatenate(labels), np.concatenate(weights))


def probability_model(network: keras.Model, calibration: Calibration) -> keras.Model:
    """``network`` with calibrated softmax outputs.

    One head gives ``probabilities``. Two heads give ``probabilities``, the blend of both, and
    ``fer2013``.
    """
    from keras import layers as L

    # Called as one layer, so that the names inside it cannot meet those of the operations after it.
    inputs = keras.Input(network.input_shape[1:], name=INPUT)
    raw = network(inputs)
    heads = raw if isinstance(raw, dict) else {DEFAULT_OUTPUT: raw}
    logits = calibration.logits(heads)
    return keras.Model(inputs, {name: L.Softmax(name=name)(z) for name, z in logits.items()})


def merged_heads(network: keras.Model, calibration: Calibration) -> keras.Model:
    """What :func:`probability_model` computes, with all of it in the weights.

    It is linear in the logits, as the logits are in the features; half of the small operations
    at the end of the graph, each of which costs as much as its call, are gone.
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
    seen = features(inputs)
    outputs = {}
    for name, kernel in scaled.items():
        head = L.Dense(kernel.shape[1], name=f"{name}_logits")
        outputs[name] = L.Softmax(name=name)(head(seen))
        head.set_weights([kernel, shifted[name]])
    return keras.Model(inputs, outputs)


def _feeds(layer: Any, network: keras.Model, output: str) -> bool:
    """Whether ``layer`` is the dense layer that gives ``output``."""
    tensor = network.outputs[list(network.output_names).index(output)]
    return isinstance(layer, keras.layers.Dense) and layer.output is tensor
