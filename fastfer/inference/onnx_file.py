"""Read and patch ONNX files as protocol buffers, without a session and without the onnx package.

:func:`output_names` and :func:`metadata` identify a model before anything is loaded.
:func:`free_input` lets a fully convolutional network that was exported with a fixed input size
accept any size: such networks compute the same at every size, but small frames would have to be
padded to the fixed size and cost as much as large ones.

A protocol-buffer *message* is a sequence of fields: a number, a wire type, and a value, which may
be a message itself. The field numbers below are those of ``onnx.proto`` and never change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

Buffer = bytes | memoryview

_GRAPH: Final = 7
_METADATA: Final = 14
"""Fields of ``ModelProto``: graph, metadata_props."""
_KEY: Final = 1
_VALUE: Final = 2
"""Fields of ``StringStringEntryProto``."""
_NAME: Final = 1
"""``ValueInfoProto.name``"""
_INPUT: Final = 11
_OUTPUT: Final = 12
_VALUE_INFO: Final = 13
"""Fields of ``GraphProto``: inputs, outputs, shapes of intermediate values."""
_TO_SHAPE: Final = (2, 1, 2)
"""Path from ``ValueInfoProto`` to its ``TensorShapeProto``: type, tensor_type, shape."""
_DIM: Final = 1
_DIM_PARAM: Final = 2
_BYTES: Final = 2
"""Wire type of strings and messages."""
_AXES: Final = {2: b"height", 3: b"width"}


def output_names(model: bytes) -> list[str]:
    """Names of the graph's outputs in their order; empty if ``model`` is not an ONNX file."""
    try:
        return [
            _text(value, _NAME)
            for graph in _values(memoryview(model), _GRAPH)
            for value in _values(graph, _OUTPUT)
        ]
    except ValueError:
        return []


def metadata(model: bytes) -> dict[str, str]:
    """The custom metadata of an ONNX file; empty if ``model`` is not an ONNX file."""
    try:
        entries = list(_values(memoryview(model), _METADATA))
        return {_text(entry, _KEY): _text(entry, _VALUE) for entry in entries}
    except ValueError:
        return {}


def free_input(model: bytes, name: str) -> bytes:
    """``model`` with free height and width of its (N, C, H, W) input ``name``.

    Declared shapes of outputs and intermediate values are dropped; the runtime infers them.

    Raises:
        ValueError: not a protocol-buffer message.
    """
    return b"".join(
        _field(number, _free_graph(value, name.encode())) if number == _GRAPH else raw
        for number, value, raw in _fields(model)
    )


def _values(message: Buffer, field: int) -> Iterator[Buffer]:
    return (value for number, value, _ in _fields(message) if number == field)


def _text(message: Buffer, field: int) -> str:
    return next((bytes(value).decode() for value in _values(message, field)), "")


def _free_graph(graph: Buffer, name: bytes) -> bytes:
    parts: list[Buffer] = []
    for number, value, raw in _fields(graph):
        if number == _INPUT and (_NAME, name) in ((n, v) for n, v, _ in _fields(value)):
            parts.append(_field(_INPUT, _free_shape(value, _TO_SHAPE)))
        elif number == _OUTPUT:
            parts.append(_field(_OUTPUT, _drop_shape(value, _TO_SHAPE)))
        elif number != _VALUE_INFO:
            parts.append(raw)
    return b"".join(parts)


def _free_shape(message: Buffer, path: tuple[int, ...]) -> bytes:
    if path:
        return b"".join(
            _field(number, _free_shape(value, path[1:])) if number == path[0] else raw
            for number, value, raw in _fields(message)
        )
    axes = [raw for number, _, raw in _fields(message) if number == _DIM]
    return b"".join(
        _field(_DIM, _field(_DIM_PARAM, _AXES[axis])) if axis in _AXES else raw
        for axis, raw in enumerate(axes)
    )


def _drop_shape(message: Buffer, path: tuple[int, ...]) -> bytes:
    head, *rest = path
    return b"".join(
        (_field(number, _drop_shape(value, tuple(rest))) if rest else b"")
        if number == head
        else raw
        for number, value, raw in _fields(message)
    )


def _fields(message: Buffer) -> Iterator[tuple[int, Buffer, Buffer]]:
    """The fields of a message: number, value (empty for plain numbers), and the bytes of both.

    Raises:
        ValueError: not a protocol-buffer message.
    """
    at = 0
    while at < len(message):
        start = at
        key, at = _varint(message, at)
        value: Buffer = b""
        match key & 7:
            case 0:  # A varint.
                _, at = _varint(message, at)
            case 1:  # Eight bytes.
                at += 8
            case 5:  # Four bytes.
                at += 4
            case 2:  # A length and as many bytes.
                length, at = _varint(message, at)
                value = message[at : at + length]
                at += length
            case other:
                raise ValueError(f"not a protocol-buffer message: wire type {other}")
        if at > len(message):
            raise ValueError("not a protocol-buffer message: it ends within a field")
        yield key >> 3, value, message[start:at]


def _field(number: int, value: Buffer) -> bytes:
    return _as_varint(number << 3 | _BYTES) + _as_varint(len(value)) + bytes(value)


def _varint(message: Buffer, at: int) -> tuple[int, int]:
    """The number at ``at``, seven bits to a byte, lowest first; and the position after it."""
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("not a protocol-buffer message: unterminated varint")


def _as_varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
