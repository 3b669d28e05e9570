"""Targets of training and validation: labels, votes, smoothing, distillation, class weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastfer.errors import UsageError
from training.expression.attribute_weights import attribute_weights
from training.expression.batches import (
    OnlineDistillation,
    Targets,
    blend,
    label_targets,
)
from training.expression.config import ExpressionConfig
from training.expression.data import balanced_weights
from training.expression.distill import Teachers
from training.expression.face_sources import FaceSource
from training.expression.ferplus_targets import label_given_votes
from training.expression.heads import FER2013, FERPLUS
from training.expression.unlabelled import Joined, joined_targets


def make_targets(
    config: ExpressionConfig, train: FaceSource, val: FaceSource, classes: Sequence[str]
) -> tuple[Targets, Targets]:
    """Targets (N, classes) of each head, for the faces of ``train`` and of ``val``.

    Smoothing, teachers and class weights change those of ``train`` only.
    """
    n = len(classes)
    targets: Targets = {}
    val_targets: Targets = {}
    if config.targets in ("labels", "both"):
        targets[FER2013] = label_targets(train.labels, n, config.label_smoothing)
        if config.vote_smoothing:
            targets[FER2013] = _smooth_by_votes(targets[FER2013], train, config.vote_smoothing)
        val_targets[FER2013] = label_targets(val.labels, n)
    if config.targets in ("votes", "both"):
        if train.votes is None or val.votes is None:
            raise UsageError(f"--targets {config.targets}: the data has no votes")
        # A row of zeros (too few usable votes) adds nothing to the loss.
        targets[FERPLUS] = train.votes
        val_targets[FERPLUS] = val.votes
    if config.distill and not config.online_distillation:
        taught = Teachers(config.distill, classes).predict_all(train)
        targets = {
            name: blend(rows, taught[name], config.distill_share) for name, rows in targets.items()
        }
    weights = _face_weights(config, train, n)
    return {name: rows * weights for name, rows in targets.items()}, val_targets


def with_unlabelled(
    config: ExpressionConfig,
    train: FaceSource,
    targets: Targets,
    unlabelled: FaceSource,
    classes: Sequence[str],
) -> tuple[FaceSource, Targets]:
    """``train`` and its ``targets``, then ``unlabelled`` faces with the teachers' answers."""
    answers = Teachers(config.distill, classes).predict_all(unlabelled)
    share = config.distill_share if config.online_distillation else 0.0
    return Joined(train, unlabelled), joined_targets(targets, answers, share)


def online_distillation(
    config: ExpressionConfig, train: FaceSource, classes: Sequence[str], unlabelled: int = 0
) -> OnlineDistillation | None:
    """The teachers that run in every epoch, if the run has them; they leave the last ``unlabelled``
    faces alone."""
    if not config.online_distillation:
        return None
    # One thread each: the workers of the batches call them while the network trains.
    teachers = Teachers(config.distill, classes, threads=1)
    weights = _face_weights(config, train, len(classes))
    if unlabelled:
        weights = np.concatenate([weights, np.zeros((unlabelled, 1), np.float32)])
    return OnlineDistillation(teachers.predict, config.distill_share, weights)


def _face_weights(config: ExpressionConfig, train: FaceSource, classes: int) -> NDArray[np.float32]:
    """(N, 1) weight of each training face."""
    weights = np.ones(len(train), np.float32)
    if config.class_weight == "balanced":
        weights = balanced_weights(train, classes)[train.labels]
    if config.older_weight != 1 or config.male_weight != 1:
        weights = weights * attribute_weights(train, config.older_weight, config.male_weight)
    return weights[:, None]


def _smooth_by_votes(
    targets: NDArray[np.float32], train: FaceSource, amount: float
) -> NDArray[np.float32]:
    """Label rows, blended with the label distribution that the votes of each face predict."""
    if train.votes is None:
        raise UsageError("--vote-smoothing: the data has no votes")
    mixed = blend(targets, label_given_votes(train.votes, train.labels), amount)
    return np.where(train.votes.any(axis=1, keepdims=True), mixed, targets)
