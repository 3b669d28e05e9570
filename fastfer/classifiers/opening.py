"""Open the classifier that a model file needs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fastfer.classifiers.base import Classifier
from fastfer.classifiers.contract import PREFIX, Head
from fastfer.classifiers.native import EmotionClassifier
from fastfer.errors import UsageError
from fastfer.inference.onnx_file import metadata
from fastfer.inference.onnx_session import read_model
from fastfer.labels import CONTEMPT

if TYPE_CHECKING:
    from fastfer.classifiers.custom import ModelSpec
    from fastfer.priors import Prior


def open_classifier(
    model: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    spec: ModelSpec | None = None,
    head: Head | None = None,
    prior: Prior | None = None,
) -> Classifier:
    """The bundled model, a model exported by fastfer's training, or any other expression network.

    Args:
        model: path of an ONNX file; ``None`` for the bundled model.
        threads: see :class:`EmotionClassifier`.
        spec: labels and pixel scaling of a model that has none in its metadata.
        head: see :class:`EmotionClassifier`.
        prior: see :class:`EmotionClassifier`.

    Raises:
        ModelError: the file cannot be used.
        UsageError: ``threads`` out of range, ``spec`` without ``model``, a ``head`` that the model
            lacks, or a ``prior`` that it cannot be reweighted to.
    """
    if model is None:
        if spec is not None:
            raise UsageError("a model spec needs a model file; the bundled model has metadata")
        return EmotionClassifier(None, threads, head, prior)
    if spec is None and PREFIX + "input_size" in metadata(read_model(Path(model))):
        return EmotionClassifier(model, threads, head, prior)
    if head is not None:
        raise UsageError(
            f"{model}: head={head!r} selects an output of a model exported by fastfer's training; "
            "this model has a single output",
            code="unknown_head",
        )
    if prior is not None:
        raise UsageError(
            f"{model}: a prior was given, but a model from elsewhere does not state its own",
            code="unknown_prior",
        )
    from fastfer.classifiers.custom import CustomClassifier

    return CustomClassifier(model, threads, spec)


def has_contempt(
    model: str | os.PathLike[str] | Classifier | None, spec: ModelSpec | None = None
) -> bool:
    """Whether the rows of a network will have that class, without loading it; see
    :func:`open_classifier`.

    Raises:
        ModelError: the file cannot be read.
    """
    if model is None:
        return False
    if isinstance(model, Classifier):
        return CONTEMPT in model.emotions
    if spec is not None and spec.labels is not None:
        labels = ",".join(spec.labels)
    else:
        labels = metadata(read_model(Path(model))).get(PREFIX + "labels", "")
    return CONTEMPT in labels.lower()
