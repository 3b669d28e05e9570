"""The contract between training and inference: an expression network's ONNX metadata.

Every value is JSON under a ``fastfer.`` key of the file's metadata, so that any ONNX tool shows it.
The preprocessing (size, channels, scale, bias, gray formula, resize filter) must be one that
:func:`fastfer.kernels.pack.pack_faces` implements; otherwise inference would differ from training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal

from fastfer.errors import ModelError, UsageError
from fastfer.kernels.backend import MAX_SIZE, MIN_SIZE
from fastfer.labels import ALL_EMOTIONS, EMOTIONS
from fastfer.priors import MIN_SHARE
from fastfer.validation import is_integer, is_number, parse_json

PREFIX: Final = "fastfer."
SCHEMA: Final = 1
FLOAT32_MAX: Final = 3.4e38
GRAY: Final = "bt601"
RESIZE: Final = "area-down bilinear-up half-pixel edge-repeat"

Head = Literal["ferplus", "fer2013"]
HEADS: Final[dict[Head, str]] = {"ferplus": "FER+ votes", "fer2013": "FER-2013 labels"}
"""The training targets of each output head, as :attr:`ModelContract.outputs` describes them. A
blend that names both is the ferplus head."""


@dataclass(frozen=True, slots=True)
class ModelContract:
    """The metadata of one network file."""

    name: str
    labels: tuple[str, ...] = EMOTIONS
    """Classes of the outputs: at least two of ALL_EMOTIONS, in that order."""
    input_size: int = 48
    """Side of the square input in pixels."""
    channels: int = 1
    scale: float = 1 / 255
    bias: float = 0.0
    """The input is ``pixel * scale + bias``."""
    gray: str = GRAY
    resize: str = RESIZE
    temperature: float = 1.0
    """Softmax temperature fitted on validation data; the graph contains it."""
    quantisation: str = "none"
    """``int8`` for quantised weights and activations, ``none`` for float32."""
    trained_on: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    """Metrics by name, for instance ``accuracy/PublicTest``, as fractions."""
    outputs: dict[str, str] = field(default_factory=lambda: {"probabilities": "softmax"})
    """Output names of the graph with their training targets; the first is the default."""
    priors: dict[str, list[float]] = field(default_factory=dict)
    """The class prior for which each output holds, in the order of labels, by output name."""
    level_prior: list[float] | None = None
    """The prior ``"level"`` of :data:`fastfer.priors.Prior`, in the order of labels."""
    likeness: str = ""
    """Name of an output (N, 1), the log odds that the crop shows a face; empty if there is none."""
    schema: int = SCHEMA

    def to_metadata(self) -> dict[str, str]:
        """Keys and values for ``onnx.ModelProto.metadata_props``."""
        values = {key: value for key, value in asdict(self).items() if value is not None}
        return {PREFIX + key: json.dumps(value) for key, value in values.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str) -> ModelContract:
        """Read and check the metadata of the file ``source``.

        Raises:
            ModelError: metadata is missing, malformed, or requires another preprocessing.
        """
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {}
        for key, text in metadata.items():
            name = key.removeprefix(PREFIX)
            if not key.startswith(PREFIX) or name not in known:
                continue
            try:
                values[name] = parse_json(text)
            except ValueError:
                raise ModelError(f"{source}: metadata {key} is not JSON: {text[:80]!r}") from None
        missing = _REQUIRED - values.keys()
        if missing:
            raise ModelError(
                f"{source}: not exported by fastfer's training: metadata lacks "
                f"{', '.join(PREFIX + m for m in sorted(missing))}. "
                "Export it with python -m training.expression.export."
            )
        _check_types(values, source)
        if values.get("schema", SCHEMA) > SCHEMA:
            raise ModelError(
                f"{source}: metadata schema {values['schema']} is newer than {SCHEMA}, the latest "
                "that this fastfer supports. Upgrade fastfer."
            )
        values["labels"] = tuple(values["labels"])
        contract = cls(**values)
        contract._check(source)
        return contract

    def output_for(self, head: Head | None, source: str) -> str:
        """Name of the output ``head``; the first output for ``None``.

        Raises:
            UsageError: code ``unknown_head``.
        """
        if head is None:
            return next(iter(self.outputs))
        if not isinstance(head, str) or head not in HEADS:
            raise UsageError(
                f"unknown head {head!r}; choose from {', '.join(HEADS)}", code="unknown_head"
            )
        for name, targets in self.outputs.items():
            if next((h for h, target in HEADS.items() if target in targets), None) == head:
                return name
        raise UsageError(
            f"{source}: no head {head!r} (trained on {HEADS[head]}); the outputs are "
            f"{', '.join(f'{k} ({v})' for k, v in self.outputs.items())}",
            code="unknown_head",
        )

    def _check(self, source: str) -> None:
        known = tuple(name for name in ALL_EMOTIONS if name in self.labels)
        if self.labels != known or len(known) < 2:
            raise ModelError(
                f"{source}: labels are {', '.join(self.labels)}; they must be at least two of "
                f"{', '.join(ALL_EMOTIONS)}, in that order"
            )
        for what, have, can in (
            ("channels", self.channels, 1),
            ("gray formula", self.gray, GRAY),
            ("resize filter", self.resize, RESIZE),
        ):
            if have != can:
                raise ModelError(f"{source}: {what} {have!r} is not supported, only {can!r}")
        if not MIN_SIZE <= self.input_size <= MAX_SIZE:
            raise ModelError(
                f"{source}: input size must be {MIN_SIZE} to {MAX_SIZE}; got {self.input_size}"
            )
        if not self.outputs:
            raise ModelError(f"{source}: metadata {PREFIX}outputs names no output")
        priors = {f"priors[{name!r}]": shares for name, shares in self.priors.items()}
        if self.level_prior is not None:
            priors["level_prior"] = self.level_prior
        for name, shares in priors.items():
            numbers = isinstance(shares, list) and all(map(is_number, shares))
            if not numbers or len(shares) != len(known) or not _is_distribution(shares):
                raise ModelError(
                    f"{source}: metadata {PREFIX}{name} must be {len(known)} shares above 0 that "
                    f"sum to 1; got {shares!r}"
                )


_REQUIRED: Final = frozenset(
    ("name", "labels", "input_size", "channels", "scale", "bias", "gray", "resize")
)
"""Metadata without defaults: a wrong guess would change results without an error."""


def _is_distribution(shares: list[float]) -> bool:
    return min(shares) >= MIN_SHARE and abs(sum(shares) - 1) <= 1e-3


def _check_types(values: Mapping[str, Any], source: str) -> None:
    """Check the JSON type of every value.

    Raises:
        ModelError: a value of another type.
    """
    for name, value in values.items():
        match name:
            case "labels":
                wanted = "a list of strings"
                good = isinstance(value, list) and all(isinstance(v, str) for v in value)
            case "input_size" | "channels" | "schema":
                wanted = "an integer"
                good = is_integer(value)
            case "scale" | "bias" | "temperature":
                wanted = "a finite number"
                good = is_number(value) and abs(value) < FLOAT32_MAX
            case "outputs":
                wanted = "an object of strings"
                good = isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
            case "metrics" | "priors":
                wanted = "an object"
                good = isinstance(value, dict)
            case "level_prior":
                wanted = "a list of numbers"
                good = isinstance(value, list)
            case _:
                wanted = "a string"
                good = isinstance(value, str)
        if not good:
            raise ModelError(
                f"{source}: metadata {PREFIX}{name} must be {wanted}; got {repr(value)[:80]}"
            )
