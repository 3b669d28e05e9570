"""Detectors by name or file, and how to add one.

A specification is a string, the same on the command line and in Python::

    yunet                              a name
    haar:alt2                          a name and the value of its main option
    haar:alt2,scaleFactor=1.2          and options, named as in its class
    faces/yolov8n-face.onnx            an ONNX file; its output names select the detector
    faces/yolov8n-face.onnx:score=0.5  and options
    my_detector.py                     a Python file that registers a detector
    my_detector.py:threshold=3         and options

**A built-in detector** is one module of this folder that calls :func:`register_detector` at its
end. The module has the name of the detector and is imported when a specification needs it.

**A detector of another project** is a class with :class:`~fastfer.detectors.base.Detector`'s
interface, registered by the same call, either in the program that uses it or in a Python file::

    class Centre:
        name = "centre"
        crop_calibration = CropCalibration()

        def detect(self, frame):
            height, width = frame.shape[:2]
            box = [[width / 4, height / 4, width / 2, height / 2]]
            return Detections(np.array(box, np.float32), np.ones(1, np.float32))

    register_detector("centre", Centre, help="a face in the middle of every frame")

``fastfer image photo.jpg --detector centre.py`` executes that file, as ``python centre.py`` would,
so only name files that you trust. Processes that unpickle an Engine execute it again.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from fastfer.detectors.base import Detector, check_detector
from fastfer.errors import DETECTOR_MODULE, FastferError, UsageError
from fastfer.inference.onnx_file import output_names
from fastfer.inference.onnx_session import read_model
from fastfer.models.store import Download
from fastfer.validation import check_names, check_path

_FALLBACK: Final = "yolo"
"""Reads ONNX files that no other detector accepts; its error messages say what a file lacks."""
_FILE: Final = re.compile(r"(?P<file>.*?\.(onnx|py))(?::(?P<options>.*))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DetectorEntry:
    """A registered detector; the fields are the arguments of :func:`register_detector`."""

    name: str
    factory: Callable[..., Detector]
    help: str
    main_option: str | None
    accepts_outputs: Callable[[Sequence[str]], bool] | None
    download: Download | None

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The options of the factory by name."""
        return inspect.signature(self.factory).parameters


_entries: dict[str, DetectorEntry] = {}
_files: dict[Path, tuple[bytes, DetectorEntry]] = {}
"""Source and detector of every Python file that was executed."""


def register_detector(
    name: str,
    factory: Callable[..., Detector],
    *,
    help: str = "",
    main_option: str | None = None,
    accepts_outputs: Callable[[Sequence[str]], bool] | None = None,
    download: Download | None = None,
) -> None:
    """Make ``factory(**options)`` the detector ``name`` in this process.

    A name may be registered again, which replaces the earlier detector.

    Args:
        name: name in specifications: letters, digits, ``-`` and ``_``.
        factory: class or function that returns the detector. Its parameters are the detector's
            options; text from a specification is converted to the type of the annotation (int,
            float, bool or str). Engine and command pass ``min_face`` (side in pixels of the
            smallest face to report), ``detect_size`` (long side in pixels of the reduced frame to
            search) and ``threads`` if the user sets them.
        help: one line for the command's help.
        main_option: option that a value without a name sets, as in ``haar:alt2``; ``"file"`` if
            the detector loads a network.
        accepts_outputs: whether the detector can load an ONNX file, from its output names.
        download: file that the detector loads unless its option ``file`` is set.

    Raises:
        UsageError: ``name`` cannot be used in a specification or is a built-in detector's.
    """
    built_in = getattr(factory, "__module__", None) == f"{__package__}.{name}"
    if not isinstance(name, str) or not callable(factory):
        raise UsageError(
            "register_detector takes a name and a class or function; got "
            f"{type(name).__name__} and {type(factory).__name__}"
        )
    if not re.fullmatch(r"[\w-]+", name) or (name in _built_in_modules() and not built_in):
        raise UsageError(
            f"detector name {name!r} is reserved or has other characters than letters, digits, "
            "- and _; choose another name"
        )
    _entries[name] = DetectorEntry(name, factory, help, main_option, accepts_outputs, download)


def available_detectors() -> dict[str, str]:
    """Help text of every detector by name, in alphabetical order; imports all built-in ones."""
    return {name: entry.help for name, entry in _all_entries().items()}


def downloads() -> dict[str, Download]:
    """The files that detectors can download, by name."""
    files = (entry.download for entry in _all_entries().values())
    return {file.name: file for file in files if file is not None}


