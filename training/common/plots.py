"""Plots of training runs and detectors; drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # Importing this module selects the backend for all plots of training.
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fastfer.errors import UsageError
from fastfer.outputs.base import write_error

DPI = 110
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".pdf", ".svg")


def check_suffix(option: str, path: Path) -> None:
    """UsageError unless ``path``, the value of ``option``, has a suffix that Matplotlib writes.

    Matplotlib would append .png to a name without a suffix.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{option} {path}: the name must end in one of {', '.join(SUFFIXES)}")


def curves(log: Sequence[Mapping[str, float]], path: Path) -> None:
    """Loss, accuracy and learning rate by epoch."""
    if not log:
        return
    epochs = [row["epoch"] for row in log]
    groups = [("loss", "loss"), ("accuracy", "accuracy"), ("learning_rate", "learning rate")]
    shown = [(part, title) for part, title in groups if any(part in k for k in log[-1])]
    figure, axes = plt.subplots(1, len(shown), figsize=(4.6 * len(shown), 3.6), squeeze=False)
    for axis, (part, title) in zip(axes[0], shown, strict=True):
        for key in log[-1]:
            if part in key:
                style = "-" if key.startswith("val_") else "--"
                figures = [row.get(key, np.nan) for row in log]
                # Markers, because a line of one epoch is invisible.
                axis.plot(epochs, figures, style, marker="o", markersize=2.5, label=key)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.set_title(title)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
        if part == "learning_rate":
            axis.set_yscale("log")
    save(figure, path)


def recall_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]], path: Path
) -> None:
    """By detector name: recall against false alarms per photo, and precision against recall."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for name, (alarms, recall, precision) in curves.items():
        left.plot(alarms, recall, label=name)
        right.plot(recall, precision, label=name)
    left.axvline(0.1, color="gray", linestyle=":")
    left.set_xlim(0, 0.6)
    left.set_xlabel("false alarms per photo")
    left.set_ylabel("recall")
    right.set_xlabel("recall")
    right.set_ylabel("precision")
    for axis in (left, right):
        axis.set_ylim(0, 1.01)
        axis.grid(alpha=0.3)
    left.legend(fontsize=7)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path``, whose folder is created, and close it.

    Raises:
        OutputError: it cannot be written; a file that was there before remains.
    """
    part = path.with_name(f"part.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(part, dpi=DPI, bbox_inches="tight")
        part.replace(path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise write_error(path, e) from e
    finally:
        plt.close(figure)
