"""What is installed, and whether it works: ``fastfer.build_info()`` and ``fastfer doctor``."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Literal

from fastfer import __version__
from fastfer.errors import FastferError

MODELS: Final = Path(__file__).parent / "models"
"""Folder of the bundled networks."""
_OPENCV: Final = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``fastfer doctor``."""

    level: Level
    """``note``: a feature is not available; ``problem``: fastfer does not work as it should."""
    subject: str
    message: str
    advice: str = ""
    """What to do, unless all is well."""

    def __str__(self) -> str:
        line = f"{self.level:8}{self.subject}: {self.message}"
        return f"{line}. {self.advice}" if self.advice else line


def build_info() -> dict[str, Any]:
    """Versions, instruction sets and bundled networks, for bug reports.

    Returns:
        ``version``, ``python``, ``platform``, ``instruction_set`` (in use), ``instruction_sets``
        (available), ``opencv``, ``av`` (PyAV), ``onnxruntime``, ``numpy`` (versions), ``models``
        (file name to SHA-256). All values are native JSON types.

    Raises:
        ExtensionMissingError: the compiled module cannot be loaded.
    """
    import cv2
    import numpy as np

    from fastfer.kernels import backend

    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "instruction_set": backend.isa(),
        "instruction_sets": list(backend.available()),
        "opencv": cv2.__version__,
        "av": metadata.version("av"),
        "onnxruntime": metadata.version("onnxruntime"),
        "numpy": np.__version__,
        "models": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(MODELS.glob("*.onnx"))
        },
    }


def doctor() -> list[Finding]:
    """Check the installation: every bundled part runs once.

    The installation works if no finding is a ``problem``.
    """
    findings = []
    for subject, check in _CHECKS.items():
        try:
            findings += [Finding(level, subject, *texts) for level, *texts in check()]
        except (FastferError, ImportError, OSError) as error:
            advice = "Reinstall fastfer: pip install --force-reinstall fastfer"
            findings.append(Finding("problem", subject, str(error).rstrip("."), advice))
    return findings


_Result = tuple[Level, str] | tuple[Level, str, str]


def _check_kernels() -> Iterator[_Result]:
    import numpy as np

    from fastfer.kernels import backend
    from fastfer.kernels.pack import pack_faces
    from fastfer.kernels.reference import pack as reference

    rows, columns, channels = np.indices((40, 50, 3), np.uint8)
    frame = (rows * 7 + columns * 5 + channels * 31).astype(np.uint8)
    boxes = np.array([[3.25, -4.5, 31, 37], [20, 10, 12.5, 12.5]])
    want = np.empty((2, 48, 48, 1), np.float32)
    reference(frame, boxes, 48, 1 / 255, 0.0, want)
    if not np.array_equal(pack_faces(frame, boxes), want):
        advice = "Set FASTFER_ISA=scalar and report the processor"
        yield "problem", f"{backend.isa()} differs from the NumPy reference", advice
    elif backend.PURE:
        advice = "Unset FASTFER_PURE for full speed"
        yield "note", "the NumPy reference is in use", advice
    else:
        yield "ok", f"{backend.isa()} matches the NumPy reference"


def _check_models() -> Iterator[_Result]:
    import numpy as np

    from fastfer.engine import Engine

    engine = Engine()
    frame = np.full((96, 96, 3), 127, np.uint8)
    faces = engine.analyze(frame, boxes=[[0, 0, 96, 96]])
    engine.analyze(frame)
    yield "ok", f"{engine.detector.name} and {engine.classifier.path.name} run ({len(faces)} face)"


def _check_manifest() -> Iterator[_Result]:
    from fastfer.models import manifest

    problems = manifest.problems(MODELS)
    for problem in problems:
        yield "problem", problem, "Reinstall fastfer: pip install --force-reinstall fastfer"
    if not problems:
        yield "ok", f"{len(list(MODELS.glob('*.onnx')))} networks match the manifest"


def _check_opencv() -> Iterator[_Result]:
    import cv2

    installed = [name for name in _OPENCV if _is_installed(name)]
    if len(installed) > 1:
        advice = f"Keep one of them: pip uninstall {' '.join(installed[1:])}, then reinstall it"
        yield "problem", f"{len(installed)} packages share the module cv2", advice
    if not hasattr(cv2, "CascadeClassifier"):
        advice = 'For --detector haar: pip install "opencv-python<5"'
        yield "note", f"{cv2.__version__} has no Haar cascades", advice
    gui = [line for line in cv2.getBuildInformation().splitlines() if "GUI:" in line]
    if not gui or "NONE" in gui[0]:
        yield "note", "no windows (headless build)", "For --show and --display: opencv-python"
    elif platform.system() == "Linux" and not _has_display():
        yield "note", "no display for windows", "Set DISPLAY, or use --save"
    else:
        yield "ok", f"{cv2.__version__} can show windows"


def _check_videos() -> Iterator[_Result]:
    import av
    from av.codec.hwaccel import hwdevices_available

    missing = [
        c for c in ("libx264", "libvpx-vp9", "aac", "libopus") if c not in av.codecs_available
    ]
    advice = "For --save: pip install --force-reinstall --only-binary av av" if missing else ""
    if missing:
        yield "note", f"PyAV {av.__version__} lacks the encoders {', '.join(missing)}", advice
    hardware = ", ".join(hwdevices_available()) or "none"
    yield "ok", f"PyAV {av.__version__}; kinds of hardware decoders: {hardware}"


def _check_threads() -> Iterator[_Result]:
    from fastfer.inference import cpus

    granted, count = cpus.available(), os.cpu_count() or 1
    yield "ok", f"{granted} of {count} processors are available"


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


_CHECKS: Final[dict[str, Callable[[], Iterator[_Result]]]] = {
    "kernels": _check_kernels,
    "manifest": _check_manifest,
    "models": _check_models,
    "opencv": _check_opencv,
    "threads": _check_threads,
    "videos": _check_videos,
}
