"""The run folder: what a training run writes, epoch by epoch, and what a resume reads back."""

from __future__ import annotations

import csv
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
from tqdm import tqdm

# What a checkpoint may hold beside Keras's own classes: loading needs them registered.
from fastfer.errors import InputError, ModelError, UsageError
from training.common.stopping import nan_is_worst

CONFIG, LOG = "config.json", "log.csv"
SKIPPED, DUPLICATES = "skipped.txt", "duplicates.txt"
LAST, BEST = "last.keras", "best.keras"
WATCHED = "val_loss"
# Inside last.keras, which is a zip: weights and state are replaced together or not at all.
STATE = "run.json"


def write_json(path: Path, value: Any) -> None:
    """Written beside and renamed, so that a reader never sees half a file."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """A line each; no file where there are none, also none of an earlier start of the run."""
    if lines:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; is {path.parent} a run folder?") from None


def read_state(folder: Path) -> dict[str, Any] | None:
    """How far the run in ``folder`` has come: epoch, log, callbacks; None before its first save."""
    path = folder / LAST
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            state: dict[str, Any] = json.loads(archive.read(STATE))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as e:
        raise InputError(f"{path}: not the checkpoint of a run ({e})") from None
    return state


def checkpoint_of(folder: Path) -> Path:
    """The Keras file of the run in ``folder``: its best, or its last epoch where none was best,
    which is told on one line of the error output.

    Raises:
        InputError: no epoch of the run has ended, or it is no run folder.
    """
    if (folder / BEST).exists():
        return folder / BEST
    state = read_state(folder)
    if state is None:
        raise InputError(f"{folder}: neither {BEST} nor {LAST} in it; give a run folder or a file")
    last = folder / LAST
    if not state["epoch"]:
        raise InputError(
            f"{folder}: stopped before its first epoch ended, so that there is no {BEST}. Go on "
            f"with it by --resume, or name {last}, the weights that it began with"
        )
    print(f"{folder}: no {BEST}; takes {LAST}, epoch {state['epoch']}", file=sys.stderr)
    return last


def load_network(path: Path, *, compile: bool = False) -> keras.Model:
    """A Keras file, or that of a run folder (by :func:`checkpoint_of`); with ``compile``, its
    optimizer and loss as well.

    Raises:
        InputError: there is no such file.
        ModelError: the file is not a network of Keras 3.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir():
        path = checkpoint_of(path)
    try:
        return keras.saving.load_model(path, compile=compile)
    except (ValueError, OSError, TypeError, KeyError) as e:
        reason = str(e).strip().splitlines()[:1]
        raise ModelError(f"{path}: not a readable Keras model: {''.join(reason)}") from e


def take_weights(model: keras.Model, source: keras.Model, name: str) -> None:
    """Give ``model`` the weights of those layers of ``source`` that have the same shapes in the
    same order; ``name`` tells where they come from.

    Raises:
        UsageError: there are none.
    """
    own, given = ([layer for layer in m.layers if layer.weights] for m in (model, source))
    shapes, others = ([_shapes(layer) for layer in net] for net in (own, given))
    taken = 0
    for block in SequenceMatcher(None, shapes, others, autojunk=False).get_matching_blocks():
        for i in range(block.size):
            own[block.a + i].set_weights(given[block.b + i].get_weights())
        taken += block.size
    if not taken:
        raise UsageError(f"{name}: not the weights of this network: no layer has the same shape")
    if taken < len(own):
        print(f"{taken} of {len(own)} layers begin with the weights of {name}, the others anew")


def _shapes(layer: keras.Layer) -> tuple[tuple[int, ...], ...]:
    """Of its weights; of a normalisation, which means nothing without what it normalises, also of
    that layer's."""
    shapes = tuple(tuple(w.shape) for w in layer.weights)
    if isinstance(layer, keras.layers.BatchNormalization):
        for node in layer._inbound_nodes[0].parent_nodes:
            shapes += tuple(tuple(w.shape) for w in node.operation.weights)
    return shapes


def environment() -> dict[str, Any]:
    """Versions, backend and git revision, to find out later what a run ran on."""
    versions = {"python": platform.python_version()}
    for package in ("fastfer", "keras", keras.backend.backend(), "numpy", "opencv-python"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "git": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "backend": keras.backend.backend(),
        "versions": versions,
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
    }


def _git(*arguments: str) -> str:
    root = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def best_of_finished(folder: Path, epochs: int) -> Path:
    """The best checkpoint of a run that has ended after ``epochs``.

    Raises:
        ModelError: there is none, because no epoch had a finite validation loss.
    """
    path = folder / BEST
    if not path.exists():
        raise ModelError(
            f"{folder}: {WATCHED} was not finite after any of {epochs} epochs, so that there is no "
            f"{BEST}; {LAST} holds the last epoch. Start again with a lower --learning-rate or "
            "--precision float32."
        )
    return path


class RunKeeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes checkpoints, state and log after every epoch, and brings them back on resume.

    It stands last in the list of callbacks: what it saves includes what the others did, and what it
    restores is not reset by them.
    """

    def __init__(
        self,
        folder: Path,
        epochs: int,
        seed: int,
        stateful: Sequence[keras.callbacks.Callback],
        state: dict[str, Any] | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        """``stateful`` are the callbacks whose counters a resumed run needs."""
        super().__init__()
        self._folder = folder
        self._epochs = epochs
        self._seed = seed
        self._stateful = stateful
        self._state: dict[str, Any] = state or {"epoch": 0, "log": [], "callbacks": {}}
        self._say = say
        self._bar: tqdm[Any] | None = None

    @property
    def log(self) -> list[dict[str, float]]:
        """One row of figures for every finished epoch."""
        rows: list[dict[str, float]] = self._state["log"]
        return rows

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        for callback in self._stateful:
            saved = self._state["callbacks"].get(type(callback).__name__, {})
            for name, value in saved.items():
                setattr(callback, name, nan_is_worst(value))
        if not self._state["epoch"]:
            self._save(best=False)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._started = time.perf_counter()
        # Dropout draws from generators that a checkpoint does not hold: PyTorch's own, or one in
        # each layer.
        keras.utils.set_random_seed((self._seed * 1000 + epoch) % 2**32)
        for number, layer in enumerate(self.model._flatten_layers()):
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                generator.state.assign([self._seed * 1000 + number, epoch])
        self._bar = tqdm(
            total=self.params.get("steps"), desc=f"epoch {epoch + 1}/{self._epochs}",
            leave=False, disable=None, unit="batch",
        )  # fmt: skip

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self._bar is not None:
            self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self._bar is not None:
            self._bar.close()
        seconds = time.perf_counter() - self._started
        row = {"epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}}
        if "learning_rate" not in row:  # Keras tells that of the plateau alone.
            row["learning_rate"] = float(
                keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
            )
        row["seconds"] = round(seconds, 1)
        if not math.isfinite(row["loss"]):
            raise ModelError(
                f"the loss is {row['loss']} after epoch {epoch + 1}: the network has diverged. "
                "Start again with a lower --learning-rate or --precision float32."
            )
        best = nan_is_worst(row[WATCHED]) < min(
            (nan_is_worst(r[WATCHED]) for r in self.log), default=math.inf
        )
        self.log.append(row)
        self._state |= {
            "epoch": epoch + 1,
            "stopped": bool(self.model.stop_training),
            "callbacks": {type(c).__name__: _counters(c) for c in self._stateful},
        }
        self._save(best)
        left = seconds * (self._epochs - epoch - 1) / 60
        figures = "  ".join(
            f"{k} {v:.4f}" for k, v in row.items() if k not in ("epoch", "seconds", "learning_rate")
        )
        self._say(
            f"epoch {epoch + 1}/{self._epochs}  {figures}  {seconds:.0f} s, {left:.0f} min left"
        )
        if self._state["stopped"]:
            self._say(f"stopped early: {WATCHED} has not fallen for long; see --patience")

    def _save(self, best: bool) -> None:
        """Every file is written beside and renamed, so that an interruption harms none."""
        part = self._folder / "part.keras"
        self.model.save(part)
        with zipfile.ZipFile(part, "a") as archive:
            archive.writestr(STATE, json.dumps(self._state))
        if best:
            copy = self._folder / "part.best.keras"
            shutil.copyfile(part, copy)
            copy.replace(self._folder / BEST)
        part.replace(self._folder / LAST)
        if self.log:
            # A figure may first appear in a later epoch (a schedule's learning rate, say).
            columns = list(dict.fromkeys(k for row in self.log for k in row))
            table = self._folder / (LOG + ".part")
            with table.open("w", newline="", encoding="utf-8") as f:
                writer = csv.DictWriter(f, columns)
                writer.writeheader()
                writer.writerows(self.log)
            table.replace(self._folder / LOG)


def _counters(callback: keras.callbacks.Callback) -> dict[str, float]:
    """What early stopping and plateau remember from epoch to epoch."""
    names = ("wait", "best", "cooldown_counter", "best_epoch")
    found = {name: getattr(callback, name, None) for name in names}
    return {k: v if isinstance(v, int) else float(v) for k, v in found.items() if v is not None}
