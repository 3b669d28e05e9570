"""The file that ``fastfer watch`` reads, see ``docs/how-to/many-cameras.md``."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, TypeVar

from fastfer.errors import UsageError
from fastfer.io.open_source import CameraOptions
from fastfer.io.toml_file import parse_toml, read_text
from fastfer.labels import Attribute
from fastfer.outputs.sinks.files import FilesOptions
from fastfer.outputs.sinks.mqtt import MqttOptions
from fastfer.outputs.sinks.webhook import WebhookOptions
from fastfer.pipeline.video_pipeline import VideoOptions
from fastfer.validation import (
    check_attributes,
    check_integer,
    check_positive,
    check_range,
    check_text,
)
from fastfer.watch.engine_options import check_engine

T = TypeVar("T")

MAX_NAME: Final = 60
"""Characters of a camera's name, which has at most four bytes each; folders may have 255."""
DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Camera:
    """One ``[[camera]]``."""

    name: str
    """Of its rows, files and topics."""
    source: str | int
    """URL, path, or number of a camera."""
    fps: float = math.inf
    """Most frames per second that are analysed."""
    share: float = 1.0
    """Its part of the processor time, relative to other cameras, when there is too little."""
    stall: float = 5.0
    """Seconds without a frame after which it is opened again."""
    size: tuple[int, int] | None = None
    """Frame size to request from a local camera."""
    fourcc: str | None = None
    """Pixel format to request from a local camera."""

    def __post_init__(self) -> None:
        check_text(name=self.name)
        valid = all(c.isalnum() or c in "-_." for c in self.name)
        if not valid or self.name.startswith(".") or len(self.name) > MAX_NAME:
            raise UsageError(
                f"camera name {self.name!r}: use at most {MAX_NAME} letters, digits, - and _; it "
                "is part of file names"
            )
        if isinstance(self.source, str):
            check_text(source=self.source)
        else:
            check_integer(source=(self.source, 0))
        check_positive(fps=self.fps, stall=self.stall)
        check_range(share=(self.share, 0.001, 1000), stall=(self.stall, 0, DAY))
        size: Any = self.size
        if size is not None and not (isinstance(size, (list, tuple)) and len(size) == 2):
            raise UsageError(f"size must be [width, height]; got {size!r}", code="out_of_range")
        if self.fourcc is not None:
            check_text(fourcc=self.fourcc)
        self.options  # noqa: B018 - checks the rest.

    @property
    def options(self) -> CameraOptions:
        """How to open it; it is never given up."""
        size = None if self.size is None else (self.size[0], self.size[1])
        return CameraOptions(size=size, stall=self.stall, give_up=math.inf, fourcc=self.fourcc)


@dataclass(frozen=True, slots=True)
class Metrics:
    """``[metrics]``: numbers for Prometheus."""

    port: int = 9110
    """0 takes a free one."""
    host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        check_text(host=self.host)
        check_integer(port=(self.port, 0, 65535))


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file."""

    cameras: tuple[Camera, ...]
    engine: Mapping[str, Any] = field(default_factory=dict)
    video: VideoOptions = field(default_factory=VideoOptions)
    files: FilesOptions | None = None
    mqtt: MqttOptions | None = None
    webhook: WebhookOptions | None = None
    metrics: Metrics | None = None

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """What the engine estimates besides the expression, which adds columns to rows."""
        return check_attributes(self.engine.get("attributes", ()))


def read_config(path: str | os.PathLike[str]) -> Config:
    """Read and check the file.

    Raises:
        UsageError: it is missing (``not_found``), too large, no TOML, or holds a name or value
            that is not known.
    """
    try:
        return parse_config(read_text(path))
    except UsageError as error:
        raise UsageError(f"{path}: {error}", code=error.code) from None


def parse_config(text: str) -> Config:
    """As :func:`read_config`, for the text of the file."""
    values = parse_toml(text)
    known = {"camera", "engine", "video", "files", "mqtt", "webhook", "metrics"}
    _check_names("file", values, known)
    cameras = tuple(_section(Camera, "camera", entry) for entry in _list(values, "camera"))
    if not cameras:
        raise UsageError("no [[camera]]; add at least one")
    names = Counter(camera.name for camera in cameras)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise UsageError(f"two cameras are named {', '.join(sorted(twice))}")
    config = Config(
        cameras,
        check_engine(values.get("engine", {})),
        _section(VideoOptions, "video", values.get("video", {})),
        _optional(FilesOptions, "files", values),
        _optional(MqttOptions, "mqtt", values),
        _optional(WebhookOptions, "webhook", values),
        _optional(Metrics, "metrics", values),
    )
    if not (config.files or config.mqtt or config.webhook):
        raise UsageError("no output; add [files], [mqtt] or [webhook]")
    return config


def _list(values: Mapping[str, Any], name: str) -> list[Any]:
    found = values.get(name, [])
    if not isinstance(found, list):
        raise UsageError(f"write [[{name}]], with two brackets")
    return found


def _optional(kind: type[T], name: str, values: Mapping[str, Any]) -> T | None:
    return _section(kind, name, values[name]) if name in values else None


def _section(kind: type[T], name: str, values: Any) -> T:
    if not isinstance(values, dict):
        raise UsageError(f"[{name}] must be a table")
    _check_names(f"[{name}]", values, {f.name for f in fields(kind)})  # type: ignore[arg-type]
    try:
        return kind(**values)
    except TypeError as error:
        if "required" in str(error) or "missing" in str(error):
            missing = str(error).rpartition(": ")[2]
            raise UsageError(f"[{name}]: missing {missing}") from None
        raise UsageError(f"[{name}]: a value of the wrong type: {error}") from None


def _check_names(where: str, values: Mapping[str, Any], known: set[str]) -> None:
    for name in values:
        if name not in known:
            raise UsageError(
                f"{where}: unknown name {name!r}; choose from {', '.join(sorted(known))}",
                code="unknown_option",
            )
