"""Detectors by name. A new one is one file and one line here.

A detector is asked for by a text, the same on the command line and in Python::

    yunet                              a name
    haar:alt2                          a name, and which of its networks or cascades
    haar:alt2,scaleFactor=1.2          and options, named as in its class
    faces/yolov8n-face.onnx            a file
    faces/yolov8n-face.onnx:score=0.5  and options
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fastfer.detectors.base import Detector
from fastfer.errors import UsageError

_BUILT_IN: Final = {
    "auto": ("fastfer.detectors.auto:auto", None),
    "haar": ("fastfer.detectors.haar:HaarDetector", "cascade"),
    "nano": ("fastfer.detectors.nano:NanoDetector", "file"),
    "yolo": ("fastfer.detectors.yolo:YoloDetector", "file"),
    "yunet": ("fastfer.detectors.yunet:YuNetDetector", "file"),
}
"""Name to ``module:class``, loaded when its detector is first asked for, and to the option that a
value without a name sets."""

_FILE: Final = re.compile(r"(?P<file>.*?\.onnx)(?::(?P<options>.*))?", re.IGNORECASE)

_registered: dict[str, Callable[..., Detector]] = {}


def register(name: str, factory: Callable[..., Detector]) -> None:
    """Make ``factory(**options)`` the detector called ``name``, for this process."""
    _registered[name] = factory


def available() -> list[str]:
    """Names that :func:`create_detector` knows, in order."""
    return sorted({*_BUILT_IN, *_registered})


def create_detector(spec: str, *, threads: int | None = None, **options: Any) -> Detector:
    """Make the detector that ``spec`` asks for: ``NAME``, ``NAME:OPTIONS``, ``FILE.onnx`` or
    ``FILE.onnx:OPTIONS``, as shown at the top of this module.

    Every detector takes ``min_face``, the side of the smallest face to report in pixels of the
    frame (0: whatever it can see), and ``detect_size``, the long side of the picture that it
    searches; its own options are in its class. ``threads`` are those of its network's runtime; a
    detector without that option, such as haar, takes no notice. What ``spec`` says goes first.

    Raises:
        UsageError: no such detector or option, or a value out of its range.
        ModelError: its network is not in the store, damaged, or of another kind.
    """
    name, file, given = _parse(spec)
    if name in _registered:
        factory, bare = _registered[name], None
    elif name in _BUILT_IN:
        where, bare = _BUILT_IN[name]
        module, _, attribute = where.partition(":")
        factory = getattr(importlib.import_module(module), attribute)
    else:
        raise UsageError(
            f"no detector is called {name!r}; there is {', '.join(available())}, or a file whose "
            "name ends with .onnx."
        )
    known = inspect.signature(factory).parameters
    if threads is not None and "threads" in known:
        options["threads"] = threads
    if file is not None:
        options["file"] = file
    told = set()
    for key, value in given:
        if not key and bare is None:
            raise UsageError(f"detector {spec!r}: {name} takes options as name=value only.")
        if (key or bare) in told:
            raise UsageError(f"detector {spec!r}: {key or bare} is given twice.")
        told.add(key or bare)
        options[key or str(bare)] = value
    if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        for key in options.keys() - known.keys():
            raise UsageError(
                f"detector {spec!r}: {name} has no option {key!r}; it has {', '.join(known)}."
            )
    for key, value in options.items():
        kind = _needed_kind(value, known[key].annotation) if key in known else None
        if kind:
            raise UsageError(f"detector {spec!r}: {key} must be {kind}; got {value!r}.")
    if bare == "file" and known["file"].default is inspect.Parameter.empty and bare not in options:
        raise UsageError(
            f"detector {spec!r}: {name} comes without a network. Give its file: --detector "
            f"FILE.onnx, or {name}:FILE.onnx with options after a comma."
        )
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:  # An option left out.
        raise UsageError(f"detector {spec!r}: {error}.") from None
    return factory(**options)


def name_of(spec: str) -> str:
    """The name of the detector that ``spec`` asks for; that of a file goes by its outputs."""
    return _parse(spec)[0]


def needed_network(spec: str) -> str | None:
    """The network of the store without which ``spec`` cannot be made, or ``None``."""
    name, file, given = _parse(spec)
    own_file = file is not None or any(key in ("", "file") for key, _ in given)
    return "yunet" if name == "yunet" and not own_file else None


def _parse(spec: str) -> tuple[str, str | None, list[tuple[str, Any]]]:
    """The name, the file and the options of ``spec``; one without a name is called ``""``."""
    match = _FILE.fullmatch(spec)
    name, _, rest = spec.partition(":")
    file = None
    if match and name not in (*_BUILT_IN, *_registered):
        file, rest = match["file"], match["options"] or ""
        name = _kind_of(Path(file))
    parts = [part.partition("=") for part in rest.split(",") if part]
    return (
        name,
        file,
        [(key, _value(value)) if equals else ("", key) for key, equals, value in parts],
    )


def _kind_of(path: Path) -> str:
    """Which detector reads the file at ``path``: outputs have telling names."""
    try:
        data = path.read_bytes()
    except OSError:
        return "yolo"  # It will say what is wrong.
    telling = {"yunet": b"kps_32", "nano": b"grid_32"}
    return next((name for name, output in telling.items() if output in data), "yolo")


def _needed_kind(value: Any, annotation: object) -> str | None:
    """What an option annotated so must be, where ``value`` is something else."""
    kinds = str(getattr(annotation, "__name__", annotation)).split(" | ")
    if "str" in kinds and not isinstance(value, (str, os.PathLike)) and value is not None:
        return "a text"
    if "str" in kinds or not {"int", "float"} & set(kinds):
        return None
    if isinstance(value, str):
        return "a number" if "float" in kinds else "a whole number"
    return "a whole number" if isinstance(value, float) and "float" not in kinds else None


def _value(text: str) -> Any:
    """A number where ``text`` is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
