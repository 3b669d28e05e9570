"""The run folder: the files that a training run writes after every epoch and a resume reads."""

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
import zlib
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from importlib import metadata
from pathlib import Path
from typing import Any, TypedDict

import keras
from tqdm import tqdm

# Imported so that Keras can load their classes from a checkpoint.
import training.common.layers
import training.common.schedules  # noqa: F401
from fastfer.errors import InputError, ModelError, UsageError
from fastfer.outputs.base import write_error
from training.common.stopping import nan_is_worst

CONFIG, LOG = "config.json", "log.csv"
SKIPPED, DUPLICATES = "skipped.txt", "duplicates.txt"
LAST, BEST = "last.keras", "best.keras"
# Temporary names of the last and the best checkpoint and of the log.
_PARTS = ("part.keras", "part.best.keras", "log.csv.part")
WATCHED = "val_loss"
# Inside last.keras, a zip, so that weights and state are replaced together or not at all.
STATE = "run.json"
# Seconds between two updates of curves.png at least; epochs of real data take longer.
CURVES_INTERVAL = 10.0


class State(TypedDict):
    """Progress of a run."""

    epoch: int
    """Number of finished epochs."""
    stopped: bool
    """Whether early stopping has ended the run."""
    log: list[dict[str, float]]
    callbacks: dict[str, dict[str, float]]
    """Counters of early stopping and of the plateau schedule, by class name."""


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write one line each; without lines, delete the file of an earlier start of the run."""
    if lines:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def read_config_json(folder: Path) -> dict[str, Any]:
    """The options in the ``config.json`` of a run.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file; is {folder} a run folder?") from None
    except ValueError as e:
        raise InputError(f"{path}: not the options of a run: {e}", code="damaged") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: not the options of a run", code="damaged")
    return values


def read_state(folder: Path) -> State | None:
    """The progress of the run in ``folder``; None before its first checkpoint."""
    path = folder / LAST
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            state: State = json.loads(archive.read(STATE))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as e:
        raise InputError(f"{path}: not the checkpoint of a run ({e})", code="damaged") from None
    if not isinstance(state, dict) or not State.__required_keys__ <= state.keys():
        raise InputError(f"{path}: not the checkpoint of a run", code="damaged")
    return state


def checkpoint_of(folder: Path) -> Path:
    """The Keras file of the run in ``folder``: the best epoch, or the last if there is no best,
    reported in one line on standard error.

    Raises:
        InputError: no epoch of the run is finished, or ``folder`` is not a run folder.
    """
    if (folder / BEST).exists():
        return folder / BEST
    state = read_state(folder)
    if state is None:
        raise InputError(f"{folder}: not a run folder: no {BEST} or {LAST} in it", code="not_found")
    last = folder / LAST
    if not state["epoch"]:
        raise InputError(
            f"{folder}: stopped during its first epoch, so there is no {BEST}; continue it with "
            f"--resume, or use {last}, its initial weights",
            code="not_found",
        )
    print(f"{folder}: no {BEST}; using {LAST}, epoch {state['epoch']}", file=sys.stderr)
    return last


