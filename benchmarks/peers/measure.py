"""Starts workers and collects their figures.

Rounds alternate between the peers, so that other load of the machine meets all of them; of several
rounds the fastest counts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.inputs import Inputs
from benchmarks.peers.peers import Peer
from training.evaluate_detectors.matching import match

WORKER = Path(__file__).with_name("worker.py")
RESULT = "result "
TIMEOUT = 1800
"""Seconds after which a worker is stopped."""
NETWORK = Path(__file__).resolve().parents[2] / "fastfer/models/expression.onnx"


class WorkerError(Exception):
    """A worker ended without a result; the text is the end of its output."""


@dataclass
class Figures:
    """What is known of one peer; ``None`` where it was not measured."""

    version: str = ""
    install_mb: float | None = None
    packages: int | None = None
    ready_s: float | None = None
    """Until the program can take a photo."""
    first_answer_s: float | None = None
    """From the start of the interpreter to the faces of the first photo."""
    photo_ms: float | None = None
    """Median over the photos."""
    fps: float | None = None
    cpu_s_per_minute: float | None = None
    """Processor seconds for a minute of video at the clip's rate."""
    peak_mb: float | None = None
    """Of photos and video, each in a process of its own, the larger."""
    recall: float | None = None
    false_alarms: float | None = None
    """Per photo."""
    accuracy: dict[str, float] = field(default_factory=dict)
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def run_worker(
    python: Path, peer: Peer, task: str, options: dict[str, Any]
) -> tuple[dict[str, Any], float, float]:
    """Run one task; returns its result and the seconds until ``ready`` and until the result.

    Raises:
        WorkerError: it ended without a result.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "options.json"
        file.write_text(json.dumps(options), encoding="utf-8")
        errors = Path(folder) / "stderr.txt"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUTF8": "1"}
        begin = time.perf_counter()
        ready = float("nan")
        with (
            errors.open("w", encoding="utf-8") as log,
            subprocess.Popen(
                [python, WORKER, peer.adapter, task, file],
                stdout=subprocess.PIPE, stderr=log, env=environment, text=True, cwd=folder,
            ) as process,
        ):  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                if line == "ready\n":
                    ready = time.perf_counter() - begin
                if line.startswith(RESULT):
                    seconds = time.perf_counter() - begin
                    process.wait(TIMEOUT)
                    return json.loads(line.removeprefix(RESULT)), ready, seconds
        raise WorkerError(errors.read_text(encoding="utf-8", errors="replace")[-2000:])


def measure(
    peers: Sequence[Peer], pythons: dict[str, Path], inputs: Inputs, rounds: int
) -> dict[str, Figures]:
    """All figures of ``peers``, by name, but for those of their installation."""
    found = {peer.name: Figures() for peer in peers}
    options = inputs.options() | {"network": str(NETWORK), "rounds": rounds}
    for number in range(rounds):
        for peer in peers:
            _attempt(_start, peer, pythons, options, found, f"start {number + 1}")
    for task in (_photos, _video, _boxes, _faces):
        for peer in peers:
            if task is not _faces or (peer.emotions and peer.trained and not peer.yunet):
                _attempt(task, peer, pythons, options | {"inputs": inputs}, found, task.__name__)
    return found


def _attempt(
    task: Any, peer: Peer, pythons: dict[str, Path], options: dict[str, Any],
    found: dict[str, Figures], what: str,
) -> None:  # fmt: skip
    figures = found[peer.name]
    if figures.problem:
        return
    print(f"{peer.name}: {what.strip('_')}", file=sys.stderr, flush=True)
    inputs = options.pop("inputs", None)
    try:
        task(figures, pythons[peer.environment], peer, options, inputs)
    except WorkerError as error:
        lines = str(error).strip().splitlines()
        figures.problem = lines[-1] if lines else "no output"


def _start(f: Figures, python: Path, peer: Peer, options: dict[str, Any], _: Any) -> None:
    _, ready, answer = run_worker(python, peer, "first", options)
    f.ready_s = min(ready, f.ready_s or ready)
    f.first_answer_s = min(answer, f.first_answer_s or answer)


def _photos(f: Figures, python: Path, peer: Peer, options: dict[str, Any], _: Any) -> None:
    result, _, _ = run_worker(python, peer, "photos", options)
    f.photo_ms = float(np.median(result["ms"]))
    f.peak_mb = max(f.peak_mb or 0, result["peak_mb"] or 0) or None


def _video(f: Figures, python: Path, peer: Peer, options: dict[str, Any], inputs: Inputs) -> None:
    for _ in range(min(2, options["rounds"])):
        result, _, _ = run_worker(python, peer, "video", options)
        fps = result["frames"] / result["seconds"]
        cpu = result["cpu_seconds"] / result["frames"] * inputs.fps * 60
        f.fps = max(fps, f.fps or 0)
        f.cpu_s_per_minute = min(cpu, f.cpu_s_per_minute or cpu)
        f.peak_mb = max(f.peak_mb or 0, result["peak_mb"] or 0) or None


def _boxes(f: Figures, python: Path, peer: Peer, options: dict[str, Any], inputs: Inputs) -> None:
    if not inputs.labelled:
        return
    result, _, _ = run_worker(python, peer, "boxes", options)
    hits = alarms = 0
    for photo, boxes in zip(inputs.labelled, result["boxes"], strict=True):
        faces, wrong = match(photo, np.array(boxes, np.float64).reshape(-1, 4))
        hits += int((faces >= 0).sum())
        alarms += int(wrong.sum())
    f.recall = hits / sum(len(photo.faces) for photo in inputs.labelled)
    f.false_alarms = alarms / len(inputs.labelled)


def _faces(f: Figures, python: Path, peer: Peer, options: dict[str, Any], inputs: Inputs) -> None:
    if not inputs.labels:
        return
    result, _, _ = run_worker(python, peer, "faces", options)
    for name, emotions in result["emotions"].items():
        right: NDArray[np.bool_] = np.asarray(emotions) == inputs.labels[name]
        f.accuracy[name] = float(right.mean())
