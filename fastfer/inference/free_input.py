"""Let a network exported for one input size take any.

Fully convolutional detectors compute the same at every size, yet many are published with a fixed
input, so that a small frame would have to be padded to it and cost as much as a large one. The size
stands in a few bytes of the file's declarations; this module frees them. It reads just enough of
the protocol-buffer format to get there, so that the ``onnx`` package is not needed at run time.

A file is a *message*: fields one after another, each a number and a value, which may be a message
itself. The numbers below are those of ``onnx.proto``, which never change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_GRAPH: Final = 7
"""``ModelProto.graph``"""
_NAME: Final = 1
"""``ValueInfoProto.name``"""
_INPUT: Final = 11
_OUTPUT: Final = 12
_VALUE_INFO: Final = 13
"""Fields of ``GraphProto``: its inputs, its outputs, and shapes noted for what lies between."""
_TO_SHAPE: Final = (2, 1, 2)
"""From ``ValueInfoProto`` to its ``TensorShapeProto``: type, tensor_type, shape."""
_DIM: Final = 1
_DIM_PARAM: Final = 2
_BYTES: Final = 2
"""Wire type of texts and messages."""
_AXES: Final = {2: b"height", 3: b"width"}


def free_input(model: bytes, name: str) -> bytes:
    """``model`` with the height and width of its (N, C, H, W) input ``name`` left open.

    Shapes noted for the outputs and between are dropped: the runtime works them out again.

    Raises:
        ValueError: not a protocol-buffer message.
    """
    return b"".join(
        _field(number, _free_graph(value, name.encode())) if number == _GRAPH else raw
        for number, value, raw in _fields(model)
    )


def _free_graph(graph: bytes, name: bytes) -> bytes:
    parts = []
    for number, value, raw in _fields(graph):
        if number == _INPUT and (_NAME, name) in ((n, v) for n, v, _ in _fields(value)):
            parts.append(_field(_INPUT, _free_shape(value, _TO_SHAPE)))
        elif number == _OUTPUT:
            parts.append(_field(_OUTPUT, _drop_shape(value, _TO_SHAPE)))
        elif number != _VALUE_INFO:
            parts.append(raw)
    return b"".join(parts)


def _free_shape(message: bytes, path: tuple[int, ...]) -> bytes:
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


def _drop_shape(message: bytes, path: tuple[int, ...]) -> bytes:
    head, *rest = path
    return b"".join(
        (_field(number, _drop_shape(value, tuple(rest))) if rest else b"")
        if number == head
        else raw
        for number, value, raw in _fields(message)
    )


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The fields of a message: number, value (empty for plain numbers), and the bytes of both."""
    at = 0
    while at < len(message):
        start = at
        key, at = _varint(message, at)
        value = b""
        match key & 7:
            case 0:  # a number
                _, at = _varint(message, at)
            case 1:  # eight bytes
                at += 8
            case 5:  # four bytes
                at += 4
            case 2:  # a length and so many bytes
                length, at = _varint(message, at)
                value = message[at : at + length]
                at += length
            case other:
                raise ValueError(f"not a protocol-buffer message: wire type {other}")
        if at > len(message):
            raise ValueError("not a protocol-buffer message: it ends within a field")
        yield key >> 3, value, message[start:at]


def _field(number: int, value: bytes) -> bytes:
    return _as_varint(number << 3 | _BYTES) + _as_varint(len(value)) + value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number at ``at``, seven bits to a byte, lowest first; and where it ends."""
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("not a protocol-buffer message: a number without end")


def _as_varint(value: int) -> bytes:
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