def create_detector(
    spec: str | os.PathLike[str], *, threads: int | None = None, **options: Any
) -> Detector:
    """The detector that ``spec`` specifies, as shown at the top of this module.

    Args:
        spec: name or file, with options.
        threads: threads of the network's runtime; ignored by detectors without a network.
        options: further options of the detector; those in ``spec`` take precedence. Every built-in
            detector has ``min_face`` and ``detect_size``, see :func:`register_detector`.

    Raises:
        UsageError: codes ``unknown_detector``, ``unknown_option``, ``out_of_range``,
            ``not_a_detector``.
        ModelError: the network is missing, damaged or of another kind.
    """
    check_path(detector=spec)
    spec = os.fspath(spec)
    entry, given = _parse(spec)
    known = entry.parameters
    if threads is not None and "threads" in known:
        options["threads"] = threads
    if "min_face" not in known and options.get("min_face") == 0:
        del options["min_face"]  # The default of the engine: no limit.
    options.update(given)
    if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        check_names(f"detector {spec!r}", options, known)
    missing = [n for n, p in known.items() if p.default is p.empty and n not in options]
    if missing == ["file"]:
        raise UsageError(
            f"detector {spec!r}: {entry.name} has no bundled network; pass an .onnx file, "
            f"FILE.onnx or {entry.name}:FILE.onnx"
        )
    try:
        inspect.signature(entry.factory).bind(**options)
    except TypeError as error:
        raise UsageError(f"detector {spec!r}: {error}") from None
    detector = entry.factory(**options)
    check_detector(detector, f"detector {spec!r}")
    return detector


def required_download(spec: str) -> Download | None:
    """The file that the store must have for ``spec``; ``None`` if it needs no download."""
    entry, given = _parse(spec)
    return None if "file" in given else entry.download


@cache
def _built_in_modules() -> frozenset[str]:
    package = sys.modules[str(__package__)]
    return frozenset(module.name for module in pkgutil.iter_modules(package.__path__))


def _find(name: str) -> DetectorEntry | None:
    """The detector ``name``, its module imported if it is a built-in one."""
    if name not in _entries and name in _built_in_modules():
        importlib.import_module(f"{__package__}.{name}")
    return _entries.get(name)


def _all_entries() -> dict[str, DetectorEntry]:
    for name in _built_in_modules():
        _find(name)
    return dict(sorted(_entries.items()))


def _parse(spec: str) -> tuple[DetectorEntry, dict[str, Any]]:
    """The detector of ``spec`` and the options in it."""
    name, _, text = spec.partition(":")
    entry = _find(name)
    options: dict[str, Any] = {}
    if entry is None:
        match = _FILE.fullmatch(spec)
        if match is None:
            choices = ", ".join(available_detectors())
            raise UsageError(
                f"unknown detector {name!r}; choose from {choices}, or pass an .onnx or a .py file",
                code="unknown_detector",
            )
        path, text = Path(match["file"]), match["options"] or ""
        if path.suffix.lower() == ".py":
            entry = _load_python(path)
        else:
            entry = _entry_for(path)
            options["file"] = match["file"]
    return entry, options | _parse_options(spec, entry, text)


def _parse_options(spec: str, entry: DetectorEntry, text: str) -> dict[str, Any]:
    known = entry.parameters
    options: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            key, value = entry.main_option or "", part
        if not key:
            raise UsageError(
                f"detector {spec!r}: {part!r} must be name=value; choose from {', '.join(known)}",
                code="unknown_option",
            )
        if key in options:
            raise UsageError(f"detector {spec!r}: {key} is set twice")
        annotation = known[key].annotation if key in known else str
        try:
            options[key] = _convert(value, annotation)
        except (ValueError, KeyError):
            kind = getattr(annotation, "__name__", annotation)
            raise UsageError(
                f"detector {spec!r}: {key} must be of type {kind}; got {value!r}",
                code="out_of_range",
            ) from None
    return options


def _convert(text: str, annotation: object) -> Any:
    """``text`` as the type of an annotation; a number, if it is one, where there is none."""
    kinds = str(getattr(annotation, "__name__", annotation)).split(" | ")
    if any(kind.startswith("Literal[") and repr(text) in kind for kind in kinds):
        return text
    if "str" in kinds:
        return text
    if "bool" in kinds:
        return {"true": True, "false": False}[text.lower()]
    if "float" in kinds:
        return float(text)
    if "int" in kinds:
        return int(text)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _entry_for(path: Path) -> DetectorEntry:
    """The detector that loads the ONNX file at ``path``."""
    outputs = output_names(read_model(path))
    entries = _all_entries()
    for entry in entries.values():
        if entry.accepts_outputs is not None and entry.accepts_outputs(outputs):
            return entry
    return entries[_FALLBACK]


def _load_python(path: Path) -> DetectorEntry:
    """Execute the file at ``path``, again only if it changed; returns the detector it registers."""
    try:
        source = path.read_bytes()
    except OSError as error:
        code = "not_found" if isinstance(error, FileNotFoundError) else None
        raise UsageError(f"detector file {path}: {error.strerror}", code=code) from None
    loaded = _files.get(path.absolute())
    if loaded is not None and loaded[0] == source:
        return loaded[1]
    module = ModuleType(f"{DETECTOR_MODULE}{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # For dataclasses and pickle.
    before = dict(_entries)
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except FastferError:
        raise
    except Exception as error:
        raise UsageError(
            f"detector file {path} failed: {type(error).__name__}: {error}", code="not_a_detector"
        ) from error
    new = [entry for name, entry in _entries.items() if before.get(name) is not entry]
    own = [entry for entry in new if entry.factory.__module__ == module.__name__] or new
    if len(own) != 1:
        raise UsageError(
            f"detector file {path} must register one detector with register_detector(); "
            f"it registered {len(own)}",
            code="not_a_detector",
        )
    _files[path.absolute()] = source, own[0]
    return own[0]