def load_network(path: Path, *, compile: bool = False) -> keras.Model:
    """The network in a Keras file or run folder (see :func:`checkpoint_of`); with ``compile``, its
    optimizer and loss too.

    Raises:
        InputError: there is no such file.
        ModelError: the file is damaged, or not a Keras 3 network.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder", code="not_found")
    if path.is_dir():
        path = checkpoint_of(path)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        # Keras would report that there is no such file.
        raise ModelError(f"{path}: not a Keras model, or its end is missing; copy it again")
    try:
        return keras.saving.load_model(path, compile=compile)
    except Exception as e:  # Keras raises whatever the damage leads to.
        reason = str(e).strip().splitlines()[:1]
        raise ModelError(f"{path}: not a readable Keras model: {''.join(reason)}") from e


def take_weights(model: keras.Model, source: keras.Model, name: str) -> None:
    """Copy the weights of all layers of ``source`` that have the same shapes in the same order to
    ``model``; ``name`` names the source in messages.

    Raises:
        UsageError: no layer matches.
    """
    own, given = ([layer for layer in m.layers if layer.weights] for m in (model, source))
    shapes, others = ([_shapes(layer) for layer in net] for net in (own, given))
    taken = 0
    for block in SequenceMatcher(None, shapes, others, autojunk=False).get_matching_blocks():
        for i in range(block.size):
            own[block.a + i].set_weights(given[block.b + i].get_weights())
        taken += block.size
    if not taken:
        raise UsageError(f"{name}: no layer has the same shapes as in this network")
    if taken < len(own):
        print(f"loaded {taken} of {len(own)} layers from {name}; the rest are freshly initialised")


def _shapes(layer: keras.Layer) -> tuple[tuple[int, ...], ...]:
    """Shapes of a layer's weights, for a normalisation also those of the layer before it, whose
    statistics it holds."""
    shapes = tuple(tuple(w.shape) for w in layer.weights)
    if isinstance(layer, keras.layers.BatchNormalization):
        for node in layer._inbound_nodes[0].parent_nodes:
            shapes += tuple(tuple(w.shape) for w in node.operation.weights)
    return shapes


def environment() -> dict[str, Any]:
    """Versions, backend and git revision of this process."""
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
    """The best checkpoint of a run that ended after ``epochs``.

    Raises:
        ModelError: no epoch had a finite validation loss.
    """
    path = folder / BEST
    if not path.exists():
        raise ModelError(
            f"{folder}: {WATCHED} was not finite in any of {epochs} epochs, so there is no {BEST}; "
            f"{LAST} holds the last epoch. Lower --learning-rate or use --precision float32."
        )
    return path


class RunKeeper(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes checkpoint, state, log and curves after every epoch, and restores counters on resume.

    Must be the last callback: it saves what the others changed, and they must not reset what it
    restores.
    """

    def __init__(
        self,
        folder: Path,
        epochs: int,
        seed: int,
        stateful: Sequence[keras.callbacks.Callback],
        state: State | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        """``stateful`` are the callbacks whose counters a resumed run restores."""
        super().__init__()
        self._folder = folder
        self._epochs = epochs
        self._seed = seed
        self._stateful = stateful
        self._state: State = state or {"epoch": 0, "stopped": False, "log": [], "callbacks": {}}
        self._drawn = -math.inf
        self._say = say
        self._bar: tqdm[Any] | None = None

    @property
    def log(self) -> list[dict[str, float]]:
        """One row of metrics for every finished epoch."""
        return self._state["log"]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        for callback in self._stateful:
            saved = self._state["callbacks"].get(type(callback).__name__, {})
            for name, value in saved.items():
                setattr(callback, name, nan_is_worst(value))
        if not self._state["epoch"]:
            self._save(best=False)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._started = time.perf_counter()
        # Dropout uses generators that a checkpoint does not hold: PyTorch's own, or one per layer.
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
        if "learning_rate" not in row:  # Keras logs it for the plateau schedule only.
            row["learning_rate"] = float(
                keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
            )
        row["seconds"] = round(seconds, 1)
        if not math.isfinite(row["loss"]):
            raise ModelError(
                f"the loss is {row['loss']} after epoch {epoch + 1}: training has diverged. Lower "
                "--learning-rate or use --precision float32."
            )
        best = nan_is_worst(row[WATCHED]) < min(
            (nan_is_worst(r[WATCHED]) for r in self.log), default=math.inf
        )
        self.log.append(row)
        self._state["epoch"] = epoch + 1
        self._state["stopped"] = bool(self.model.stop_training)
        self._state["callbacks"] = {type(c).__name__: _counters(c) for c in self._stateful}
        self._save(best)
        if time.monotonic() - self._drawn >= CURVES_INTERVAL:
            self.draw_curves()
        left = seconds * (self._epochs - epoch - 1) / 60
        figures = "  ".join(
            f"{k} {v:.4f}" for k, v in row.items() if k not in ("epoch", "seconds", "learning_rate")
        )
        self._say(
            f"epoch {epoch + 1}/{self._epochs}  {figures}  {seconds:.0f} s, {left:.0f} min left"
        )
        if self._state["stopped"]:
            self._say(f"stopped early: {WATCHED} has not improved; see --patience")

    def draw_curves(self) -> None:
        """Write ``curves.png``."""
        from training.common import plots

        plots.curves(self.log, self._folder / "curves.png")
        self._drawn = time.monotonic()

    def _save(self, best: bool) -> None:
        """Write checkpoint and log.

        Raises:
            OutputError: they cannot be written; those of the epoch before remain, and nothing of
                what was begun, which on a full disk would be in the way.
        """
        try:
            self._write(best)
        except OSError as e:
            for name in _PARTS:
                (self._folder / name).unlink(missing_ok=True)
            raise write_error(self._folder / LAST, e) from e

    def _write(self, best: bool) -> None:
        """Write every file to a temporary name first, so that an interruption damages none."""
        part, copy, table = (self._folder / name for name in _PARTS)
        self.model.save(part)
        with zipfile.ZipFile(part, "a") as archive:
            archive.writestr(STATE, json.dumps(self._state))
        if best:
            shutil.copyfile(part, copy)
            copy.replace(self._folder / BEST)
        part.replace(self._folder / LAST)
        if self.log:
            # A metric may first appear in a later epoch.
            columns = list(dict.fromkeys(k for row in self.log for k in row))
            with table.open("w", newline="", encoding="utf-8") as f:
                writer = csv.DictWriter(f, columns)
                writer.writeheader()
                writer.writerows(self.log)
            table.replace(self._folder / LOG)


def _counters(callback: keras.callbacks.Callback) -> dict[str, float]:
    """The counters of early stopping or of the plateau schedule."""
    names = ("wait", "best", "cooldown_counter", "best_epoch")
    found = {name: getattr(callback, name, None) for name in names}
    return {k: v if isinstance(v, int) else float(v) for k, v in found.items() if v is not None}
