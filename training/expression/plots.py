"""Plots of expression networks: data, evaluation, robustness; drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, ScalarFormatter
from numpy.typing import NDArray

from training.common.plots import save
from training.expression.augment import Augmentation
from training.expression.face_sources import SIDE, FaceSource, as_batch

# One more than Matplotlib has colours, so that pairs of both repeat late.
MARKERS = "osD^v<>Pp*X"

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def class_counts(sources: Mapping[str, FaceSource], classes: Sequence[str], path: Path) -> None:
    """Number of faces per class, one bar for each split."""
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    width = 0.8 / len(sources)
    for i, (name, source) in enumerate(sources.items()):
        counts = np.bincount(source.labels, minlength=len(classes))
        at = np.arange(len(classes)) + i * width - 0.4 + width / 2
        bars = axis.bar(at, counts, width, label=f"{name} ({len(source)})")
        axis.bar_label(bars, fontsize=6)
    axis.set_xticks(range(len(classes)), classes)
    axis.set_ylabel("faces")
    axis.legend()
    save(figure, path)


def confusion(table: Sequence[Sequence[int]], classes: Sequence[str], path: Path) -> None:
    """Confusion matrix: rows are true classes, colour and percentage are shares of the row."""
    counts = np.asarray(table, np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axis = plt.subplots(figsize=(5.6, 5))
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(shares.shape):
        colour = "white" if shares[i, j] > 0.55 else "black"
        text = f"{shares[i, j]:.0%}\n{counts[i, j]:.0f}"
        axis.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
    axis.set_xticks(range(len(classes)), classes, rotation=35, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    axis.set_title(f"accuracy {np.trace(counts) / max(counts.sum(), 1):.2%}")
    save(figure, path)


def reliability(
    confidence: Floats, accuracy: Floats, count: Ints, error: float, path: Path
) -> None:
    """Reliability diagram: accuracy by confidence; a calibrated model lies on the diagonal."""
    used = count > 0
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(4.6, 5), sharex=True, height_ratios=[3, 1], layout="constrained"
    )
    top.plot([0, 1], [0, 1], "--", color="gray", label="perfect")
    top.plot(confidence[used], accuracy[used], "o-", label="model")
    top.set_ylabel("accuracy")
    top.set_title(f"expected calibration error {error:.4f}")
    top.grid(alpha=0.3)
    top.legend()
    bottom.bar(confidence[used], count[used], width=0.05)
    bottom.set_xlabel("confidence")
    bottom.set_ylabel("faces")
    save(figure, path)


def accuracy_against_latency(reports: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """One point for each model: milliseconds per face at batch 8, and accuracy.

    The legend lies next to the axes, the most accurate model first: labels at the points would
    overlap for similar models.
    """
    figure, axis = plt.subplots(figsize=(6, 4))
    ranked = sorted(reports.items(), key=lambda item: -item[1]["accuracy"])
    for i, (name, report) in enumerate(ranked):
        axis.plot(
            report["ms_per_face"]["8"],
            100 * report["accuracy"],
            MARKERS[i % len(MARKERS)],
            color=f"C{i % 10}",
            markersize=8,
            alpha=0.7,
            linestyle="none",
            # The number comes first because Matplotlib hides labels that begin with an underscore.
            label=f"{i + 1}. {name} ({report['bytes'] / 1e6:.1f} MB)",
        )
    _scale_times(axis, [report["ms_per_face"]["8"] for report in reports.values()])
    axis.margins(0.1)
    axis.set_xlabel("ms per face, batch 8")
    axis.set_ylabel("accuracy, %")
    axis.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.02, 1), borderaxespad=0)
    save(figure, path)


def _scale_times(axis: Axes, times: Sequence[float]) -> None:
    """Logarithmic axis if times differ by more than 5, with few enough ticks to be legible."""
    apart = max(times) / max(min(times), 1e-9)
    if apart < 5:
        axis.xaxis.set_major_locator(MaxNLocator(6))
    else:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if apart < 200 else (1,)))
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def preview(source: FaceSource, augmentation: Augmentation, seed: int, path: Path) -> None:
    """One row for each of ten faces: the original, then eleven augmented versions."""
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(source), min(10, len(source)), replace=False))
    faces = source.load(chosen)
    columns = [as_batch(faces)[..., 0]]
    columns += [augmentation.mix(augmentation.apply(faces, rng), {}, rng)[0] for _ in range(11)]
    figure, axes = plt.subplots(
        len(chosen), len(columns), figsize=(len(columns) * 0.9, len(chosen) * 0.9), squeeze=False
    )
    for row in range(len(chosen)):
        for column, images in enumerate(columns):
            axes[row][column].imshow(images[row], cmap="gray", vmin=0, vmax=1)
            axes[row][column].set_axis_off()
    axes[0][0].set_title("original", fontsize=8)
    figure.subplots_adjust(wspace=0.04, hspace=0.04)
    save(figure, path)


def kept_shares(changes: Mapping[str, Mapping[str, float]], wanted: float, path: Path) -> None:
    """One bar per change of the faces: accuracy as a share of the clean accuracy."""
    names = list(changes)
    kept = [100 * changes[name]["kept"] for name in names]
    figure, axis = plt.subplots(figsize=(7, 0.36 * len(names) + 1))
    colours = ["tab:blue" if k >= 100 * wanted else "tab:orange" for k in kept]
    bars = axis.barh(range(len(names)), kept, color=colours)
    labels = [f"{100 * changes[name]['accuracy']:.1f} %" for name in names]
    axis.bar_label(bars, labels, padding=-38, fontsize=8, color="white")
    axis.axvline(100 * wanted, color="gray", linestyle="--", linewidth=1)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlim(0, 105)
    axis.set_xlabel("share of the clean accuracy, % (accuracy in the bar)")
    save(figure, path)


def changed_faces(rows: Mapping[str, Floats], path: Path) -> None:
    """The same faces under every change, one row each."""
    columns = max(len(images) for images in rows.values())
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(columns * 0.8, len(rows) * 0.8), squeeze=False
    )
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for axis, image in zip(line, images, strict=False):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        for axis in line:
            axis.set_axis_off()
        line[0].text(-4, SIDE / 2, name, ha="right", va="center", fontsize=8)
    figure.subplots_adjust(wspace=0.04, hspace=0.04)
    save(figure, path)


def mistakes(
    faces: Floats, probabilities: Floats, labels: Ints, classes: Sequence[str], path: Path
) -> None:
    """The forty most confident mistakes: true class, predicted class and its probability."""
    predicted, score = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-score[wrong], kind="stable")][:40]
    rows = max(-(-len(worst) // 8), 1)
    figure, axes = plt.subplots(rows, 8, figsize=(10, rows * 1.6), squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, i in zip(axes.flat, worst, strict=False):
        axis.imshow(faces[i].reshape(SIDE, SIDE), cmap="gray", vmin=0, vmax=1)
        axis.set_title(
            f"{classes[labels[i]]}\nnot {classes[predicted[i]]} {score[i]:.0%}", fontsize=7
        )
    figure.subplots_adjust(wspace=0.05, hspace=0.45)
    save(figure, path)
