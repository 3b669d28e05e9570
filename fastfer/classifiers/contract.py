"""What an expression network promises in its ONNX metadata, and how that is read and written.

Every value is JSON text under a ``fastfer.`` key of the file's metadata, so that any ONNX tool
shows it. The *preprocessing fingerprint* (size, channels, scale, bias, gray formula, resize filter)
must be one that :func:`fastfer.kernels.pack.pack_faces` computes; else the network would see other
pixels in use than in training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal

from fastfer.errors import ModelError, UsageError
from fastfer.labels import EMOTIONS

PREFIX: Final = "fastfer."
SCHEMA: Final = 1
FLOAT32_MAX: Final = 3.4e38
GRAY: Final = "bt601"
RESIZE: Final = "area-down bilinear-up half-pixel edge-repeat"

Labels = Literal["crowd", "fer2013"]
MEANINGS: Final[dict[Labels, str]] = {"crowd": "FER+ votes", "fer2013": "FER-2013 labels"}
"""What an output learnt from, as its entry in ``outputs`` says it; a blend that names both is the
crowd's."""


@dataclass(frozen=True, slots=True)
class ModelContract:
    """The metadata of one network file."""

    name: str
    labels: tuple[str, ...] = EMOTIONS
    """The classes of its outputs: all seven emotions, or at least two of them, in their order."""
    input_size: int = 48
    """Side of the square input in pixels."""
    channels: int = 1
    scale: float = 1 / 255
    bias: float = 0.0
    """The input is ``pixel * scale + bias``."""
    gray: str = GRAY
    resize: str = RESIZE
    temperature: float = 1.0
    """Softmax temperature fitted on validation data; the graph applies it already."""
    quantisation: str = "none"
    """``int8`` where weights and activations are; ``none`` for a graph in float32."""
    trained_on: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    """Measured figures by name, for instance ``accuracy/PublicTest``, as fractions of 1."""
    outputs: dict[str, str] = field(default_factory=lambda: {"probabilities": "softmax"})
    """Output names of the graph and what each means; the first is the default."""
    schema: int = SCHEMA

    def to_metadata(self) -> dict[str, str]:
        """Key-value strings for ``onnx.ModelProto.metadata_props``."""
        return {PREFIX + key: json.dumps(value) for key, value in asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str) -> ModelContract:
        """Read and check the metadata of the file called ``source``.

        Raises:
            ModelError: no contract, an unreadable one, or one this version cannot honour.
        """
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {}
        for key, text in metadata.items():
            name = key.removeprefix(PREFIX)
            if not key.startswith(PREFIX) or name not in known:
                continue
            try:
                values[name] = json.loads(text)
            except json.JSONDecodeError:
                raise ModelError(f"{source}: metadata {key} is {text!r}, not JSON") from None
        missing = _REQUIRED - values.keys()
        if missing:
            raise ModelError(
                f"{source}: not a fastfer model, its metadata lacks "
                f"{', '.join(PREFIX + m for m in sorted(missing))}. "
                "Export it with python -m training.export."
            )
        _check_types(values, source)
        if values.get("schema", SCHEMA) > SCHEMA:
            raise ModelError(
                f"{source}: written for metadata schema {values['schema']}, this fastfer reads "
                f"schema {SCHEMA}. Upgrade fastfer."
            )
        values["labels"] = tuple(values["labels"])
        contract = cls(**values)
        contract._check(source)
        return contract

    def output_for(self, labels: Labels | None, source: str) -> str:
        """Name of the output that learnt from ``labels``; ``None`` takes the file's default.

        Raises:
            UsageError: there is no such kind of labels, or no output of this file learnt from it.
        """
        if labels is None:
            return next(iter(self.outputs))
        if labels not in MEANINGS:
            raise UsageError(f"labels must be {' or '.join(map(repr, MEANINGS))}; got {labels!r}.")
        for name, meaning in self.outputs.items():
            if next((k for k, m in MEANINGS.items() if m in meaning), None) == labels:
                return name
        raise UsageError(
            f"{source}: no output learnt from {MEANINGS[labels]}; it has "
            f"{', '.join(f'{k} ({v})' for k, v in self.outputs.items())}. Leave labels out to take "
            "the first."
        )

    def _check(self, source: str) -> None:
        known = tuple(name for name in EMOTIONS if name in self.labels)
        if self.labels != known or len(known) < 2:
            raise ModelError(
                f"{source}: labels {self.labels!r}; this fastfer computes {EMOTIONS!r}, or at "
                "least two of them in that order."
            )
        for what, have, can in (
            ("channels", self.channels, 1),
            ("gray formula", self.gray, GRAY),
            ("resize filter", self.resize, RESIZE),
        ):
            if have != can:
                raise ModelError(f"{source}: {what} {have!r}; this fastfer computes {can!r}.")
        if not 16 <= self.input_size <= 256:
            raise ModelError(f"{source}: input size {self.input_size}; 16 to 256 can be packed.")
        if not self.outputs:
            raise ModelError(f"{source}: metadata {PREFIX}outputs names no output.")


_REQUIRED: Final = frozenset(
    ("name", "labels", "input_size", "channels", "scale", "bias", "gray", "resize")
)
"""What a file must say of itself; a guessed fingerprint would be wrong in silence."""


def _check_types(values: Mapping[str, Any], source: str) -> None:
    """Metadata is text from outside: see that every value has the JSON type its field needs."""
    for name, value in values.items():
        match name:
            case "labels":
                wanted = "a list of texts"
                good = isinstance(value, list) and all(isinstance(v, str) for v in value)
            case "input_size" | "channels" | "schema":
                wanted = "a whole number"
                good = isinstance(value, int) and not isinstance(value, bool)
            case "scale" | "bias" | "temperature":
                wanted = "a finite number"
                good = (
                    isinstance(value, (int, float))
                    and not isinstance(value, bool)
                    and abs(value) < FLOAT32_MAX
                )
            case "metrics" | "outputs":
                wanted = "an object"
                good = isinstance(value, dict)
            case _:
                wanted = "a text"
                good = isinstance(value, str)
        if not good:
            raise ModelError(f"{source}: metadata {PREFIX}{name} is {value!r}, not {wanted}.")
